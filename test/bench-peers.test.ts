/* `npm run bench:peers` in small: who is absent is named, who computes something else is not timed. Never how fast. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { loadBackend } from '#lib/backends/select.js'
import { merged } from '../bench/peers-report.mjs'

const run = (...args: string[]) =>
  spawnSync(process.execPath, ['bench/peers.mjs', '--threads', '1', '--seconds', '0.02', '--no-peaks', ...args], { encoding: 'utf8' })
const rival = (does: string) => ['--peer', `rival=${process.execPath} test/fixtures/rival.mjs ${does}`]
const own = ['native', 'wasm'].filter((name) => {
  try {
    return loadBackend(name as 'native')
  } catch {
    return false
  }
})
const folder = mkdtempSync(join(tmpdir(), 'bptt-peers-test-'))
afterAll(() => rmSync(folder, { recursive: true }))

interface Entry {
  cell: string
  kind: string
  contestant: string
  own: boolean
  pass: string
  seconds: { typical: number; best: number; rounds: number[] }
  gflops: number
  values: number[]
}
interface Outcome {
  threads: number
  machine: { node: string }
  contestants: { id: string; name: string }[]
  absent: { id: string; reason: string; install: string }[]
  records: Entry[]
  left: { cell: string; contestant: string; reason: string; wrong?: boolean }[]
}
const outcome = (text: string) => (JSON.parse(text) as { runs: Outcome[] }).runs[0]!

describe('npm run bench:peers', () => {
  test('races all who are here from the same weights', () => {
    const { status, stdout, stderr } = run('--peers', 'native,wasm', '--cells', 'stream', ...rival('agrees'), '--json')
    expect(status, stderr).toBe(0)
    const { threads, machine, contestants, absent, records, left } = outcome(stdout)
    expect({ threads, machine, left }).toMatchObject({ threads: 1, machine: { node: process.version }, left: [] })
    expect([...contestants.map(({ id }) => id), ...absent.map(({ id }) => id)].sort()).toEqual(['native', 'rival', 'wasm'])
    for (const id of [...own, 'rival'])
      expect(records.filter(({ contestant }) => contestant === id).map(({ kind, pass }) => `${kind} ${pass}`)).toEqual([
        'training step',
        'inference forward',
        'training train()',
        'inference predictMany()',
      ])
    for (const { kind, seconds, gflops, values, contestant, ...record } of records) {
      expect(record.own).toBe(contestant !== 'rival')
      expect(seconds.best).toBeGreaterThan(0)
      expect(seconds.typical).toBeGreaterThanOrEqual(seconds.best)
      expect(seconds.rounds.length).toBeGreaterThan(0)
      expect(gflops).toBeGreaterThan(0)
      expect(values).toHaveLength(kind === 'training' ? 3 : 1)
    }
    const [first, , third] = records.find(({ kind }) => kind === 'training')!.values
    expect(Math.abs(third! / first! - 1)).toBeGreaterThan(0.01) // else a wrong gradient would not show in them
  }, 120_000)

  test('holds a checkout beside another one', () => {
    const { status, stdout, stderr } = run('--peers', own[0] ?? 'native', '--cells', 'stream', '--before', '.')
    expect(status, stderr).toBe(0)
    if (own[0]) expect(stdout).toMatch(new RegExp(`^${own[0]} train\\(\\) / before +\\d\\.\\d\\d`, 'm'))
    const { status: wrong, stdout: table } = run('--peers', own[0] ?? 'native', '--cells', 'stream', '--before', 'nowhere')
    expect(wrong).toBe(0)
    expect(table).toMatch(/^not here: \S+-before: .* in \S*nowhere\)$/m)
  }, 120_000)

  test('does not time a wrong program, and says so', () => {
    const { status, stdout, stderr } = run('--peers', own[0] ?? 'native', '--cells', 'stream', ...rival('wrong'), '--json')
    expect(status, stderr).toBe(1)
    const { records, left } = outcome(stdout)
    expect(left).toMatchObject([{ cell: 'stream', contestant: 'rival', wrong: true, reason: expect.stringContaining('something else') }])
    expect(records.some(({ contestant }) => contestant === 'rival')).toBe(false)
  }, 120_000)

  test.each([
    ['absent', 'No module named rival'],
    ['dies', 'ended (3)'],
  ])(
    'names who is not here: %s',
    (does, reason) => {
      const { status, stdout, stderr } = run('--peers', own[0] ?? 'native', '--cells', 'stream', ...rival(does))
      expect(status, stderr).toBe(0)
      expect(stdout).toContain(`not here: rival: ${reason}`)
    },
    60_000,
  )

  test('waits no longer than it is told to', () => {
    const { status, stdout, stderr } = run('--peers', own[0] ?? 'native', '--cells', 'stream', '--patience', '1', ...rival('sleeps'))
    expect(status, stderr).toBe(0)
    expect(stdout).toContain('stream rival: no answer within 1 s')
  }, 120_000)

  test('measures in pieces: a file holds the newest of each cell', () => {
    const piece = (threads: number, ...cells: string[]) => ({
      threads,
      records: cells.map((cell) => ({ cell, contestant: 'wasm' })),
      left: [],
    })
    const old = [piece(1, 'stream', 'small'), piece(1, 'char'), piece(2, 'char')]
    expect(merged(old, [piece(1, 'small', 'char')])).toEqual([piece(1, 'stream'), piece(2, 'char'), piece(1, 'small', 'char')])
    const file = join(folder, 'result.json')
    expect(run('--peers', own[0] ?? 'native', '--cells', 'stream', '--out', file).status).toBe(0)
    expect((JSON.parse(readFileSync(file, 'utf8')) as { runs: Outcome[] }).runs).toHaveLength(1)
    const { status, stdout } = run('--show', file)
    expect(status).toBe(0)
    expect(stdout).toMatch(/training, a step +stream +mean/)
  }, 120_000)

  test.each(['tfjs-wasm', 'torch', 'tensorflow', 'jax'])(
    'races %s where it is installed',
    (id) => {
      const { status, stdout, stderr } = run('--peers', `${own[0] ?? 'native'},${id}`, '--cells', 'stream', '--json')
      expect(status, stderr).toBe(0)
      const { absent, records } = outcome(stdout)
      const missing = absent.find((one) => one.id === id)
      if (missing) {
        console.warn(`SKIPPED: ${id} is not installed: ${missing.install}`)
        expect(missing.reason).toMatch(/No module named|Cannot find module|No such file|ENOENT/) // and not that its program is broken
      } else expect(records.filter(({ contestant }) => contestant === id)).toHaveLength(2)
    },
    120_000,
  )

  test.each([
    ['--cells', 'tiny'],
    ['--peers', 'matlab'],
    ['--grid', 'mesh'],
    ['--threads', '3'],
    ['--peer', 'noise'],
    ['--seconds', '0'],
    ['--show'],
    ['--fast'],
  ])('refuses %s %s and says what there is', (...args) => {
    const { status, stdout, stderr } = run(...args)
    expect(status).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toContain(args[0])
    expect(stderr).toContain('--grid GRIDS')
  })
})
