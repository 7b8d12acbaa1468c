/*
 * Lowers a network to a plan: the straight list of operations of one batch. What a plan does beyond running the network forward is said
 * by Wants; how many rows it has room for by Capacity. Cells, heads, losses, optimisers and truncation are composed here and nowhere else.
 */
import { layerInput } from '../network/network.js'
import type { Layout } from './layout.js'
import { Allocator, NONE, Region, stride, UNIT_FLOATS, unitsOf } from './memory.js'
import { Above, By, Cell, Head, Optimizer, Rows } from './operations.js'
import { packsOf } from './packs.js'
import type { Plan } from './plan.js'
import { type Movement, Writer } from './writer.js'

/** Room for B sequences of R rows in all. */
export interface Capacity {
  readonly B: number
  readonly R: number
}

/** Where the data of a call lie, addresses in DATA. */
export interface DataPlaces {
  /** Tokens, or dense rows of features. */
  readonly x: number
  readonly targets: number
  readonly weights: number
  /** backward(): dL/dlogits in packed rows of stride(t): [R] with readout 'all', else [B]. */
  readonly dz: number
  /** backward(): the same as [R] rows where states are given too and the readout is 'last', and dL/ds of each layer, [R] rows of stride(s_k). */
  readonly dzSteps: number
  readonly ds: readonly number[]
}
export const noData: DataPlaces = { x: NONE, targets: NONE, weights: NONE, dz: NONE, dzSteps: NONE, ds: [] }

export interface Update {
  readonly optimizer: keyof typeof Optimizer
  /** UpdateFlag bits. */
  readonly flags: number
  /** Blocks of moments in HOME, NONE where unused. */
  readonly m: number
  readonly v: number
  readonly a: number
  readonly maxNorm: number | undefined
}

export interface Wants {
  /** Prepare the weights for the kernels first: needed whenever they have changed since. */
  readonly pack?: boolean
  readonly logits?: boolean
  readonly outputs?: boolean
  readonly loss?: boolean
  /** From the loss, or from data.dz (and data.ds) without one. */
  readonly gradients?: 'fresh' | 'added'
  readonly dx?: boolean
  /** ‖dL/ds‖ for each layer and step, and dL/ds_0. */
  readonly stateGradients?: boolean
  readonly update?: Update
  /** Start from, and keep, carried states: `slots` rows for each layer, from this unit of CARRY on. */
  readonly carry?: { readonly slots: number; readonly unit: number }
  /** Go through time in stretches, with room for one of them. Not with outputs, logits, dx and stateGradients, nor gradients that are given. */
  readonly segments?: Segments
  /** Read out at other steps than the network does. */
  readonly readout?: 'last' | 'all'
}

/** How a training step goes through time (plan/memory.ts says what that takes). */
export interface Segments {
  /** Steps of a segment. */
  readonly steps: number
  /** At most so many segments in a frame: longer sequences have no room. */
  readonly most: number
  /** The states of all steps stay for the way back; otherwise those at the segments' borders, from which the others are computed anew. */
  readonly keepStates: boolean
}

/** A plan with the places of what can be read after each frame; NONE for what it does not make. */
export interface Compiled {
  readonly plan: Plan
  readonly capacity: Capacity
  readonly scratchBytes: number
  readonly packBytes: number
  /** Rows of stride(t): [R] with readout 'all', else [B]. */
  readonly logits: number
  readonly outputs: number
  /** [R] rows of stride(s_k). */
  readonly states: readonly number[]
  /** [B] rows of stride(s_k). */
  readonly initialStates: readonly number[]
  readonly dx: number
  /** Of each layer: [B] rows of stride(s_k) dL/ds_0; float64 [R] and [B] norms. */
  readonly g0: readonly number[]
  readonly norms: readonly number[]
  readonly norms0: readonly number[]
}

const cellOf = { tanh: Cell.TANH, relu: Cell.RELU, sigmoid: Cell.SIGMOID, identity: Cell.IDENTITY } as const
const headOf = { softmax: Head.SOFTMAX, sigmoid: Head.SIGMOID, linear: Head.LINEAR } as const

export function compile(layout: Layout, wants: Wants, capacity: Capacity, data: DataPlaces): Compiled {
  const { network, table } = layout
  const { B, R } = capacity
  const { size: O, head: headName } = network.output
  const head = headOf[headName]
  const cell = cellOf[network.nonlinearity]
  const layers = network.state.length
  const S = network.state
  const top = layers - 1
  const all = (wants.readout ?? network.readout) === 'all'
  const rows = all ? Rows.STEPS : Rows.BATCH
  const carries = wants.carry && layout.carries(wants.carry)
  const backward = wants.gradients !== undefined
  const { tokens } = network.input
  const { segments } = wants
  const recomputes = segments !== undefined && !segments.keepStates
  /** Rows that there is room for at a time. */
  const near = segments ? Math.max(B, Math.min(R, segments.steps * B)) : R
  const outputRows = all ? near : B

  const w = new Writer()
  const scratch = new Allocator(Region.SCRATCH)
  const room = (count: number, size: number) => scratch.floats(count * stride(size))
  const U = (k: number) => layout.parameter('U', k)
  const W = (k: number) => layout.parameter('W', k)
  const V = layout.parameter('V')
  const packs = packsOf(layout, wants, near)

  packs.emit(w, 'forward')
  if (wants.gradients === 'fresh') w.emit('ZERO', layout.g, table.units)

  // The states: of all steps, or of those of a segment; and the ones before, which are those at its border or in front of its first row.
  const s = S.map((size) => room(recomputes ? near : R, size))
  const s0 = S.map((size) => room(recomputes ? B * (segments.most + 1) : B, size))
  const unit = (k: number) => stride(S[k]!) / UNIT_FLOATS
  const sMoves = (k: number): Movement | undefined => (segments?.keepStates ? [By.ROW, unit(k)] : undefined)
  const s0Moves = (k: number): Movement | undefined => segments && (recomputes ? [By.SEGMENT, B * unit(k)] : [By.BEFORE, unit(k), s[k]!])
  S.forEach((size, k) => {
    if (carries) w.emit('STATE_IN', s0[k]!, carries[k]!, size)
    else w.emit('ZERO', s0[k]!, unitsOf(B * stride(size)))
  })

  // Project, recur: layer by layer over all steps.
  const K = network.input.size
  const x = tokens ? NONE : room(near, K)
  const reads = wants.logits || wants.outputs || wants.loss
  const h = all ? s[top]! : reads || data.dz !== NONE ? room(B, S[top]!) : NONE
  const fetch = () => {
    if (!tokens) w.emit('FETCH', x, data.x, K)
  }
  const forward = () => {
    fetch()
    for (let k = 0; k < layers; k++) {
      const [pack, b, bh] = [packs.at('U', k, 'forward'), layout.parameter('b', k), layout.parameter('bh', k)]
      if (k === 0 && tokens) w.emitMoving({ y: sMoves(0) }, 'GATHER', s[0]!, data.x, U(0), pack, b, bh, S[0]!, K)
      else {
        const [from, fromMoves] = k === 0 ? [x, undefined] : [s[k - 1]!, sMoves(k - 1)]
        w.emitMoving({ y: sMoves(k), x: fromMoves }, 'PROJECT', s[k]!, from, U(k), pack, b, bh, S[k]!, layerInput(network, k), Rows.STEPS)
      }
      w.emitMoving({ s: sMoves(k), s0: s0Moves(k) }, 'RECUR', s[k]!, s0[k]!, W(k), packs.at('W', k, 'forward'), S[k]!, cell)
    }
  }
  /** What stays of the states: in the next border, in what is carried on, in what is read out at the end. */
  const keep = () => {
    for (let k = 0; k < layers; k++) {
      const before = recomputes ? s0Moves(k) : undefined
      if (recomputes) w.emitMoving({ dst: before, s0: before }, 'LAST', s0[k]! + B * unit(k), s0[k]!, s[k]!, S[k]!)
      if (carries) w.emitMoving({ s0: before }, 'STATE_OUT', carries[k]!, s0[k]!, s[k]!, S[k]!)
      if (k === top && !all && h !== NONE) w.emitMoving({ s0: before }, 'LAST', h, s0[k]!, s[k]!, S[k]!)
    }
  }
  if (!segments) forward()
  else
    w.segments(segments.steps, 'forward', () => {
      forward()
      if (recomputes) keep()
      return 0
    })
  if (!recomputes) keep()

  // Read out.
  let logits = NONE
  let outputs = NONE
  let dz = data.dz
  let rowLoss = NONE
  const readOut = () => {
    logits = room(outputRows, O)
    const from = all ? { x: sMoves(top) } : {}
    w.emitMoving(from, 'PROJECT', logits, h, V, packs.at('V', -1, 'forward'), layout.parameter('c'), NONE, O, S[top]!, rows)
    if (wants.outputs) {
      outputs = wants.logits || wants.loss ? room(outputRows, O) : logits
      w.emit('ACTIVATE', outputs, logits, O, head, rows)
    }
    if (wants.loss) {
      rowLoss = scratch.floats((all ? R : B) * 4)
      dz = backward ? (wants.logits ? room(outputRows, O) : logits) : NONE
      w.emit('LOSS', dz, logits, data.targets, data.weights, rowLoss, O, head, rows)
    }
  }
  /** Outputs at every step are read out where their gradient is needed. */
  const readsOnTheWayBack = segments !== undefined && all
  if (reads && !readsOnTheWayBack) {
    readOut()
    if (wants.loss) w.emit('SUM_LOSS', rowLoss, rows)
  }

  // Backpropagation through time, from the top layer down.
  const g0: number[] = []
  const norms: number[] = []
  const norms0: number[] = []
  let dx = NONE
  if (backward) {
    const widest = Math.max(...S)
    const spare = [room(near, widest), layers > 1 ? room(near, widest) : NONE]
    const g = wants.stateGradients ? room(R, widest) : NONE
    /** Of each layer, in segments: d of the step behind. Where there are borders the last one, which nobody needs on the way back. */
    const after = S.map((size, k) => (recomputes ? s0[k]! + B * unit(k) * segments.most : segments ? room(B, size) : NONE))
    const tokenSums = tokens ? scratch.floats(stride(S[0]!) * K) : NONE
    let d = spare[0]!
    let above: number = NONE
    let aboveKind: number = Above.NONE
    const given = (k: number) => data.ds[k] ?? NONE
    const startFrom = (k: number) => {
      if (given(k) !== NONE) w.emit('COPY', d, given(k), unitsOf(R * stride(S[k]!)))
    }
    const VBackward = packs.at('V', -1, 'backward')
    const outputGradients = () => {
      startFrom(top)
      if (given(top) !== NONE) [above, aboveKind] = [d, Above.STEPS]
      const steps = all ? dz : data.dzSteps
      if (steps !== NONE) {
        w.emit('PROJECT_DX', d, steps, V, VBackward, O, S[top]!, Rows.STEPS, given(top) === NONE ? 0 : 1)
        ;[above, aboveKind] = [d, Above.STEPS]
      }
      if (dz === NONE) return
      w.emitMoving({ x: all ? sMoves(top) : undefined }, 'PROJECT_DW', layout.gradient('V'), dz, h, O, S[top]!, rows)
      if (network.outputBias) w.emit('BIAS_DW', layout.gradient('c'), dz, O, rows)
      if (steps !== NONE) return // After an update nobody wants what was read out.
      ;[above, aboveKind] = [wants.update ? h : room(B, S[top]!), Above.LAST]
      w.emit('PROJECT_DX', above, dz, V, VBackward, O, S[top]!, Rows.BATCH, 0)
    }
    const layerGradients = (k: number) => {
      const size = S[k]!
      const fan = layerInput(network, k)
      const pack = packs.at('W', k, 'backward')
      const moves = { s: sMoves(k), s0: s0Moves(k) }
      g0[k] = wants.stateGradients ? room(B, size) : NONE
      w.emitMoving({ s: moves.s }, 'RECUR_BACK', d, s[k]!, after[k]!, above, aboveKind, W(k), pack, size, cell, g, g0[k]!)
      if (segments) w.emit('COPY', after[k]!, d, B * unit(k))
      if (wants.stateGradients) {
        norms[k] = scratch.floats(2 * R)
        norms0[k] = scratch.floats(2 * B)
        w.emit('STEP_NORMS', norms0[k]!, norms[k]!, g0[k]!, g, size)
      }
      w.emitMoving(moves, 'RECUR_DW', layout.gradient('W', k), d, s[k]!, s0[k]!, size, size)
      if (k === 0 && tokens) w.emit('GATHER_DW', layout.gradient('U', 0), d, data.x, tokenSums, size, K)
      else {
        const [from, fromMoves] = k === 0 ? [x, undefined] : [s[k - 1]!, sMoves(k - 1)]
        w.emitMoving({ x: fromMoves }, 'PROJECT_DW', layout.gradient('U', k), d, from, size, fan, Rows.STEPS)
      }
      if (network.bias) w.emit('BIAS_DW', layout.gradient('b', k), d, size, Rows.STEPS)
      if (network.bias === 'double' && wants.gradients === 'added') w.emit('BIAS_DW', layout.gradient('bh', k), d, size, Rows.STEPS)
      if (k > 0) {
        const from = d
        d = d === spare[0] ? spare[1]! : spare[0]!
        startFrom(k - 1)
        w.emit('PROJECT_DX', d, from, U(k), packs.at('U', k, 'backward'), size, fan, Rows.STEPS, given(k - 1) === NONE ? 0 : 1)
        ;[above, aboveKind] = [d, Above.STEPS]
      } else if (wants.dx) {
        dx = room(R, fan)
        w.emit('PROJECT_DX', dx, d, U(0), packs.at('U', 0, 'backward'), size, fan, Rows.STEPS, 0)
      }
    }
    const back = () => {
      for (let k = top; k >= 0; k--) layerGradients(k)
    }
    packs.emit(w, 'backward')
    if (!all || !segments) outputGradients()
    if (!segments) back()
    else
      w.segments(segments.steps, 'backward', () => {
        const begin = w.length
        packs.emit(w, 'forward', true)
        if (recomputes) forward()
        else fetch() // the way forward has left those of the last segment
        const there = w.length - begin
        if (all) readOut()
        packs.emit(w, 'backward', true)
        if (all) outputGradients()
        back()
        return there
      })
    if (readsOnTheWayBack) w.emit('SUM_LOSS', rowLoss, rows)
    // Two biases have one gradient: the net adds them.
    if (network.bias === 'double' && wants.gradients === 'fresh')
      S.forEach((size, k) => w.emit('COPY', layout.gradient('bh', k), layout.gradient('b', k), unitsOf(size)))
    w.emit('NORM', layout.g, table.units)
  }

  if (wants.update) {
    const { maxNorm, m, v, a, flags, optimizer } = wants.update
    if (maxNorm !== undefined) w.emit('CLIP', w.constant(maxNorm))
    w.emit('GUARD')
    w.emit('UPDATE', layout.p, layout.g, m, v, a, table.units, table.matrixUnits, Optimizer[optimizer], flags)
  }
  return {
    plan: w.finish(),
    capacity,
    scratchBytes: scratch.bytes,
    packBytes: packs.bytes,
    logits,
    outputs,
    states: s,
    initialStates: s0,
    dx,
    g0,
    norms,
    norms0,
  }
}
