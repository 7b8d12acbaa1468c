/* The reference as an engine: memory that grows, frames in order, GUARD, CLIP and stop, prepared steps, and the optimisers. */
import { describe, expect, it } from 'vitest'
import type { LocalEngine } from '#lib/backends/engine.js'
import { address, NONE, Region, UNIT_FLOATS } from '#lib/plan/memory.js'
import { Optimizer, RESULT_FIELDS, Result, Status, UpdateFlag } from '#lib/plan/operations.js'
import { Scalar } from '#lib/plan/optimizers.js'
import { createOracle, createReference } from '#lib/reference/engine.js'
import { elman, frameOf, planOf, randoms, type Shape, valuesFor, writesOf } from './reference-net.js'

const shape: Shape = { input: 3, states: [5], outputs: 4, tokens: false, cell: 'TANH', head: 'SOFTMAX', readout: 'all', twoBiases: false }
const home = (unit: number) => address(Region.HOME, unit)
const empty = frameOf({ lengths: [] })
const none = { writes: [], plan: planOf([]), frames: empty, count: 0, reads: [] }
const room = (units: number) => new Array(5).fill(units * 64)

describe.each([
  ['float32', createReference],
  ['float64', createOracle],
])('memory of the %s reference', (kind, create) => {
  it('keeps HOME, DATA, CARRY and PACK when it grows, and never shrinks', () => {
    const engine = create()
    const regions = [Region.HOME, Region.DATA, Region.CARRY, Region.PACK]
    const floats = Float32Array.from({ length: 16 }, (_, i) => i + 0.5)
    const ints = Int32Array.from({ length: 16 }, (_, i) => -i)
    const writes = regions.flatMap((r) => [
      { at: address(r, 0), data: floats },
      { at: address(r, 1), data: ints },
    ])
    engine.run({ ...none, bytes: room(2), writes })
    const reads = regions.map((r) => ({ at: address(r, 0), kind: 'float32' as const, length: 32 }))
    const { reads: before } = engine.run({ ...none, bytes: room(0), reads })
    const { reads: after } = engine.run({ ...none, bytes: room(50), reads: [...reads, { at: home(40), kind: 'float64', length: 3 }] })
    expect(after.slice(0, 4)).toEqual(before)
    for (const read of before) expect(read.slice(0, 16)).toEqual(kind === 'float32' ? floats : Float64Array.from(floats))
    expect(after[4]).toEqual(new Float64Array(3))
    engine.dispose()
  })

  it('copies and zeroes every kind of value', () => {
    const engine = create()
    const tokens = Int32Array.from({ length: 16 }, (_, i) => i * 1000003)
    const plan = planOf([
      ['COPY', home(2), home(0), 1],
      ['ZERO', home(0), 1],
      ['GATHER', home(4), home(2), home(3), NONE, NONE, NONE, 1, 16],
    ])
    const writes = [
      { at: home(0), data: tokens },
      { at: home(3), data: new Float32Array(16).fill(7) },
    ]
    engine.run({ ...none, bytes: room(8), writes, plan, frames: frameOf({ lengths: [1] }), count: 1 })
    expect(engine.run({ ...none, bytes: room(0), reads: [{ at: home(4), kind: 'float32', length: 1 }] }).reads[0]![0]).toBe(7)
    expect(
      engine.run({ ...none, bytes: room(0), reads: [{ at: home(0), kind: 'float32', length: 16 }] }).reads[0]!.every((x) => x === 0),
    ).toBe(true)
  })
})

it('refuses what cannot be had, and changes nothing', () => {
  const engine = createReference()
  const read = { at: home(0), kind: 'float32' as const, length: 2 }
  engine.run({ ...none, bytes: room(1), writes: [{ at: home(0), data: Float32Array.of(1, 2) }] })
  expect(() => engine.run({ ...none, bytes: [64 * 100, 2 ** 52, 0, 0, 0], writes: [{ at: home(0), data: Float32Array.of(3) }] })).toThrow(
    expect.objectContaining({ code: 'ERR_OUT_OF_MEMORY', name: 'BpttError' }),
  )
  expect(engine.run({ ...none, bytes: room(0), reads: [read] }).reads[0]).toEqual(Float32Array.of(1, 2))
  expect(() => engine.run({ ...none, bytes: room(0), writes: [{ at: home(50), data: Float32Array.of(3) }] })).toThrow()
})

/** A net, and frames of one training step each. */
function training(maxNorm?: number) {
  const net = elman(shape, { lengths: [3, 2], scale: 1, scalars: { [Scalar.LR]: 0.1 } })
  const values = valuesFor(net, 2)
  values.weights.fill(1)
  const update = [
    'UPDATE',
    net.p.U0!,
    net.firstGradient,
    NONE,
    NONE,
    NONE,
    net.parameterUnits,
    net.parameterUnits,
    Optimizer.SGD,
    0,
  ] as const
  const plan = planOf(
    [...net.forward, ...net.backward, ...(maxNorm === undefined ? [] : [['CLIP', 0] as ['CLIP', number]]), ['GUARD'], [...update]],
    [maxNorm ?? 0],
  )
  const frames = new Int32Array(net.frame.length * 3)
  for (let n = 0; n < 3; n++) frames.set(net.frame, n * net.frame.length)
  const parameters = { at: net.p.U0!, kind: 'float32' as const, length: net.parameterUnits * UNIT_FLOATS }
  return { net, values, job: { bytes: net.bytes, writes: writesOf(net, values), plan, frames, count: 3, reads: [parameters] } }
}
const statuses = (results: Float64Array) =>
  Array.from({ length: results.length / RESULT_FIELDS }, (_, n) => results[n * RESULT_FIELDS + Result.STATUS])

it('runs frames in order, each from what the last one left', () => {
  const { job } = training()
  const together = createReference().run(job)
  expect(statuses(together.results)).toEqual([Status.DONE, Status.DONE, Status.DONE])
  const losses = [0, 1, 2].map((n) => together.results[n * RESULT_FIELDS + Result.LOSS]!)
  expect(losses[1]).toBeLessThan(losses[0]!)
  expect(losses[2]).toBeLessThan(losses[1]!)
  expect(together.results[Result.CLIP]).toBe(1)
  const engine = createReference()
  const one = { ...job, frames: job.frames.subarray(0, job.frames.length / 3), count: 1 }
  engine.run(one)
  // CARRY was written by STATE_OUT: the second step starts from it, as it did above.
  engine.run({ ...one, writes: [] })
  expect(engine.run({ ...one, writes: [] }).reads).toEqual(together.reads)
})

it('clips by the norm of all gradients', () => {
  const { results } = createReference().run(training(0.01).job)
  expect(results[Result.NORM]).toBeGreaterThan(0.01)
  expect(results[Result.CLIP]).toBe(Math.fround(0.01 / (results[Result.NORM]! + 1e-6)))
  expect(createReference().run(training(1e9).job).results[Result.CLIP]).toBe(1)
})

describe('GUARD', () => {
  const broken = (spoil: (net: ReturnType<typeof training>['net'], values: ReturnType<typeof training>['values']) => void) => {
    const { net, values, job } = training()
    spoil(net, values)
    const engine = createReference()
    const { results, reads } = engine.run({ ...job, writes: writesOf(net, values) })
    const untouched = createReference().run({ ...job, writes: writesOf(net, values), count: 0 }).reads
    expect(reads).toEqual(untouched)
    return statuses(results)
  }
  it('names a loss that is not finite first', () =>
    expect(broken((_, { x }) => ((x as Float32Array)[0] = NaN))).toEqual([Status.NONFINITE_LOSS, Status.PENDING, Status.PENDING]))
  it('then a gradient', () =>
    // States of ±1 from huge inputs: the loss is finite, d·x is not.
    expect(
      broken((_, { x, parameters }) => {
        x.fill(3e38)
        parameters.U0!.fill(0)
        parameters.V!.forEach((v, i) => (parameters.V![i] = v * 10))
      }),
    ).toEqual([Status.NONFINITE_GRADIENT, Status.PENDING, Status.PENDING]))
})

it('stops before an update, never after a part of one', () => {
  const { job } = training()
  let status: number = Status.STOPPED
  const engine: LocalEngine = createReference(() => status)
  const { results, reads } = engine.run(job)
  expect(statuses(results)).toEqual([Status.STOPPED, Status.PENDING, Status.PENDING])
  expect(reads).toEqual(createReference().run({ ...job, count: 0 }).reads)
  status = Status.PENDING
  expect(statuses(engine.run(job).results)).toEqual([Status.DONE, Status.DONE, Status.DONE])
})

it('prepares a step that carries its state on', () => {
  const net = elman({ ...shape, states: [5] }, { lengths: [1] })
  const values = valuesFor(net, 9)
  const plan = planOf(net.forward)
  const inputs = [0, 1, 2].map((seed) => Float32Array.from({ length: 3 }, randoms(seed)))
  const engine = createReference()
  engine.run({ ...none, bytes: net.bytes, writes: writesOf(net, values) })
  const step = engine.prepare({
    bytes: net.bytes,
    plan,
    frame: net.frame,
    input: { at: net.x, kind: 'float32', length: 3 },
    output: { at: net.o, length: 4 },
  })
  const { output } = step
  const stepwise = inputs.map((w) => {
    step.input.set(w)
    step.run()
    expect(step.output).toBe(output)
    return output.slice()
  })
  const whole = elman(shape, { lengths: [3] })
  const x = Float32Array.from(inputs.flatMap((w) => [...w]))
  const { reads } = createReference().run({
    ...none,
    bytes: whole.bytes,
    writes: writesOf(whole, { ...valuesFor(whole, 9), ...values, x, targets: new Int32Array(3), weights: new Float32Array(3) }),
    plan: planOf(whole.forward),
    frames: whole.frame,
    count: 1,
    reads: [0, 1, 2].map((i) => ({ at: whole.o + i, kind: 'float32' as const, length: 4 })),
  })
  expect(stepwise).toEqual(reads)
})

describe('optimisers, against their formulas in float64', () => {
  const n = 32 // the first 16 are matrices
  const random = randoms(4)
  const p0 = Float64Array.from({ length: n }, random)
  const gradients = [0, 1, 2].map(() => Float64Array.from({ length: n }, random))
  type Scalars = Partial<Record<keyof typeof Scalar, number>>

  /** Three updates of n parameters by the oracle. */
  function updated(optimizer: number, flags: number, scalars: (step: number) => Scalars): Float64Array {
    const engine = createOracle()
    const plan = planOf([['UPDATE', home(0), home(2), home(4), home(6), home(8), 2, 1, optimizer, flags]])
    let writes = [{ at: home(0), data: p0 as Float64Array }]
    gradients.forEach((g, i) => {
      const byIndex = Object.fromEntries(Object.entries(scalars(i + 1)).map(([name, v]) => [Scalar[name as keyof typeof Scalar], v]))
      engine.run({
        ...none,
        bytes: room(10),
        writes: [...writes, { at: home(2), data: g }],
        plan,
        frames: frameOf({ lengths: [], scalars: byIndex }),
        count: 1,
      })
      writes = []
    })
    return engine.run({ ...none, bytes: room(0), reads: [{ at: home(0), kind: 'float32', length: n }] }).reads[0] as Float64Array
  }
  /** The same, one parameter at a time, by PyTorch's published formulas. */
  function expected(rule: (p: number, g: number, state: Record<string, number>, step: number, matrix: boolean) => number) {
    return p0.map((p, x) => {
      const state: Record<string, number> = { m: 0, v: 0, a: 0 }
      gradients.forEach((g, i) => (p = rule(p, g[x]!, state, i + 1, x < 16)))
      return p
    })
  }
  const close = (a: Float64Array, b: Float64Array) => a.forEach((v, x) => expect(Math.abs(v - b[x]!), `parameter ${x}`).toBeLessThan(3e-7)) // scalars are float32
  const [lr, decay, mu, eps, alpha, b1, b2] = [0.05, 0.1, 0.9, 1e-3, 0.95, 0.8, 0.97]
  const { NESTEROV, CENTERED, AMSGRAD, MOMENTUM, DECAY, DECAY_BIASES, CLIP_VALUE } = UpdateFlag

  it('sgd: plain, with momentum, Nesterov and dampening, decay of matrices or of all', () => {
    close(
      updated(Optimizer.SGD, 0, () => ({ LR: lr })),
      expected((p, g) => p - lr * g),
    )
    const momentum = (nesterov: boolean, dampening: number) =>
      expected((p, g, s, t, matrix) => {
        const G = g + (matrix ? decay * p : 0)
        s.m = t === 1 ? G : mu * s.m! + (1 - dampening) * G
        return p - lr * (nesterov ? G + mu * s.m! : s.m!)
      })
    const scalars = (KEEP: number) => (t: number) => ({ LR: lr, WD: decay, A: mu, B: t === 1 ? 1 : KEEP })
    close(updated(Optimizer.SGD, MOMENTUM | DECAY, scalars(0.7)), momentum(false, 0.3))
    close(updated(Optimizer.SGD, MOMENTUM | DECAY | NESTEROV, scalars(1)), momentum(true, 0))
    close(
      updated(Optimizer.SGD, DECAY | DECAY_BIASES, () => ({ LR: lr, WD: decay })),
      expected((p, g) => p - lr * (g + decay * p)),
    )
    close(
      updated(Optimizer.SGD, CLIP_VALUE, () => ({ LR: lr, CLIP: 0.25 })),
      expected((p, g) => p - lr * Math.max(-0.25, Math.min(0.25, g))),
    )
  })

  it('rmsprop: plain, centred, with momentum', () => {
    const scalars = () => ({ LR: lr, EPS: eps, A: alpha, B: 1 - alpha, C: mu })
    const rule = (centered: boolean, momentum: boolean) =>
      expected((p, g, s) => {
        s.v = alpha * s.v! + (1 - alpha) * g * g
        s.a = alpha * s.a! + (1 - alpha) * g
        const d = g / (Math.sqrt(s.v - (centered ? s.a * s.a : 0)) + eps)
        s.m = mu * s.m! + d
        return p - lr * (momentum ? s.m : d)
      })
    // 1/(√q + ε) with q near 0 enlarges the rounding of the scalars.
    const near = (a: Float64Array, b: Float64Array) => a.forEach((v, x) => expect(Math.abs(v - b[x]!)).toBeLessThan(1e-5))
    near(updated(Optimizer.RMSPROP, 0, scalars), rule(false, false))
    near(updated(Optimizer.RMSPROP, CENTERED, scalars), rule(true, false))
    near(updated(Optimizer.RMSPROP, MOMENTUM, scalars), rule(false, true))
  })

  it('adagrad', () =>
    close(
      updated(Optimizer.ADAGRAD, 0, () => ({ LR: lr, EPS: eps })),
      expected((p, g, s) => {
        s.v! += g * g
        return p - (lr * g) / (Math.sqrt(s.v!) + eps)
      }),
    ))

  it('adam, amsgrad and adamw', () => {
    const scalars = (t: number) => ({
      LR: lr / (1 - b1 ** t),
      EPS: eps,
      A: b1,
      B: 1 - b1,
      C: b2,
      D: 1 - b2,
      RHO: 1 / Math.sqrt(1 - b2 ** t),
    })
    const rule = (amsgrad: boolean, l2: number, decoupled: number) =>
      expected((p, g, s, t, matrix) => {
        if (matrix) g += l2 * p
        if (matrix) p -= lr * decoupled * p
        s.m = b1 * s.m! + (1 - b1) * g
        s.v = b2 * s.v! + (1 - b2) * g * g
        s.a = Math.max(s.a!, s.v)
        return p - ((lr / (1 - b1 ** t)) * s.m) / (Math.sqrt((amsgrad ? s.a : s.v) / (1 - b2 ** t)) + eps)
      })
    close(updated(Optimizer.ADAM, 0, scalars), rule(false, 0, 0))
    close(updated(Optimizer.ADAM, AMSGRAD, scalars), rule(true, 0, 0))
    close(
      updated(Optimizer.ADAM, DECAY, (t) => ({ ...scalars(t), WD: decay })),
      rule(false, decay, 0),
    )
    close(
      updated(Optimizer.ADAMW, DECAY, (t) => ({ ...scalars(t), WD: 1 - lr * decay })),
      rule(false, 0, decay),
    )
  })
})
