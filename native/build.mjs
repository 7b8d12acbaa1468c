/*
 * Builds the native addon with node-gyp and copies it to prebuilds/ for packing. `npm run build:native`; further arguments go to node-gyp.
 * Where it cannot be built (no compiler, no Python, no Node headers) it exits with 1 and says why in the last line.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const built = join(root, 'build', 'Release', 'bptt.node')
const args = process.argv.slice(2)

/** What node-gyp's output means, most telling first. */
const REASONS = [
  [/ERR! find Python/, 'node-gyp found no Python'],
  [/not found: make|spawn make ENOENT/, 'there is no make'],
  [/(g\+\+|c\+\+|gcc|clang|cc)(: command)?(: No such file|: not found| not found)|find VS|No Xcode/i, 'there is no C++ compiler'],
  [/node_api\.h|js_native_api\.h/, 'the Node headers are not there'],
  [
    /network|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT|install error/,
    'the Node headers are neither beside node nor can they be downloaded',
  ],
  [/error: .*/, undefined],
]

function fail(reason) {
  console.error(reason)
  process.exit(1)
}

function reasonIn(output) {
  for (const [pattern, reason] of REASONS) {
    const match = pattern.exec(output)
    if (match) return reason ?? `the addon did not compile: ${match[0]}`
  }
  return 'node-gyp failed'
}

/** The newest change among the sources, in ms. */
function newest(folder) {
  let time = 0
  for (const entry of readdirSync(folder, { recursive: true })) time = Math.max(time, statSync(join(folder, entry)).mtimeMs)
  return time
}

/** Where the loader of a published package looks (src/backends/native.ts). */
function prebuild() {
  const arch = args.find((arg) => arg.startsWith('--arch='))?.slice(7) ?? process.arch
  const libc = process.platform === 'linux' ? (process.report.getReport().header.glibcVersionRuntime ? '.glibc' : '.musl') : ''
  return join(root, 'prebuilds', `${process.platform}-${arch}`, `bptt${libc}.node`)
}

function copyToPrebuilds() {
  mkdirSync(dirname(prebuild()), { recursive: true })
  copyFileSync(built, prebuild())
}

const gyp = join(root, 'binding.gyp')
const fresh = existsSync(built) && statSync(built).mtimeMs > Math.max(newest(join(root, 'native')), statSync(gyp).mtimeMs)
if (fresh && args.length === 0) {
  if (!existsSync(prebuild())) copyToPrebuilds()
  process.exit(0)
}

let nodeGyp
try {
  nodeGyp = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
} catch {
  fail('node-gyp is not installed')
}

// Headers that lie beside the binary need no download. Not `rebuild`: it would empty build/, where other things are built too.
const prefix = dirname(dirname(process.execPath))
const headers = existsSync(join(prefix, 'include', 'node', 'node_api.h')) ? [`--nodedir=${prefix}`] : []
const { status, stdout, stderr } = spawnSync(process.execPath, [nodeGyp, 'configure', 'build', ...headers, ...args], {
  cwd: root,
  encoding: 'utf8',
})
process.stdout.write(stdout)
process.stderr.write(stderr)
if (status !== 0) fail(reasonIn(`${stdout}\n${stderr}`))
copyToPrebuilds()
