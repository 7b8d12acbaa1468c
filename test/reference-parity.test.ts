/*
 * Every backend that loads here against the reference of its arithmetic class, to the last bit: parameters, moments, losses and norms
 * after four training steps on a ragged batch with an empty sequence, for each cell, head, readout, kind of input and optimiser.
 */
import { describe, expect, it } from 'vitest'
import type { LocalEngine } from '#lib/backends/engine.js'
import { loadBackend } from '#lib/backends/select.js'
import { UNIT_FLOATS } from '#lib/plan/memory.js'
import { Cell, Head, Optimizer, UpdateFlag } from '#lib/plan/operations.js'
import { Scalar } from '#lib/plan/optimizers.js'
import { createFused, createReference } from '#lib/reference/engine.js'
import { elman, planOf, type Shape, valuesFor, writesOf } from './reference-net.js'

const { NESTEROV, CENTERED, AMSGRAD, MOMENTUM, DECAY, DECAY_BIASES, CLIP_VALUE } = UpdateFlag
const updates: [keyof typeof Optimizer, number][] = [
  ['SGD', 0],
  ['SGD', MOMENTUM | NESTEROV | DECAY],
  ['RMSPROP', CENTERED | MOMENTUM | DECAY | DECAY_BIASES],
  ['ADAGRAD', CLIP_VALUE],
  ['ADAM', DECAY],
  ['ADAM', AMSGRAD],
  ['ADAMW', DECAY],
]
const shapes: Shape[] = []
// Sizes on both sides of every vector width; relu in one layer, so that nothing overflows.
for (const cell of Object.keys(Cell) as Shape['cell'][])
  for (const head of Object.keys(Head) as Shape['head'][])
    for (const readout of ['all', 'last'] as const)
      for (const tokens of [true, false])
        shapes.push({ input: 5, states: cell === 'RELU' ? [23] : [19, 34], outputs: 21, tokens, cell, head, readout, twoBiases: tokens })

function job(shape: Shape, [optimizer, flags]: (typeof updates)[number], count = 4) {
  const scalars = {
    [Scalar.LR]: 0.05,
    [Scalar.WD]: 0.99,
    [Scalar.CLIP]: 0.01,
    [Scalar.EPS]: 1e-6,
    [Scalar.A]: 0.9,
    [Scalar.B]: 0.1,
    [Scalar.C]: 0.75,
    [Scalar.D]: 0.25,
    [Scalar.RHO]: 3,
  }
  const net = elman(shape, { lengths: [7, 5, 5, 2, 1, 0], from: [0, 1, 0, 0, 1, 0], scale: 0.05, scalars })
  const [m, v, a] = net.moments as [number, number, number]
  const plan = planOf(
    [
      ...net.forward,
      ...net.backward,
      ['CLIP', 0],
      ['GUARD'],
      [
        'UPDATE',
        net.p.U0!,
        net.firstGradient,
        m,
        v,
        a,
        net.parameterUnits,
        Math.floor(net.parameterUnits / 2),
        Optimizer[optimizer],
        flags,
      ],
    ],
    [0.5],
  )
  const frames = new Int32Array(net.frame.length * count)
  for (let n = 0; n < count; n++) frames.set(net.frame, n * net.frame.length)
  const floats = net.parameterUnits * UNIT_FLOATS
  const reads = [
    ...[net.p.U0!, net.firstGradient, m, v, a].map((at) => ({ at, kind: 'float32' as const, length: floats })),
    ...net.norms.map((at) => ({ at, kind: 'float64' as const, length: net.R })),
    ...net.norms0.map((at) => ({ at, kind: 'float64' as const, length: net.B })),
    { at: net.rowLoss, kind: 'float64' as const, length: 2 * net.outputRows },
  ]
  return { bytes: net.bytes, writes: writesOf(net, valuesFor(net, 1)), plan, frames, count, reads }
}

const candidates: [string, () => LocalEngine][] = []
for (const name of ['native', 'wasm'] as const)
  for (const numerics of ['portable', 'fast'] as const) {
    try {
      const backend = loadBackend(name)
      candidates.push([`${name} ${numerics}`, () => backend.createLocal({ numerics, threads: 2 })])
    } catch (error) {
      console.warn(`parity: ${name} is left out: ${(error as Error).message}`)
    }
  }

it('compares at least the WebAssembly backend, which must load everywhere', () => {
  expect(candidates.map(([name]) => name)).toContain('wasm portable')
})

describe.each(candidates)('%s', (name, create) => {
  it.each(
    shapes.map((shape, n) => [`${shape.cell} ${shape.head} ${shape.readout} ${shape.tokens ? 'tokens' : 'numbers'}`, shape, n] as const),
  )('%s', (_, shape, n) => {
    const engine = create()
    const { arithmetic } = engine.description
    if (name.endsWith('portable')) expect(arithmetic).toBe('mul-add')
    const work = job(shape, updates[n % updates.length]!)
    const mine = engine.run(work)
    const reference = (arithmetic === 'fma' ? createFused() : createReference()).run(work)
    expect(mine.results).toEqual(reference.results)
    expect(mine.reads).toEqual(reference.reads)
    engine.dispose()
  })
})
