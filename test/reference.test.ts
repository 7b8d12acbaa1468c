/*
 * The reference against what it states: forward passes against the textbook formula written out for one sequence at a time, gradients
 * against central differences in float64, and the float32 classes against float64.
 */
import { describe, expect, it } from 'vitest'
import type { LocalEngine } from '#lib/backends/engine.js'
import { stride } from '#lib/plan/memory.js'
import { Result, Status } from '#lib/plan/operations.js'
import { createFused, createOracle, createReference } from '#lib/reference/engine.js'
import { type Elman, elman, planOf, randoms, type Shape, type Values, valuesFor, writesOf } from './reference-net.js'

const base: Shape = { input: 5, states: [7], outputs: 3, tokens: false, cell: 'TANH', head: 'SOFTMAX', readout: 'all', twoBiases: false }
const batch = { lengths: [6, 4, 4, 1], from: [0, 1, 0, 0], scale: 0.25 }
const shapes: [string, Shape][] = [
  ['tanh, softmax at every step', base],
  ['tanh, softmax at the last step, tokens', { ...base, readout: 'last', tokens: true, states: [17] }],
  ['two layers, sigmoid cell, linear head, two biases', { ...base, states: [6, 18], cell: 'SIGMOID', head: 'LINEAR', twoBiases: true }],
  ['three layers, last step, sigmoid head', { ...base, states: [4, 9, 5], head: 'SIGMOID', readout: 'last', outputs: 19 }],
  ['identity cell, tokens, two biases', { ...base, cell: 'IDENTITY', tokens: true, twoBiases: true, head: 'LINEAR' }],
  ['relu', { ...base, cell: 'RELU', states: [11] }],
]

type AnyValues = Omit<Values, 'parameters'> & { parameters: Record<string, Float32Array | Float64Array> }

function run(
  engine: LocalEngine,
  net: Elman,
  values: AnyValues,
  reads: { at: number; kind: 'float32' | 'float64'; length: number }[] = [],
) {
  const plan = planOf([...net.forward, ...net.backward])
  const job = { bytes: net.bytes, writes: writesOf(net, values as Values), plan, frames: net.frame, count: 1, reads }
  const { results, reads: out } = engine.run(job)
  expect(results[Result.STATUS]).toBe(Status.DONE)
  return { loss: results[Result.LOSS]!, score: results[Result.SCORE]!, norm: results[Result.NORM]!, out }
}

/** Σ wℓ of the whole batch by the formulas of the lecture, sequence by sequence, in float64. */
function byHand(net: Elman, { parameters, x, targets, weights, carried }: Values): { loss: number; outputs: number[][] } {
  const { shape, batch } = net
  const f = {
    TANH: Math.tanh,
    RELU: (a: number) => Math.max(a, 0),
    SIGMOID: (a: number) => 1 / (1 + Math.exp(-a)),
    IDENTITY: (a: number) => a,
  }[shape.cell]
  let loss = 0
  let before = 0
  const outputs: number[][] = []
  batch.lengths.forEach((length, q) => {
    const states = shape.states.map((S, k) => Array.from(carried[k]!.subarray(q * stride(S), q * stride(S) + S)))
    for (let i = 0; i < length; i++) {
      let below = shape.tokens
        ? Array.from({ length: shape.input }, (_, k) => (k === x[before + i] ? 1 : 0))
        : Array.from(x.subarray((before + i) * shape.input, (before + i + 1) * shape.input))
      shape.states.forEach((S, k) => {
        const [U, W, b, e] = [parameters[`U${k}`]!, parameters[`W${k}`]!, parameters[`b${k}`]!, parameters[`e${k}`]]
        const old = states[k]!
        states[k] = old.map((_, n) => {
          let a = b[n]! + (e ? e[n]! : 0)
          below.forEach((w, j) => (a += U[n * below.length + j]! * w))
          old.forEach((s, j) => (a += W[n * S + j]! * s))
          return f(a)
        })
        below = states[k]!
      })
      if (shape.readout === 'last' && i < length - 1) continue
      if (shape.readout === 'all' && i < (batch.from?.[q] ?? 0)) continue
      const row = shape.readout === 'all' ? before + i : q
      const z = Array.from({ length: shape.outputs }, (_, n) =>
        below.reduce((a, s, j) => a + parameters.V![n * below.length + j]! * s, parameters.c![n]!),
      )
      if (shape.head === 'SOFTMAX') {
        const sum = z.reduce((a, v) => a + Math.exp(v), 0)
        const o = z.map((v) => Math.exp(v) / sum)
        outputs.push(o)
        loss -= weights[row]! * Math.log(o[targets[row]!]!)
      } else
        z.forEach((v, j) => {
          const y = targets[row * z.length + j]!
          const o = 1 / (1 + Math.exp(-v))
          const l = shape.head === 'LINEAR' ? (v - y) ** 2 : -(y * Math.log(o) + (1 - y) * Math.log(1 - o))
          loss += weights[row * z.length + j]! * l
        })
    }
    before += length
  })
  return { loss, outputs }
}

describe.each(shapes)('%s', (_, shape) => {
  const net = elman(shape, batch)
  const values = valuesFor(net, 7)
  const reads = Object.entries(net.sizes).map(([name, length]) => ({ at: net.g[name]!, kind: 'float32' as const, length }))

  it('has the loss of the textbook', () => {
    const { loss } = run(createOracle(), net, values)
    expect(loss).toBeGreaterThan(0)
    expect(Math.abs(loss - byHand(net, values).loss) / loss).toBeLessThan(1e-13)
  })

  it('has the gradients of central differences, parameter by parameter', () => {
    const { out } = run(createOracle(), net, values, reads)
    const h = 1e-5
    Object.entries(net.sizes).forEach(([name, length], i) => {
      const random = randoms(i)
      const direction = Float64Array.from({ length }, random)
      const at = (step: number) => {
        const moved = Float64Array.from(values.parameters[name]!, (v, j) => v + step * direction[j]!)
        return run(createOracle(), net, { ...values, parameters: { ...values.parameters, [name]: moved } }).loss * batch.scale
      }
      const twice = shape.head === 'LINEAR' ? 2 : 1 // the frame's SCALE carries the 2 of d², see plan/frame.ts
      const numeric = (at(h) - at(-h)) / (2 * h) / twice
      const analytic = direction.reduce((sum, v, j) => sum + v * out[i]![j]!, 0)
      expect(Math.abs(numeric - analytic), `${name}: numeric ${numeric}, analytic ${analytic}`).toBeLessThan(
        1e-8 * Math.max(1, Math.abs(numeric)),
      )
      expect(Math.abs(analytic), name).toBeGreaterThan(1e-6)
    })
  })

  it('has the gradients of initial states and inputs, and their norms', () => {
    const { out } = run(createOracle(), net, values, [
      ...shape.states.map((S, k) => ({ at: net.g0[k]!, kind: 'float32' as const, length: net.B * stride(S) })),
      ...shape.states.map((_, k) => ({ at: net.norms0[k]!, kind: 'float64' as const, length: net.B })),
      { at: net.dx, kind: 'float32', length: net.R * stride(shape.input) },
    ])
    const h = 1e-3 // a float32 step
    shape.states.forEach((S, k) => {
      for (let q = 0; q < net.B; q++) {
        const row = out[k]!.subarray(q * stride(S), q * stride(S) + S)
        expect(out[shape.states.length + k]![q]).toBeCloseTo(Math.hypot(...row), 12)
      }
      const moved = (sign: number) => {
        const carried = values.carried.map((row) => row.slice())
        carried[k]![stride(S) + 1] = Math.fround(carried[k]![stride(S) + 1]! + sign * h)
        return { loss: run(createOracle(), net, { ...values, carried }).loss, at: carried[k]![stride(S) + 1]! }
      }
      const [up, down] = [moved(1), moved(-1)]
      const numeric = ((up.loss - down.loss) / (up.at - down.at)) * batch.scale * (shape.head === 'LINEAR' ? 0.5 : 1)
      expect(Math.abs(numeric - out[k]![stride(S) + 1]!), `s0 of layer ${k}`).toBeLessThan(1e-5)
    })
    if (shape.tokens) return
    const moved = (sign: number) => {
      const x = Float32Array.from(values.x)
      x[2] = Math.fround(x[2]! + sign * h)
      return { loss: run(createOracle(), net, { ...values, x }).loss, at: x[2]! }
    }
    const [up, down] = [moved(1), moved(-1)]
    const numeric = ((up.loss - down.loss) / (up.at - down.at)) * batch.scale * (shape.head === 'LINEAR' ? 0.5 : 1)
    expect(Math.abs(numeric - out.at(-1)![2]!), 'x').toBeLessThan(1e-5)
  })

  it.each([
    ['mul-add', createReference],
    ['fma', createFused],
  ] as const)('rounds within float32 in class %s', (name, create) => {
    const exact = run(createOracle(), net, values, reads)
    const engine = create()
    expect(engine.description.arithmetic).toBe(name)
    const rounded = run(engine, net, values, reads)
    expect(Math.abs(rounded.loss / exact.loss - 1)).toBeLessThan(2e-6)
    expect(Math.abs(rounded.norm / exact.norm - 1)).toBeLessThan(5e-6)
    rounded.out.forEach((gradient, i) => {
      expect(gradient).toBeInstanceOf(Float32Array)
      const scale = Math.hypot(...exact.out[i]!)
      expect(Math.hypot(...gradient.map((v, j) => v - exact.out[i]![j]!)) / scale, reads[i]!.at.toString()).toBeLessThan(3e-6)
    })
  })
})

it('gives probabilities, and counts hits', () => {
  const net = elman(base, { ...batch, from: [0, 0, 0, 0] })
  const values = valuesFor(net, 3)
  values.weights.fill(1)
  const { score, out } = run(createOracle(), net, values, [{ at: net.o, kind: 'float32', length: net.R * stride(3) }])
  const { outputs } = byHand(net, values)
  let row = 0
  const best: number[] = []
  // outputs are by sequence; packed rows by step
  const packed = new Map<string, number>()
  for (let i = 0; i < 6; i++) batch.lengths.forEach((n, q) => n > i && packed.set(`${q} ${i}`, row++))
  let n = 0
  batch.lengths.forEach((length, q) => {
    for (let i = 0; i < length; i++, n++) {
      const o = outputs[n]!
      const at = packed.get(`${q} ${i}`)! * stride(3)
      o.forEach((p, j) => expect(out[0]![at + j]).toBeCloseTo(p, 13))
      best.push(o.indexOf(Math.max(...o)))
    }
  })
  expect(score).toBe(best.filter((j, n) => j === values.targets[n]).length)
})

it('does not let one row of a batch see another', () => {
  const net = elman(base, batch)
  const values = valuesFor(net, 11)
  const alone = elman(base, { ...batch, lengths: [6], from: [0] })
  const mine = {
    ...values,
    x: values.x.slice(0, 6 * 5),
    targets: values.targets.slice(0, 6),
    weights: values.weights.slice(0, 6),
    carried: [values.carried[0]!.slice(0, stride(7))],
  }
  const states = run(createReference(), net, values, [{ at: net.s[0]!, kind: 'float32', length: net.R * stride(7) }]).out[0]!
  const lonely = run(createReference(), alone, mine, [{ at: alone.s[0]!, kind: 'float32', length: 6 * stride(7) }]).out[0]!
  const start = [0, 4, 7, 10, 13, 14]
  for (let i = 0; i < 6; i++)
    expect(states.slice(start[i]! * stride(7), start[i]! * stride(7) + 7)).toEqual(lonely.slice(i * stride(7), i * stride(7) + 7))
})
