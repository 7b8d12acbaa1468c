/* docs/errors.md is what src/errors-page.mjs writes. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { ERROR_CODES } from '#lib/errors.js'
import { errorsPage } from '../src/errors-page.mjs'

it('docs/errors.md is current; else run node src/errors-page.mjs', () =>
  expect(readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')).toBe(errorsPage(ERROR_CODES)))
