/*
 * Operation by operation, both WebAssembly builds leave the bits of the reference of their class: the plain one of mul-add, the relaxed
 * one of the exactly emulated fma. Networks with ragged batches and sizes on both sides of every vector, panel and tile.
 */
import { setFlagsFromString } from 'node:v8'
import { describe, expect, test } from 'vitest'
import type { LocalEngine, Read } from '#lib/backends/engine.js'
import { createLocal } from '#lib/backends/wasm.js'
import { address, NONE, Region, UNIT_BYTES, UNIT_FLOATS } from '#lib/plan/memory.js'
import { Above, Cell, Head, Optimizer, Pack, Rows, UpdateFlag } from '#lib/plan/operations.js'
import { createFused, createReference } from '#lib/reference/engine.js'
import { elman, frameOf, planOf, randoms, type Shape, valuesFor, writesOf } from './reference-net.js'
import { bitsOf, matrix, outputsOf, type Step } from './support/outputs.js'

if (process.version.startsWith('v20.') || process.version.startsWith('v22.')) setFlagsFromString('--experimental-wasm-relaxed-simd')

const classes: { name: string; wasm: () => LocalEngine; oracle: () => LocalEngine }[] = [
  { name: 'mul-add', wasm: () => createLocal({ numerics: 'portable', threads: 1 }), oracle: () => createReference() },
  { name: 'fma', wasm: () => createLocal({ numerics: 'fast', threads: 1 }), oracle: () => createFused() },
]

const base: Shape = { input: 3, states: [7], outputs: 4, tokens: false, cell: 'TANH', head: 'SOFTMAX', readout: 'all', twoBiases: false }
const nets: { title: string; shape: Shape; lengths: number[]; from?: number[] }[] = [
  { title: 'one row, one of everything', shape: { ...base, input: 1, states: [1], outputs: 1, head: 'LINEAR' }, lengths: [1] },
  { title: 'one sequence', shape: { ...base, input: 5, states: [37], outputs: 17 }, lengths: [6] },
  {
    title: 'ragged, an empty sequence, softmax over 33',
    shape: { ...base, input: 9, states: [20], outputs: 33 },
    lengths: [9, 7, 7, 3, 1, 0],
    from: [2, 0, 1, 0, 0, 0],
  },
  {
    title: 'read out at the end, an empty sequence',
    shape: { ...base, readout: 'last', cell: 'SIGMOID', head: 'SIGMOID', outputs: 5, states: [16] },
    lengths: [5, 5, 4, 2, 0],
  },
  {
    title: 'stacked, relu, two biases',
    shape: { ...base, states: [13, 40, 6], cell: 'RELU', head: 'SIGMOID', outputs: 6, twoBiases: true },
    lengths: [8, 8, 8, 6, 6, 4, 1],
  },
  {
    title: 'tokens, identity, linear',
    shape: { ...base, input: 23, tokens: true, states: [18], cell: 'IDENTITY', head: 'LINEAR', outputs: 9, twoBiases: true },
    lengths: [7, 6, 5, 4, 3, 2, 1],
  },
  {
    title: 'more rows than a block, more than a chunk',
    shape: { ...base, input: 66, states: [24], outputs: 8 },
    lengths: [5, 4, 3].flatMap((n) => Array<number>(50).fill(n)),
  },
  {
    title: 'more inner elements than a pass',
    shape: { ...base, input: 515, states: [10], outputs: 3, readout: 'last' },
    lengths: [3, 2, 2, 2, 1],
  },
]

describe.each(classes)('$name', ({ name, wasm, oracle }) => {
  test('is the class of the engine', () => expect(wasm().description.arithmetic).toBe(name))

  test.each(nets)('$title', ({ shape, lengths, from }) => {
    const net = elman(shape, { lengths, ...(from && { from }), scale: 0.37 })
    const engines = [wasm(), oracle()]
    const step = (op: Step, writes = [] as ReturnType<typeof writesOf>) => {
      const reads = outputsOf(op, net)
      const outcomes = engines.map((engine) =>
        engine.run({ bytes: net.bytes, writes, plan: planOf([op]), frames: net.frame, count: 1, reads }),
      )
      const [mine, theirs] = outcomes.map(({ results, reads: data }) => [
        [...results].map(String),
        ...data.map((part, i) => bitsOf(part, reads[i]!)),
      ])
      expect(mine, op[0]).toEqual(theirs)
    }
    step(['NORM', net.firstGradient, 0], writesOf(net, valuesFor(net, 7)))
    for (const op of [...net.forward, ...net.backward]) step(op as Step)
  })

  const flags = UpdateFlag
  test.each([
    ['SGD', 0],
    ['SGD', flags.MOMENTUM | flags.CLIP_VALUE],
    ['SGD', flags.MOMENTUM | flags.NESTEROV | flags.DECAY],
    ['RMSPROP', 0],
    ['RMSPROP', flags.CENTERED | flags.MOMENTUM | flags.DECAY | flags.DECAY_BIASES],
    ['ADAGRAD', flags.DECAY],
    ['ADAM', flags.DECAY],
    ['ADAM', flags.AMSGRAD | flags.CLIP_VALUE],
    ['ADAMW', flags.DECAY],
  ] as const)('%s, flags %i', (optimizer, bits) => {
    const units = 300 // more than a block of the norm
    const [p, g, m, v, a] = [0, 1, 2, 3, 4].map((i) => address(Region.HOME, i * units)) as [number, number, number, number, number]
    const scalars = Object.fromEntries([0.01, 0.1, 0.4, 1e-6, 0.9, 0.1, 0.95, 0.05, 1.2].map((x, i) => [i, x]))
    const random = randoms(3)
    const block = (least: number) => Float32Array.from({ length: units * UNIT_FLOATS }, () => Math.max(least, random()))
    const writes = [p, g, m].map((at) => ({ at, data: block(-2) })).concat([v, a].map((at) => ({ at, data: block(0) })))
    const plan = planOf(
      [['NORM', g, units], ['CLIP', 0], ['GUARD'], ['UPDATE', p, g, m, v, a, units, 200, Optimizer[optimizer], bits]],
      [5],
    )
    const job = { bytes: [5 * units * UNIT_BYTES, 0, 0, 0, 0], plan, frames: frameOf({ lengths: [1], scalars }), count: 1 }
    const reads: Read[] = [{ at: p, kind: 'float32', length: 5 * units * UNIT_FLOATS }]
    const [mine, theirs] = [wasm(), oracle()].map((engine) => {
      engine.run({ ...job, writes, reads: [] })
      return engine.run({ ...job, writes: [], reads })
    })
    expect(mine!.results[4]).toBeLessThan(1)
    expect(mine!.results).toEqual(theirs!.results)
    expect(mine!.reads[0]).toEqual(theirs!.reads[0])
    expect(mine!.reads[0]!.subarray(0, 16)).not.toEqual(writes[0]!.data.subarray(0, 16))
  })

  test.each(Object.keys(Cell) as (keyof typeof Cell)[])('%s of every kind of number', (cell) => {
    const random = randoms(11)
    const special = [0, -0, NaN, Infinity, -Infinity, 1e-40, -1e-40, 1e30, -1e30, 88, -88, 87.5, 7.9, -7.9053, 2 ** -101, 2 ** -100]
    const values = Float32Array.from({ length: 4096 }, (_, i) => special[i] ?? random() * 2 ** (20 * random()))
    const at = (unit: number) => address(Region.SCRATCH, unit)
    const units = values.length / UNIT_FLOATS
    const [N, data, pack] = [16, address(Region.DATA, 0), address(Region.PACK, 0)]
    const rows = values.length / N
    const plan = planOf([
      ['FETCH', at(0), data, N],
      ['ACTIVATE', at(units), at(0), N, Head.SIGMOID, Rows.STEPS],
      ['ACTIVATE', at(2 * units), at(0), N, Head.SOFTMAX, Rows.STEPS],
      ['ZERO', at(5 * units), 2 * units],
      ['PACK', pack, at(6 * units), N, N, Pack.PROJECT],
      ['FETCH', at(3 * units), data, N],
      ['RECUR', at(3 * units), at(5 * units), at(6 * units), pack, N, Cell[cell]],
      ['RECUR_BACK', at(4 * units), at(3 * units), at(5 * units), at(0), Above.STEPS, at(6 * units), pack, N, Cell[cell], NONE, NONE],
    ])
    const bytes = [0, values.byteLength, 0, 7 * units * UNIT_BYTES, 4 * N * N]
    const frames = frameOf({ lengths: Array<number>(rows).fill(1) })
    const reads: Read[] = [{ at: at(units), kind: 'float32', length: 4 * values.length }]
    const [mine, theirs] = [wasm(), oracle()].map((engine) =>
      engine.run({ bytes, writes: [{ at: data, data: values }], plan, frames, count: 1, reads }),
    )
    const whole = matrix(0, 1, 4 * values.length)
    expect(bitsOf(mine!.reads[0]!, whole)).toEqual(bitsOf(theirs!.reads[0]!, whole))
  })
})
