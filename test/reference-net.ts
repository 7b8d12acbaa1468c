/*
 * An Elman network as a hand-written plan, for tests of engines: one function that lays out memory, writes the plan and its one ragged
 * frame, and says where everything is. Deliberately not the compiler of src/plan, which has tests of its own.
 */
import { FRAME_HEADER, FrameField, frameInts, SCALARS } from '#lib/plan/frame.js'
import { Allocator, address, floatOffset, NONE, packFloats, REGIONS, Region, stride, UNIT_FLOATS, unitsOf } from '#lib/plan/memory.js'
import { Above, Cell, Head, OPERATIONS, Opcode, type OperationName, Pack, Rows } from '#lib/plan/operations.js'
import type { Plan } from '#lib/plan/plan.js'

let ids = 1e6

/** `['ZERO', dst, units], …` as a plan. */
export function planOf(code: readonly [OperationName, ...number[]][], constants: number[] = []): Plan {
  for (const [name, ...args] of code)
    if (args.length !== OPERATIONS[name].length) throw new Error(`${name} takes ${OPERATIONS[name].join(' ')}`)
  return {
    id: ids++,
    code: Int32Array.from(code.flatMap(([name, ...args]) => [Opcode[name], ...args])),
    constants: Float64Array.from(constants),
  }
}

export interface Batch {
  /** Descending. */
  lengths: readonly number[]
  /** First step of each sequence that counts. */
  from?: readonly number[]
  scale?: number
  /** Of the optimiser, by index of Scalar. */
  scalars?: Record<number, number>
}

/** The frame of a batch whose sequences lie one after the other in inputs, targets, and carried states. */
export function frameOf({ lengths, from, scale = 1, scalars = {} }: Batch, readout: 'last' | 'all' = 'all'): Int32Array {
  const B = lengths.length
  const T = Math.max(0, ...lengths)
  const frame = new Int32Array(frameInts(B, T))
  const floats = new Float32Array(frame.buffer)
  const active = Array.from({ length: T }, (_, i) => lengths.filter((n) => n > i).length)
  const start = (i: number) => active.slice(0, i).reduce((a, b) => a + b, 0)
  const before = (q: number) => lengths.slice(0, q).reduce((a, b) => a + b, 0)
  const last = lengths.map((n, q) => (n === 0 ? -1 : start(n - 1) + q))
  const order = lengths.map((_, q) => q)
  frame[FrameField.SIZE] = frame.length
  frame[FrameField.B] = B
  frame[FrameField.T] = T
  frame[FrameField.R] = start(T)
  floats[FrameField.SCALE] = scale
  for (const [i, value] of Object.entries(scalars)) floats[SCALARS + Number(i)] = value
  frame.set(
    [
      active,
      order.map(before),
      order.map((q) => (readout === 'all' ? before(q) : q)),
      last,
      from ?? order.map(() => 0),
      order,
      last,
      order,
    ].flat(),
    FRAME_HEADER,
  )
  return frame
}

/** A small generator of numbers in [-1, 1), the same in every run. */
export function randoms(seed: number) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    let x = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d)
    x = Math.imul(x ^ (x >>> 12), 0x297a2d39)
    return ((x ^ (x >>> 15)) >>> 0) / 2 ** 31 - 1
  }
}

export interface Shape {
  input: number
  states: readonly number[]
  outputs: number
  tokens: boolean
  cell: keyof typeof Cell
  head: keyof typeof Head
  readout: 'last' | 'all'
  twoBiases: boolean
}

/** Everything a test needs to run the network on an engine and to compute it by hand. */
export function elman(shape: Shape, batch: Batch) {
  const { input: r, states, outputs: O, tokens, readout } = shape
  const B = batch.lengths.length
  const R = batch.lengths.reduce((a, b) => a + b, 0)
  const rows = readout === 'all' ? Rows.STEPS : Rows.BATCH
  const outputRows = readout === 'all' ? R : B
  const top = states.length - 1
  const cell = Cell[shape.cell]
  const head = Head[shape.head]

  // Parameters by name, gradients in the same order behind them.
  const sizes: Record<string, number> = {}
  states.forEach((S, k) => (sizes[`U${k}`] = S * (k === 0 ? r : states[k - 1]!)))
  states.forEach((S, k) => (sizes[`W${k}`] = S * S))
  sizes.V = O * states[top]!
  states.forEach((S, k) => (sizes[`b${k}`] = S))
  if (shape.twoBiases) states.forEach((S, k) => (sizes[`e${k}`] = S))
  sizes.c = O
  const home = new Allocator(Region.HOME)
  const p = Object.fromEntries(Object.entries(sizes).map(([name, n]) => [name, home.floats(n)]))
  const parameterUnits = home.units
  const g = Object.fromEntries(Object.entries(sizes).map(([name, n]) => [name, home.floats(n)]))
  const moments = [0, 1, 2].map(() => home.floats(parameterUnits * UNIT_FLOATS))

  const data = new Allocator(Region.DATA)
  const x = data.floats(R * (tokens ? 1 : r))
  const targets = data.floats(outputRows * (head === Head.SOFTMAX ? 1 : O))
  const weights = data.floats(outputRows * (head === Head.SOFTMAX ? 1 : O))
  const carry = new Allocator(Region.CARRY)
  const carried = states.map((S) => carry.floats(B * stride(S)))

  const packs = new Allocator(Region.PACK)
  const scratch = new Allocator(Region.SCRATCH)
  const room = (count: number, size: number) => scratch.floats(count * stride(size))
  const widest = Math.max(...states)
  const inputs = room(R, r)
  const s = states.map((S) => room(R, S))
  const s0 = states.map((S) => room(B, S))
  const h = readout === 'all' ? s[top]! : room(B, states[top]!)
  const z = room(outputRows, O)
  const o = room(outputRows, O)
  const dz = room(outputRows, O)
  const dh = readout === 'all' ? room(R, widest) : room(B, widest)
  const d = states.map(() => room(R, widest))
  const gs = states.map((S) => room(R, S))
  const g0 = states.map((S) => room(B, S))
  const dx = room(R, r)
  const norms = states.map(() => scratch.floats(2 * R))
  const norms0 = states.map(() => scratch.floats(2 * B))
  const rowLoss = scratch.floats(4 * outputRows)

  const forward: [OperationName, ...number[]][] = []
  const packed = (M: number, N: number, K: number, form: number) => {
    const pack = packs.floats(packFloats(N, K))
    forward.push(['PACK', pack, M, N, K, form])
    return pack
  }
  if (!tokens) forward.push(['FETCH', inputs, x, r])
  states.forEach((S, k) => {
    const K = k === 0 ? r : states[k - 1]!
    const second = shape.twoBiases ? p[`e${k}`]! : NONE
    if (k === 0 && tokens) forward.push(['GATHER', s[0]!, x, p.U0!, packed(p.U0!, S, K, Pack.GATHER), p.b0!, second, S, K])
    else
      forward.push([
        'PROJECT',
        s[k]!,
        k === 0 ? inputs : s[k - 1]!,
        p[`U${k}`]!,
        packed(p[`U${k}`]!, S, K, Pack.PROJECT),
        p[`b${k}`]!,
        second,
        S,
        K,
        Rows.STEPS,
      ])
    forward.push(['STATE_IN', s0[k]!, carried[k]!, S])
    forward.push(['RECUR', s[k]!, s0[k]!, p[`W${k}`]!, packed(p[`W${k}`]!, S, S, Pack.PROJECT), S, cell])
    forward.push(['STATE_OUT', carried[k]!, s0[k]!, s[k]!, S])
  })
  if (readout === 'last') forward.push(['LAST', h, s0[top]!, s[top]!, states[top]!])
  forward.push(['PROJECT', z, h, p.V!, packed(p.V!, O, states[top]!, Pack.PROJECT), p.c!, NONE, O, states[top]!, rows])
  forward.push(['ACTIVATE', o, z, O, head, rows])
  forward.push(['LOSS', dz, z, targets, weights, rowLoss, O, head, rows], ['SUM_LOSS', rowLoss, rows])

  const backward: [OperationName, ...number[]][] = [['ZERO', g[Object.keys(sizes)[0]!]!, parameterUnits]]
  const unpacked = packs.floats(packFloats(Math.max(widest, O, r), Math.max(widest, O, r)))
  const project_dx = (dxAt: number, dyAt: number, M: number, N: number, K: number, of: number) =>
    backward.push(['PACK', unpacked, M, N, K, Pack.PROJECT_DX], ['PROJECT_DX', dxAt, dyAt, M, unpacked, N, K, of, 0])
  project_dx(dh, dz, p.V!, O, states[top]!, rows)
  backward.push(['PROJECT_DW', g.V!, dz, h, O, states[top]!, rows], ['BIAS_DW', g.c!, dz, O, rows])
  for (let k = top; k >= 0; k--) {
    const S = states[k]!
    const K = k === 0 ? r : states[k - 1]!
    const [above, kind] = k < top ? [d[k]!, Above.STEPS] : readout === 'all' ? [dh, Above.STEPS] : [dh, Above.LAST]
    backward.push(['PACK', unpacked, p[`W${k}`]!, S, S, Pack.PROJECT_DX])
    backward.push(['RECUR_BACK', d[k]!, s[k]!, s0[k]!, above, kind, p[`W${k}`]!, unpacked, S, cell, gs[k]!, g0[k]!])
    backward.push(['STEP_NORMS', norms0[k]!, norms[k]!, g0[k]!, gs[k]!, S])
    backward.push(['RECUR_DW', g[`W${k}`]!, d[k]!, s[k]!, s0[k]!, S, S])
    if (k === 0 && tokens) backward.push(['GATHER_DW', g.U0!, d[0]!, x, scratch.floats(stride(S) * K), S, K])
    else backward.push(['PROJECT_DW', g[`U${k}`]!, d[k]!, k === 0 ? inputs : s[k - 1]!, S, K, Rows.STEPS])
    backward.push(['BIAS_DW', g[`b${k}`]!, d[k]!, S, Rows.STEPS])
    if (shape.twoBiases) backward.push(['COPY', g[`e${k}`]!, g[`b${k}`]!, unitsOf(S)])
    if (k > 0) project_dx(d[k - 1]!, d[k]!, p[`U${k}`]!, S, K, Rows.STEPS)
    else if (!tokens) project_dx(dx, d[0]!, p.U0!, S, K, Rows.STEPS)
  }
  const firstGradient = g[Object.keys(sizes)[0]!]!
  backward.push(['NORM', firstGradient, parameterUnits])

  const bytes = new Array<number>(REGIONS).fill(0)
  for (const part of [home, data, carry, scratch, packs]) bytes[part.region] = part.bytes
  return {
    shape,
    batch,
    B,
    R,
    outputRows,
    rows,
    sizes,
    p,
    g,
    moments,
    parameterUnits,
    firstGradient,
    x,
    targets,
    weights,
    carried,
    s,
    z,
    o,
    dz,
    g0,
    gs,
    dx,
    norms,
    norms0,
    rowLoss,
    bytes,
    forward,
    backward,
    frame: frameOf(batch, readout),
    /** Where a parameter's values begin in the block of all parameters, in floats. */
    offset: (name: string) => floatOffset(p[name]!) - floatOffset(address(Region.HOME, 0)),
  }
}
export type Elman = ReturnType<typeof elman>

/** Random values for everything the network reads, as float32 numbers. */
export function valuesFor(net: Elman, seed: number) {
  const random = randoms(seed)
  const { shape, R, B, outputRows } = net
  const floats = (n: number, size = 1) => Float32Array.from({ length: n }, () => size * random())
  const whole = (n: number, below: number) => Int32Array.from({ length: n }, () => Math.floor(((random() + 1) / 2) * below))
  const classes = shape.head === 'SOFTMAX'
  const count = outputRows * (classes ? 1 : shape.outputs)
  return {
    parameters: Object.fromEntries(Object.entries(net.sizes).map(([name, n]) => [name, floats(n, 0.7)])),
    x: shape.tokens ? whole(R, shape.input) : floats(R * shape.input),
    targets: classes ? whole(count, shape.outputs) : shape.head === 'SIGMOID' ? Float32Array.from(whole(count, 2)) : floats(count),
    /** One in five does not count. */
    weights: Float32Array.from({ length: count }, () => (random() < -0.6 ? 0 : 1 + random() / 2)),
    carried: shape.states.map((S) => {
      const rows = new Float32Array(B * stride(S))
      for (let q = 0; q < B; q++) rows.set(floats(S), q * stride(S))
      return rows
    }),
  }
}
export type Values = ReturnType<typeof valuesFor>

export function writesOf(net: Elman, values: Values) {
  return [
    ...Object.entries(values.parameters).map(([name, data]) => ({ at: net.p[name]!, data })),
    { at: net.x, data: values.x },
    { at: net.targets, data: values.targets },
    { at: net.weights, data: values.weights },
    ...values.carried.map((data, k) => ({ at: net.carried[k]!, data })),
  ]
}
