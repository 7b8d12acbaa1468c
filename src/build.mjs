/*
 * Builds everything, in dependency order: shared constants → WASM → TypeScript (Node and browser) → native addon. `npm run build`.
 * Only the addon may fail: without a compiler, Python or Node headers the package works on WASM, and a line says so.
 *   --quiet      says nothing unless something goes wrong
 *   --no-native  leaves the addon out
 */
import { spawnSync } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { generate } from './plan/generate.mjs'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const require = createRequire(import.meta.url)
const quiet = process.argv.includes('--quiet')

function node(...args) {
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' })
  return { ok: status === 0, output: `${stdout}${stderr}` }
}

function must(what, ...args) {
  const { ok, output } = node(...args)
  if (!ok) {
    process.stderr.write(`${output}\nbuild: ${what} failed\n`)
    process.exit(1)
  }
  if (!quiet) console.log(`build: ${what}`)
}

/** Puts what is for browsers behind the seams (src/platform/host.ts, src/backends/loaders.ts), and takes out what was compiled for Node. */
function browserOnly(folder) {
  const seams = {
    'platform/host': "export { browser as host } from './browser.js'",
    'backends/loaders': "export { load } from './loaders-browser.js'",
  }
  for (const [name, line] of Object.entries(seams))
    for (const ending of ['js', 'd.ts']) writeFileSync(join(folder, `${name}.${ending}`), `${line}\n`)
  for (const name of ['platform/node', 'files/node-io', 'backends/native', 'backends/validate'])
    for (const ending of ['js', 'd.ts']) rmSync(join(folder, `${name}.${ending}`), { force: true })
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }\n')
}

const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')

must('plan constants', tsc, '-p', 'src/plan/tsconfig.json')
const plan = {}
for (const name of ['operations', 'memory', 'frame', 'optimizers', 'functions']) {
  const module = await import(pathToFileURL(join(root, 'build', 'plan', `${name}.js`)).href)
  plan[name] = module.default ?? module
}
generate(plan, root)
must('WebAssembly', 'assembly/build.mjs')
must('TypeScript for Node', tsc, '-p', 'tsconfig.json')
for (const name of ['index.mjs', 'index.d.mts']) writeFileSync(join(root, 'dist', 'node', name), "export * from './index.js'\n")
must('TypeScript for browsers', tsc, '-p', 'src/platform/tsconfig.browser.json')
browserOnly(join(root, 'dist', 'browser'))

if (!process.argv.includes('--no-native')) {
  const { ok, output } = node('native/build.mjs')
  if (ok && !quiet) console.log('build: native addon')
  if (!ok) console.log(`build: no native addon, the package works on WebAssembly (${output.trim().split('\n').pop()})`)
}
