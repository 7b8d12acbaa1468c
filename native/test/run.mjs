/*
 * Builds the kernels and their driver, and the pool of threads and its test (threads.cc), with every compiler that is here, for the host and, where
 * the cross compiler and qemu are, for arm64; looks for what must not be in the object files; runs both. One line a target; exit code 1
 * where anything is wrong.
 *   node native/test/run.mjs [driver options: --cases N, --seed N]
 *     --sanitize  with address and undefined behaviour sanitizers, the threads with that for races (where it runs: not under qemu)
 */
import { execFile, spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const native = dirname(dirname(fileURLToPath(import.meta.url)))
const options = process.argv.slice(2)
const sanitize = options.includes('--sanitize')
const driverOptions = options.filter((option) => option !== '--sanitize')

// The flags of binding.gyp.
const flags = ['-std=c++20', '-fvisibility=hidden', '-ffp-contract=off', '-fno-fast-math', '-fno-math-errno', '-Wall', '-Wextra', '-Werror']
const mode = sanitize ? ['-O1', '-g', '-fsanitize=address,undefined', '-fno-sanitize-recover=undefined'] : ['-O2', '-fno-exceptions']
const avx512 = ['-mavx512f', '-mavx512vl', '-mavx512bw', '-mavx512dq', '-mfma', '-mprfchw', '-mprefer-vector-width=512']
const targets = [
  {
    arch: 'x64',
    prefix: '',
    emulator: [],
    libraries: {
      sse2_muladd: [],
      avx2_fma: ['-mavx2', '-mfma', '-mprfchw'],
      avx2_muladd: ['-mavx2', '-mprfchw'],
      avx512_fma: avx512,
      avx512_muladd: avx512,
    },
  },
  {
    arch: 'arm64',
    prefix: 'aarch64-linux-gnu-',
    emulator: ['qemu-aarch64', '-L', '/usr/aarch64-linux-gnu'],
    libraries: { neon_fma: [], neon_muladd: [] },
  },
]

const present = (command) => spawnSync(command, ['--version']).status === 0

/** Functions in whose loops vectors stay in registers: products, forwards and backwards, of one row and of many, and what follows them. */
const hot = /::(tile|row_tile|recur_back_alone|activate_tile|derive_tile|update_share)\b/

/** What an object file must not hold, as [what, why]. */
async function faults(tools, object, name) {
  const found = []
  const { stdout: symbols } = await run(`${tools}nm`, ['-C', object])
  for (const line of symbols.split('\n'))
    if (/ [WVu] /.test(line)) found.push([line.trim(), 'the linker may take it for another instruction set'])
  const exported = symbols.split('\n').filter((line) => / [TDRB] /.test(line))
  if (exported.length !== 1) found.push([exported.join(', '), 'only the table is exported'])
  const { stdout: code } = await run(`${tools}objdump`, ['-d', '--no-show-raw-insn', '-C', object], { maxBuffer: 1 << 28 })
  let inside = ''
  let seen = 0
  for (const line of code.split('\n')) {
    if (/^[0-9a-f]+ <.*>:$/.test(line)) {
      inside = hot.test(line) ? line : ''
      if (inside) seen++
    }
    if (name.endsWith('muladd') && /\b(vfn?m(add|sub)\w*|fn?m(add|la|ls|sub))\b/.test(line))
      found.push([line.trim(), 'fused, in class mul-add'])
    if (name.startsWith('sse2') && /%[yz]mm/.test(line)) found.push([line.trim(), 'not SSE2'])
    if (name.startsWith('avx2') && /%zmm/.test(line)) found.push([line.trim(), 'not AVX2'])
    // Vector registers saved on entry are not spills: arm64 must keep d8 to d15.
    if (inside && (/%[xyz]mm.*\(%rsp|\(%rsp.*%[xyz]mm/.test(line) || /\bq\d+.*\[sp/.test(line)))
      found.push([`${inside} ${line.trim()}`, 'a spilled vector'])
  }
  if (seen < 30) found.push([`${seen} hot functions`, 'were found, of dozens'])
  return found
}

async function check({ arch, prefix, emulator, libraries }) {
  const out = join(native, '..', 'build', 'kernels', sanitize ? `${arch}-sanitized` : arch)
  mkdirSync(out, { recursive: true })
  const compiler = `${prefix}g++`
  const names = Object.keys(libraries)
  const objects = names.map((name) => join(out, `${name}.o`))
  const compile = (source, object, extra) => run(compiler, [...flags, ...mode, ...extra, '-c', join(native, source), '-o', object])
  const work = names.map((name, i) => () => compile(`isa/${name}.cc`, objects[i], libraries[name]))
  work.push(() => compile('test/driver.cc', join(out, 'driver.o'), ['-O2', '-pthread']))
  const threads = join(out, 'threads')
  const races = sanitize ? (emulator.length > 0 ? mode : ['-O1', '-g', '-fsanitize=thread']) : ['-O2']
  const sources = ['test/threads.cc', 'addon/pool.cc', 'addon/quota.cc'].map((name) => join(native, name))
  work.push(() => run(compiler, [...flags, ...races, '-pthread', ...sources, '-o', threads]))
  const lanes = Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
    for (let job = work.shift(); job; job = work.shift()) await job()
  })
  await Promise.all(lanes)
  const driver = join(out, 'driver')
  await run(compiler, [...mode, '-pthread', join(out, 'driver.o'), ...objects, '-o', driver])
  if (!sanitize) {
    for (const [i, name] of names.entries()) {
      const found = await faults(prefix, objects[i], name)
      if (found.length > 0) throw new Error(`${name}: ${found[0][0]}: ${found[0][1]} (${found.length} such)`)
    }
  }
  const start = async (program, ...args) => {
    const [command, ...rest] = [...emulator, program, ...args]
    // The leak detector does not run under qemu.
    const env = { ...process.env, ASAN_OPTIONS: emulator.length > 0 ? 'detect_leaks=0' : '' }
    return (await run(command, rest, { maxBuffer: 1 << 26, env })).stdout.trim()
  }
  const few = emulator.length > 0 && driverOptions.length === 0 ? ['--cases', '8'] : []
  const lines = await start(driver, ...driverOptions, ...few)
  return `${lines}; ${await start(threads, ...(emulator.length > 0 || sanitize ? ['--no-fork'] : []))}`
}

for (const target of targets) {
  const { arch, prefix, emulator } = target
  const here = emulator.length > 0 || process.arch === arch
  const missing = [`${prefix}g++`, ...emulator.slice(0, 1)].filter((command) => !present(command))
  if (!here || missing.length > 0) {
    console.log(`${arch}: SKIPPED, ${here ? `no ${missing.join(', no ')}` : `this is ${process.arch}`}`)
    continue
  }
  try {
    const lines = (await check(target)).split('\n')
    if (driverOptions.length > 0) console.log(lines.slice(0, -1).join('\n'))
    console.log(`${arch}: ${lines.at(-1)}`)
  } catch (error) {
    console.log(`${arch}: FAILED\n${error.stdout ?? ''}${error.stderr ?? error.message}`)
    process.exitCode = 1
  }
}
