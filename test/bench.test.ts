/* `npm run bench` in small: it verifies before it times, says what it measured, and refuses what it does not know. Never how fast. */
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { describe, expect, test } from 'vitest'
import { loadBackend } from '#lib/backends/select.js'
import { TOLERANCE, verified } from '../bench/verify.mjs'

const bench = (...args: string[]) => spawnSync(process.execPath, ['bench/main.mjs', ...args], { encoding: 'utf8' })

interface Entry {
  cell: string
  case: string
  backend: string
  verified: boolean
  error: number
  seconds: { median: number; best: number; samples: number[] }
  perSecond: number
  gflops?: number
  gelements?: number
  peakShare?: number
  bareRatio?: number
}

const usable = ['native', 'wasm', 'reference'].filter((name) => {
  try {
    return loadBackend(name as 'native')
  } catch {
    return false
  }
})

describe('npm run bench', () => {
  test('verifies and times every case on every backend', () => {
    const { status, stdout, stderr } = bench('--cells', 'stream', '--seconds', '0.02', '--all', '--json')
    expect(status, stderr).toBe(0)
    const { machine, records, left } = JSON.parse(stdout) as { machine: Record<string, unknown>; records: Entry[]; left: string[] }
    expect(machine).toMatchObject({ node: process.version, cpu: expect.any(String), commit: expect.any(String) })
    expect(left).toEqual([])
    for (const name of ['matmul', 'tanh', 'forward', 'predict', 'backward', 'step', 'train', 'ragged', 'push']) {
      const backends = records.filter((record) => record.case === name).map(({ backend }) => backend.split('/')[0])
      expect([...new Set(backends)], name).toEqual(usable)
    }
    for (const { cell, verified: right, error, seconds, perSecond, gflops, gelements, peakShare, bareRatio, ...record } of records) {
      expect(cell).toBe('stream')
      expect(right).toBe(true)
      expect(error).toBeLessThanOrEqual(TOLERANCE)
      expect(seconds.samples.length).toBeGreaterThanOrEqual(5)
      expect(seconds.best).toBeGreaterThan(0)
      expect(seconds.median).toBeGreaterThanOrEqual(seconds.best)
      expect(perSecond).toBeCloseTo(1 / seconds.median)
      expect(record.case === 'tanh' ? gelements : gflops).toBeGreaterThan(0)
      if (['train', 'ragged', 'predict'].includes(record.case)) expect(bareRatio).toBeGreaterThan(0)
      if (record.backend === 'reference') expect(peakShare).toBeUndefined()
    }
  }, 120_000)

  test.runIf(usable.includes('native') && availableParallelism() > 1)(
    'holds threads against one thread and against processes, also on a loaded machine',
    () => {
      const run = (...args: string[]) => bench('--scaling', '--seconds', '0.05', '--json', ...args)
      const { status, stdout, stderr } = run('--cells', 'stream,small')
      expect(status, stderr).toBe(0)
      const { records } = JSON.parse(stdout) as { records: Record<string, unknown>[] }
      expect(records.map(({ cell, case: name }) => `${cell} ${name}`)).toEqual([
        'stream step',
        'stream train',
        'stream forward',
        'small step',
        'small train',
        'small forward',
      ])
      for (const { cell, rates, speedup, ceiling, share } of records as never[]) {
        const { one, team, apart } = rates as Record<string, number>
        for (const value of cell === 'stream' ? [one, team, speedup] : [one, team, apart, speedup, ceiling, share])
          expect(value).toBeGreaterThan(0)
        if (cell === 'stream') expect([apart, ceiling, share]).toEqual([null, null, null])
      }
      const loaded = run('--cells', 'stream', '--only', 'step', '--backends', 'native,wasm', '--hogs')
      expect(loaded.status, loaded.stderr).toBe(0)
      expect(JSON.parse(loaded.stdout).records).toMatchObject([
        { cell: 'stream', backend: 'native', hogs: 2 },
        { cell: 'stream', backend: 'wasm', hogs: 2 },
      ])
    },
    60_000,
  )

  test('times the operations of a training step', () => {
    const { status, stdout, stderr } = bench('--profile', 'stream', '--seconds', '0.05', '--backends', 'reference', '--json')
    expect(status, stderr).toBe(0)
    const [{ operations }] = JSON.parse(stdout).profiles as [{ operations: { name: string; share: number }[] }]
    expect(operations.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['PACK', 'PROJECT', 'RECUR', 'LOSS', 'RECUR_BACK', 'RECUR_DW', 'UPDATE']),
    )
    expect(operations.at(-1)).toMatchObject({ name: 'step', share: 1 })
    expect(operations.slice(0, -1).reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1)
  })

  test.each([['--cells', 'tiny'], ['--only', 'sorting'], ['--backends', 'gpu'], ['--seconds', '0'], ['--threads', '1.5'], ['--fast']])(
    'refuses %s %s and says what there is',
    (...args) => {
      const { status, stdout, stderr } = bench(...args)
      expect(status).toBe(2)
      expect(stdout).toBe('')
      expect(stderr).toContain(args[0])
      expect(stderr).toContain('--cells CELLS')
    },
  )

  test('says what a caller waits for: a first answer, and train() while it reads data of every form', () => {
    const args = ['bench/waits.mjs', '--sequences', '100', '--processes', '1', '--backend', 'reference', '--json']
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    expect(status, stderr).toBe(0)
    const { records } = JSON.parse(stdout) as { records: { what: string; seconds: { first: number; later: number | null } }[] }
    const [reading, starting] = [true, false].map((read) => records.filter(({ what }) => what.startsWith('train(): ') === read))
    expect([reading!.length, starting!.length]).toEqual([6, 3])
    for (const { seconds } of reading!) expect(Math.min(seconds.first, seconds.later!)).toBeGreaterThan(0)
    for (const { seconds } of starting!) expect(seconds).toEqual({ first: expect.any(Number), later: null })
  }, 60_000)

  test('lets nothing wrong pass', () => {
    const right = Float64Array.of(2, -1, 0)
    expect(verified(Float32Array.of(2, -1.0001, 0), right)).toBeCloseTo(5e-5, 6)
    for (const wrong of [
      [2, -1.001, 0],
      [2, -1, NaN],
      [2, -1],
      [2, 1, 0],
      [2, -1, Infinity],
    ])
      expect(() => verified(wrong, right)).toThrow()
    expect(() => verified([], [])).toThrow()
  })
})
