/* Every program on a page for users runs as it stands. What the README's programs print is in readme.test.ts. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'

mkdirSync('build', { recursive: true })
const folder = mkdtempSync('build/docs-') // inside the project, where 'bptt' is this package
afterAll(() => rmSync(folder, { recursive: true }))

const pages = readdirSync('docs').flatMap((page) => {
  const programs = [...readFileSync(`docs/${page}`, 'utf8').matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code)
  return programs.length > 0 ? [{ page, program: programs.join('') }] : []
})

test('there are pages with programs', () => expect(pages.length).toBeGreaterThan(4))

for (const { page, program } of pages)
  test(`the programs of docs/${page} run`, () => {
    const file = `${folder}/${page}.mjs`
    writeFileSync(file, program)
    const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' })
    expect(printed).not.toBe('')
    expect(printed).not.toMatch(/NaN|undefined/)
  })
