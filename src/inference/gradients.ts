/*
 * gradients() and backward(): dL/d everything from the loss, or from given upstream gradients, with ‖dL/ds‖ for every step: where the
 * gradient vanishes or explodes can be seen. Both inside Core.inTurn() only; imported where they are asked for.
 */
import type { Read } from '../backends/engine.js'
import type { Core } from '../model/core.js'
import { weightTensors } from '../model/weights.js'
import { parameterView } from '../network/parameters.js'
import type { Compiled } from '../plan/compile.js'
import { stride, UNIT_FLOATS } from '../plan/memory.js'
import { type Frame, type Window, windows } from '../sequences/batch.js'
import type { Sequences, Targets, Upstream } from '../sequences/data.js'
import type { Backward, State, Tensor, Weights } from '../types.js'
import { expandRows, expandSteps, longest, stepStarts } from './expand.js'
import { tensor } from './forward.js'
import { type PassRequest, type PassResult, passNow, readRows } from './pass.js'

export interface GradientOptions {
  readonly initial: Float32Array[] | undefined
  readonly reduction: 'mean' | 'sum'
  readonly bptt: { window: number; stride: number } | undefined
  /** Core.held() when they were asked for. */
  readonly weights?: Float32Array | undefined
}

const wants = { gradients: 'fresh', dx: true, stateGradients: true } as const

/** Everything that gradients() and backward() read of one pass. */
const reads =
  (core: Core) =>
  (compiled: Compiled, { B, R }: Frame): Record<string, Read> => {
    const { state, input } = core.network
    const named: Record<string, Read> = {
      g: { at: core.layout.g, kind: 'float32', length: core.layout.table.units * UNIT_FLOATS },
      dx: readRows(compiled.dx, R, input.size),
    }
    state.forEach((S, k) => {
      named[`g0${k}`] = readRows(compiled.g0[k]!, B, S)
      named[`norms${k}`] = { at: compiled.norms[k]!, kind: 'float64', length: R }
      named[`norms0${k}`] = { at: compiled.norms0[k]!, kind: 'float64', length: B }
    })
    return named
  }

/** Results in the making: the users' shapes, filled pass by pass. */
class Collected {
  readonly x: Tensor
  readonly initialState: Tensor[]
  readonly norms: Tensor[]
  private readonly T: number

  constructor(
    private readonly core: Core,
    private readonly sequences: Sequences,
  ) {
    const { state, input } = core.network
    const B = sequences.count
    this.T = longest(sequences)
    this.x = tensor([B, this.T, input.size])
    this.initialState = state.map((S) => tensor([B, S]))
    this.norms = state.map(() => tensor([B, this.T + 1]))
  }

  add({ frame, read }: PassResult, window?: Window): void {
    const { state, input } = this.core.network
    this.addInputs(read['dx']!, frame, input.size, window)
    state.forEach((S, k) => {
      if (!window || window.from === 0) expandRows((j) => this.initialState[k]!.data.subarray(j * S), S, read[`g0${k}`]!, frame)
      this.setNorms(this.norms[k]!.data, read[`norms${k}`]!, read[`norms0${k}`]!, frame, window)
    })
  }

  /** dL/dx, summed over the windows that see a step. */
  private addInputs(packed: Float32Array | Float64Array, frame: Frame, R: number, window: Window | undefined): void {
    const { sequences, T, x } = this
    if (!window) return expandSteps((j) => x.data.subarray(j * T * R), R, packed, { frame, sequences }, 0)
    const width = stride(R)
    this.visit(frame, window, (id, step, row) => {
      const at = (id * T + step) * R
      for (let j = 0; j < R; j++) x.data[at + j] = x.data[at + j]! + packed[row * width + j]!
    })
  }

  /** ‖dL/ds‖ in slot step + 1; a masked step has the same state as the one before it, and so the same norm. */
  private setNorms(
    out: Float32Array,
    norms: Float32Array | Float64Array,
    norms0: Float32Array | Float64Array,
    frame: Frame,
    window: Window | undefined,
  ): void {
    const { T, sequences } = this
    if (!window || window.from === 0) for (let q = 0; q < frame.B; q++) out[frame.order[q]! * (T + 1)] = norms0[q]!
    this.visit(frame, window, (id, step, row, i) => {
      if (!window || i >= window.counted) out[id * (T + 1) + step + 1] = norms[row]!
    })
    if (!sequences.steps) return
    for (let id = 0; id < sequences.count; id++) {
      const used = new Set(sequences.steps.subarray(sequences.offsets[id]!, sequences.offsets[id + 1]!))
      for (let step = 0; step < sequences.lengths[id]!; step++) {
        const at = id * (T + 1) + step
        if (!used.has(step)) out[at + 1] = out[at]!
      }
    }
  }

  /** Every packed row of a frame: its sequence, its step as the user counts, and its place i among the rows of its sequence. */
  private visit(frame: Frame, window: Window | undefined, see: (id: number, step: number, row: number, i: number) => void): void {
    const { offsets, steps } = this.sequences
    const start = stepStarts(frame)
    const from = window?.from ?? 0
    for (let i = 0; i < frame.T; i++)
      for (let q = 0, alive = start[i + 1]! - start[i]!; q < alive; q++) {
        const id = frame.order[q]!
        see(id, steps ? steps[offsets[id]! + from + i]! : from + i, start[i]! + q, from + i)
      }
  }

  finish(block: Float32Array): Backward {
    const weights = weightTensors(this.core.layout.table, block) as Weights
    return {
      gradients: { ...weights, x: this.x, initialState: { layers: this.initialState.map((s) => ({ s })) } },
      stateGradientNorms: this.norms,
    }
  }
}

export async function gradients(
  core: Core,
  sequences: Sequences,
  targets: Targets,
  { initial, reduction, bptt, weights }: GradientOptions,
): Promise<Backward & { loss: number; finalState: State }> {
  const collected = new Collected(core, sequences)
  const request: PassRequest = {
    sequences,
    targets,
    wants: { ...wants, loss: true },
    weights,
    initial,
    final: true,
    frame: { reduction },
    reads: reads(core),
  }
  let loss = 0
  let weight = 0
  let last: PassResult
  const rows = sequences.offsets.subarray(1).reduce((most, to, id) => Math.max(most, to - sequences.offsets[id]!), 0)
  if (!bptt || rows === 0) {
    last = await passNow(core, request)
    collected.add(last)
    ;({ loss } = last)
    ;({ weight } = last.frame)
  } else {
    const start = initial ?? core.network.state.map((S) => new Float32Array(sequences.count * S))
    for (const window of windows(rows, bptt)) {
      const first = window.counted === 0
      const result: PassResult | undefined = await passNow(core, {
        ...request,
        wants: { ...request.wants, gradients: first ? 'fresh' : 'added' },
        initial: first ? start : 'carried',
        frame: { reduction, window },
      })
      collected.add(result, window)
      loss += result.loss
      weight += result.frame.weight
      last = result
    }
  }
  const finalState = { layers: last!.final!.map((s, k) => ({ s: { shape: [sequences.count, core.network.state[k]!], data: s } })) }
  return {
    ...collected.finish(last!.read['g'] as Float32Array),
    loss: reduction === 'sum' ? loss : weight > 0 ? loss / weight : 0,
    finalState,
  }
}

export async function backward(
  core: Core,
  sequences: Sequences,
  upstream: Upstream,
  initial: Float32Array[] | undefined,
): Promise<Backward> {
  const collected = new Collected(core, sequences)
  const request: PassRequest = {
    sequences,
    wants,
    initial,
    reads: reads(core),
    upstream: (frame) => packUpstream(core, sequences, upstream, frame),
  }
  const result = await passNow(core, request)
  const block = result.read['g'] as Float32Array
  collected.add(result)
  addToInitialStates(core, sequences, upstream, initial, collected, block)
  return collected.finish(block)
}

/** Upstream gradients [B, T, ·] in the packed rows of a frame. A masked step shows the state of the row before it: what comes from above goes there. */
function packUpstream(core: Core, sequences: Sequences, { logits, states }: Upstream, frame: Frame) {
  const { readout, output, state } = core.network
  const T = longest(sequences)
  const { offsets, steps } = sequences
  const start = stepStarts(frame)
  const rowsOfSteps = (dense: Float32Array, size: number) => {
    const width = stride(size)
    const packed = new Float32Array(frame.R * width)
    for (let q = 0; q < frame.B; q++) {
      const id = frame.order[q]!
      // A masked step has the state of the last row before it, and so adds to its gradient.
      for (let step = 0, row = -1; step < sequences.lengths[id]!; step++) {
        const next = offsets[id]! + row + 1
        if (next < offsets[id + 1]! && (steps ? steps[next]! : row + 1) === step) row++
        if (row < 0) continue
        const to = (start[row]! + q) * width
        const at = (id * T + step) * size
        for (let j = 0; j < size; j++) packed[to + j] = packed[to + j]! + dense[at + j]!
      }
    }
    return packed
  }
  const ds = states?.map((dense, k) => rowsOfSteps(dense, state[k]!))
  if (!logits) return { ds }
  const O = output.size
  if (readout === 'all') return { ds, dz: rowsOfSteps(logits, O) }
  const width = stride(O)
  const dz = new Float32Array(frame.B * width)
  const dzSteps = ds && new Float32Array(frame.R * width)
  for (let q = 0; q < frame.B; q++) {
    const id = frame.order[q]!
    const row = logits.subarray(id * O, id * O + O)
    dz.set(row, q * width)
    const rows = offsets[id + 1]! - offsets[id]!
    if (rows > 0) dzSteps?.set(row, (start[rows - 1]! + q) * width)
  }
  return { ds, dz, dzSteps }
}

/** What comes from above steps that show the initial state, since all before them are masked: no row of the pass stands for them. */
function addToInitialStates(
  core: Core,
  sequences: Sequences,
  { logits, states }: Upstream,
  initial: Float32Array[] | undefined,
  { initialState, norms }: Collected,
  block: Float32Array,
): void {
  const { output, state, readout } = core.network
  const { table } = core.layout
  const { count, offsets, steps, lengths } = sequences
  const O = output.size
  const T = longest(sequences)
  const top = state.length - 1
  const S = state[top]!
  const V = parameterView(core.weights(), table.get('V')!)
  const dV = parameterView(block, table.get('V')!)
  const c = table.get('c')
  const dc = c && parameterView(block, c)
  for (let id = 0; id < count; id++) {
    const empty = offsets[id] === offsets[id + 1]
    const early = empty ? lengths[id]! : steps ? steps[offsets[id]!]! : 0
    const head = (at: number, weights: boolean) => {
      for (let n = 0; n < O; n++) {
        const dz = logits![at + n]!
        for (let j = 0; j < S; j++) {
          initialState[top]!.data[id * S + j]! += dz * V[n * S + j]!
          if (weights && initial) dV[n * S + j]! += dz * initial[top]![id * S + j]!
        }
        if (weights && dc) dc[n]! += dz
      }
    }
    if (readout === 'all') for (let step = 0; logits && step < early; step++) head((id * T + step) * O, true)
    else if (logits && states && empty) head(id * O, false) // the pass has given V and c theirs
    state.forEach((size, k) => {
      const g0 = initialState[k]!.data.subarray(id * size, id * size + size)
      for (let step = 0; states && step < early; step++) for (let j = 0; j < size; j++) g0[j]! += states[k]![(id * T + step) * size + j]!
      if (early > 0 || empty) norms[k]!.data.fill(Math.sqrt(g0.reduce((sum, g) => sum + g * g, 0)), id * (T + 1), id * (T + 1) + early + 1)
    })
  }
}
