/* The README's programs, run as a reader would, print what the README says, on each backend. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, expect, test } from 'vitest'
import { loadBackend } from '#lib/backends/select.js'

const programs = [...readFileSync('README.md', 'utf8').matchAll(/```js\n([\s\S]*?)```/g)].map(([, code]) => code)
mkdirSync('build', { recursive: true })
const folder = mkdtempSync('build/readme-') // inside the project, where 'bptt' is this package
afterAll(() => rmSync(folder, { recursive: true }))

function loads(backend: 'native' | 'wasm' | 'reference'): boolean {
  try {
    loadBackend(backend)
    return true
  } catch (error) {
    console.warn(`SKIPPED on ${backend}: ${error}`)
    return false
  }
}

for (const backend of ['native', 'wasm', 'reference'] as const) {
  const required = (process.env.BPTT_REQUIRE ?? '').split(',').includes(backend)
  test.skipIf(!required && !loads(backend))(`the examples print what the README says (${backend})`, () => {
    writeFileSync(`${folder}/program.mjs`, programs.join(''))
    const printed = execFileSync(process.execPath, [`${folder}/program.mjs`], {
      encoding: 'utf8',
      env: { ...process.env, BPTT_BACKEND: backend },
    })
    expect(programs).toHaveLength(2)
    expect(printed).toBe('0.977 0.5\ndown\npytorch 3.5e-6\northogonal 4.3e-1\n')
  })
}
