/*
 * How soon a stop is seen: counted in rows, not timed. An operation over thousands of rows is told to stop at its nth look around, and
 * counts what it did: at most a block of rows for each look. Native code looks in the same loops (native/test/driver.cc).
 */
import { describe, expect, test } from 'vitest'
import type { Job, LocalEngine } from '#lib/backends/engine.js'
import { createLocal } from '#lib/backends/wasm.js'
import { address, NONE, Region, UNIT_FLOATS } from '#lib/plan/memory.js'
import { Above, Cell, Head, type OperationName, Pack, Result, Rows, Status } from '#lib/plan/operations.js'
import { createReference } from '#lib/reference/engine.js'
import { frameOf, planOf } from './reference-net.js'

const [S, B, T] = [64, 40, 200]
const R = B * T
/** An engine's blocks of rows between two looks, at this size, are no larger. A row of a loss is less work than one of a product. */
const blockOf = (name: OperationName) => (name === 'LOSS' ? 1024 + B : 2 * 250)

const units = { matrix: (S * S) / UNIT_FLOATS, rows: (R * S) / UNIT_FLOATS, step: (B * S) / UNIT_FLOATS, losses: R / 4 }
const [M, dM] = [address(Region.HOME, 0), address(Region.HOME, units.matrix)]
const pack = address(Region.PACK, 0)
const [x = 0, y = 0, s0 = 0, losses = 0] = [0, units.rows, 2 * units.rows, 2 * units.rows + units.step].map((unit) =>
  address(Region.SCRATCH, unit),
)
const [targets, weights] = [address(Region.DATA, 0), address(Region.DATA, R / UNIT_FLOATS)]
const bytes = [2 * units.matrix, (2 * R) / UNIT_FLOATS, 0, 2 * units.rows + units.step + units.losses, units.matrix].map(
  (count) => 64 * count,
)

/** In each, x is 1 and y 7; what an operation has not reached stays 7, and a weight gradient counts its rows. */
const operations: { name: OperationName; code: [OperationName, ...number[]][] }[] = [
  { name: 'PROJECT', code: [['PROJECT', y, x, M, pack, NONE, NONE, S, S, Rows.STEPS]] },
  { name: 'RECUR', code: [['RECUR', y, s0, M, pack, S, Cell.TANH]] },
  { name: 'LOSS', code: [['LOSS', y, x, targets, weights, losses, S, Head.SOFTMAX, Rows.STEPS]] },
  { name: 'PROJECT_DX', code: [['PROJECT_DX', y, x, M, pack, S, S, Rows.STEPS, 0]] },
  { name: 'RECUR_BACK', code: [['RECUR_BACK', y, x, y, NONE, Above.NONE, M, pack, S, Cell.TANH, NONE, NONE]] },
  { name: 'PROJECT_DW', code: [['PROJECT_DW', dM, x, x, S, S, Rows.STEPS]] },
  { name: 'RECUR_DW', code: [['RECUR_DW', dM, x, x, s0, S, S]] },
]

function jobOf({ name, code }: (typeof operations)[number]): Job {
  const form = /DX|BACK/.test(name) ? Pack.PROJECT_DX : Pack.PROJECT
  const ones = (at: number, length: number, value: number) => ({ at, data: new Float32Array(length).fill(value) })
  const read = { kind: 'float32', ...(name.endsWith('DW') ? { at: dM, length: 1 } : { at: y, length: R * S }) } as const
  const writes = [ones(M, S * S, 0), ones(dM, S * S, 0), ones(x, R * S, 1), ones(y, R * S, 7), ones(s0, B * S, 1)]
  return { bytes, writes, plan: planOf([['PACK', pack, M, S, S, form], ...code]), frames, count: 1, reads: [read] }
}
const frames = frameOf({ lengths: Array<number>(B).fill(T) })

function rowsDone({ reads: [data] }: ReturnType<LocalEngine['run']>): number {
  if (data!.length === 1) return data![0]!
  return Array.from({ length: R }, (_, row) => row).filter((row) => data![row * S] !== 7).length
}

type Asked = () => number

describe.each([
  { backend: 'wasm', create: (asked: Asked) => createLocal({ numerics: 'portable', threads: 1 }, asked) },
  { backend: 'relaxed wasm', create: (asked: Asked) => createLocal({ numerics: 'fast', threads: 1 }, asked) },
  { backend: 'reference', create: (asked: Asked) => createReference(asked) },
])('$backend', ({ create }) => {
  test.each(operations)('$name ends within a block of rows', (operation) => {
    let looks = 0
    let most = Infinity
    const engine = create(() => (++looks >= most ? Status.STOPPED : 0))
    const job = jobOf(operation)
    expect(rowsDone(engine.run({ ...job, plan: planOf([]) }))).toBe(0)
    for (const look of [4, 6]) {
      looks = 0
      most = look
      const told = engine.run(job)
      expect(told.results[Result.STATUS]).toBe(Status.STOPPED)
      expect(rowsDone(told)).toBeGreaterThan(0)
      expect(rowsDone(told)).toBeLessThanOrEqual(look * blockOf(operation.name))
    }
    most = Infinity
    const whole = engine.run(job)
    expect(whole.results[Result.STATUS]).toBe(Status.DONE)
    expect(rowsDone(whole)).toBe(R)
    engine.dispose()
  })
})
