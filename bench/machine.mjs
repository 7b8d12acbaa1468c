/* What the figures were measured on: facts of the machine, and the peak that its kernels are held against. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { arch, cpus, loadavg, release, tmpdir, type } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { median } from './clock.mjs'

const here = fileURLToPath(new URL('.', import.meta.url))

function tried(body) {
  try {
    return body()
  } catch {
    return undefined
  }
}

const output = (command, ...args) =>
  execFileSync(command, args, { cwd: here, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()

/** Load is that of the last minute before; `processors` those that this process may use. */
export function machineFacts() {
  const status = tried(() => readFileSync('/proc/self/status', 'utf8')) ?? ''
  const commit = tried(() => output('git', 'rev-parse', '--short', 'HEAD'))
  const changed = commit && tried(() => output('git', 'status', '--porcelain', '--untracked-files=no'))
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    processors: /Cpus_allowed_list:\s*(\S+)/.exec(status)?.[1] ?? `0-${cpus().length - 1}`,
    system: `${type()} ${release()} ${arch()}`,
    node: process.version,
    v8: process.versions.v8,
    load: loadavg().map((x) => Number(x.toFixed(2))),
    commit: commit ? commit + (changed ? ' and changes' : '') : 'unknown',
    date: new Date().toISOString(),
  }
}

/** Sixteen vector registers hold 12 chains and the two factors, thirty-two hold 24. */
const BUILDS = {
  x64: {
    'avx512 fma': ['-DLANES=16', '-DCHAINS=24', '-mavx512f', '-ffp-contract=fast'],
    'avx512 mul-add': ['-DLANES=16', '-DCHAINS=24', '-mavx512f', '-ffp-contract=off'],
    'avx2 fma': ['-DLANES=8', '-DCHAINS=12', '-mavx2', '-mfma', '-ffp-contract=fast'],
    'avx2 mul-add': ['-DLANES=8', '-DCHAINS=12', '-mavx2', '-ffp-contract=off'],
    '128-bit fma': ['-DLANES=4', '-DCHAINS=12', '-mfma', '-ffp-contract=fast'],
    '128-bit mul-add': ['-DLANES=4', '-DCHAINS=12', '-msse2', '-ffp-contract=off'],
  },
  arm64: {
    '128-bit fma': ['-DLANES=4', '-DCHAINS=24', '-ffp-contract=fast'],
    '128-bit mul-add': ['-DLANES=4', '-DCHAINS=24', '-ffp-contract=off'],
  },
}
const WIDTH = { sse2: '128-bit', neon: '128-bit', simd128: '128-bit', 'relaxed-simd': '128-bit' }

/** The peak that an engine (as its description says) is held against; undefined for JavaScript, which has no vectors. */
export const peakName = ({ isa, arithmetic }) => (isa === 'javascript' ? undefined : `${WIDTH[isa] ?? isa} ${arithmetic}`)

/** Of a block that lies in each level of the caches, or in none: half a level where the system tells its size, else what common processors have. */
function blocks() {
  const half = (name, otherwise) => (Number(tried(() => output('getconf', name))) || 2 * otherwise) / 2
  return { L1: half('LEVEL1_DCACHE_SIZE', 16384), L2: half('LEVEL2_CACHE_SIZE', 131072), L3: 8 << 20, DRAM: 256 << 20 }
}

/** Median rates of five rounds over all programs; those that cannot be compiled or run here are left out. */
function measure(programs, seconds, threads) {
  const folder = mkdtempSync(join(tmpdir(), 'bptt-peak-'))
  try {
    const compiler = [process.env.CXX, 'g++', 'c++', 'clang++'].find((name) => name && tried(() => output(name, '--version')))
    const runs = []
    for (const { key, name, args = [] } of compiler ? programs : []) {
      const flags = BUILDS[arch()]?.[name]
      const program = join(folder, name.replace(' ', '-'))
      if (
        flags &&
        (existsSync(program) ||
          tried(() => output(compiler, '-O2', '-pthread', ...flags, join(here, 'peak.cc'), '-o', program)) !== undefined)
      )
        runs.push({ key, program, args, rates: [] })
    }
    for (let round = 0; round < 5; round++) {
      for (const { program, args, rates } of runs) {
        const rate = Number(tried(() => output(program, String(seconds), String(threads), ...args)))
        if (rate > 0) rates.push(rate)
      }
    }
    return Object.fromEntries(runs.filter(({ rates }) => rates.length > 0).map(({ key, rates }) => [key, median(rates)]))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * GFLOP/s of each peak.
 * @returns {Record<string, number>} without those that this machine has not: none at all where there is no compiler
 */
export const measurePeaks = (names, seconds, threads) =>
  measure(
    names.map((name) => ({ key: name, name })),
    seconds,
    threads,
  )

/** GB/s of reading from each level of the memory, with the vectors of a peak: { L1: { bytes, rate }, … }, bytes for each thread. */
export function measureBandwidths(name, seconds, threads) {
  const bytes = blocks()
  const rates = measure(
    Object.keys(bytes).map((key) => ({ key, name, args: [String(bytes[key])] })),
    seconds,
    threads,
  )
  return Object.fromEntries(Object.entries(rates).map(([key, rate]) => [key, { bytes: bytes[key], rate }]))
}
