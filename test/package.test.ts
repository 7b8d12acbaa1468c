/* The packed package, installed in a project of its own and used as people use it: require, import, TypeScript. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { emptyProject } from './support/installed.js'

const { project, installed, run, install } = emptyProject()
const program = (name: string, code: string) => {
  writeFileSync(join(project, name), code)
  return run(process.execPath, name)
}
const train = `
  const model = new RNN({ input: 1, state: 4, output: ['down', 'up'] })
  const { history } = await model.train({ x: [[1, 2, 3], [3, 1]], y: ['up', 'down'] }, { epochs: 2 })
  console.log(history.length, (await model.predict([1, 2])).kind, model.backend.name)`

beforeAll(install, 120_000)
afterAll(() => rmSync(project, { recursive: true }))

test('nothing runs at install: no script, no gyp file, no dependency', () => {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  expect(manifest.gypfile).toBe(false)
  expect(manifest.dependencies).toBeUndefined()
  for (const script of ['preinstall', 'install', 'postinstall', 'prepare']) expect(manifest.scripts).not.toHaveProperty(script)
  expect(existsSync(join(installed, 'binding.gyp'))).toBe(false)
  for (const file of ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE']) expect(existsSync(join(installed, file)), file).toBe(true)
})

test('every file that package.json names is there', () => {
  const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8'))
  const paths = [
    manifest.main,
    manifest.types,
    ...Object.values(manifest.bin),
    ...JSON.stringify(manifest.exports).match(/\.\/[^"]+\.[a-z]+/g)!,
  ]
  for (const path of paths as string[]) expect(existsSync(join(installed, path)), path).toBe(true)
})

test('every file that a page links to is there', () => {
  const docs = readdirSync(join(installed, 'docs')).map((name) => join('docs', name))
  for (const page of ['README.md', ...docs.filter((name) => name.endsWith('.md'))])
    for (const [, link] of readFileSync(join(installed, page), 'utf8').matchAll(/\]\((?!https?:|#)([^)#\s]+)/g))
      expect(existsSync(join(installed, dirname(page), link!)), `${link} of ${page}`).toBe(true)
})

test('require and import give the same class, and it trains', () => {
  expect(program('a.cjs', `const { RNN } = require('bptt'); (async () => {${train}})()`)).toMatch(/^2 softmax (native|wasm)\n$/)
  expect(program('a.mjs', `import { RNN } from 'bptt'\n${train}`)).toMatch(/^2 softmax (native|wasm)\n$/)
  expect(
    program(
      'b.mjs',
      `import { RNN } from 'bptt'; import { createRequire } from 'node:module'\nconsole.log(createRequire(import.meta.url)('bptt').RNN === RNN)`,
    ),
  ).toBe('true\n')
})

test('the part for browsers holds no Node code, and trains', () => {
  const folder = join(installed, 'dist', 'browser')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'))
  expect(files.length).toBeGreaterThan(50)
  for (const name of files) {
    const code = readFileSync(join(folder, name), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '')
    expect(code, name).not.toMatch(/from 'node:|\brequire\(|\bprocess\./)
  }
  // A page's module graph, as far as Node can run it: WebAssembly on this thread, since there are no web Workers.
  expect(
    program(
      'page.mjs',
      `globalThis.navigator ??= { userAgent: 'none', hardwareConcurrency: 1 }\nconst { RNN, configure } = await import('./node_modules/bptt/dist/browser/index.js')\nconfigure({ worker: false })\n${train}`,
    ),
  ).toBe('2 softmax wasm\n')
})

const tsc = resolve('node_modules', 'typescript', 'bin', 'tsc')
const typecheck = (file: string, module: string, moduleResolution: string) =>
  spawnSync(
    process.execPath,
    [
      tsc,
      '--noEmit',
      '--strict',
      '--target',
      'es2022',
      '--types',
      'node',
      '--module',
      module,
      '--moduleResolution',
      moduleResolution,
      file,
    ],
    {
      cwd: project,
      encoding: 'utf8',
    },
  ).stdout

test.each([
  ['nodenext', 'nodenext'],
  ['esnext', 'bundler'],
])('TypeScript sees what it should under %s, %s', (module, moduleResolution) => {
  if (!existsSync(join(project, 'node_modules', '@types')))
    symlinkSync(resolve('node_modules', '@types'), join(project, 'node_modules', '@types'), 'junction')
  writeFileSync(
    join(project, 'typed.mts'),
    `import { RNN } from 'bptt'
const model = new RNN({ input: 1, state: 4, output: ['down', 'up'] })
export const label: 'down' | 'up' = (await model.predict([1])).label
// @ts-expect-error no such label
export const wrong: 'left' = (await model.predict([1])).label
// @ts-expect-error no such option
new RNN({ input: 1, state: 4, output: 2, units: 3 })
`,
  )
  expect(typecheck('typed.mts', module, moduleResolution)).toBe('')
  const programs = resolve('..', 'shared', 'programs.mts')
  if (!existsSync(programs)) return console.warn('SKIPPED in part: ../shared/programs.mts is absent')
  copyFileSync(programs, join(project, 'programs.mts'))
  expect(typecheck('programs.mts', module, moduleResolution)).toBe('')
})
