/*
 * Lowers a network to a plan: the straight list of operations of one batch. What a plan does beyond running the network forward is said
 * by Wants; how many rows it has room for by Capacity. Cells, heads, losses, optimisers and truncation are composed here and nowhere else.
 */
import { layerInput, type Network } from '../network/network.js'
import { type Parameter, type ParameterName, parameterTable } from '../network/parameters.js'
import { Allocator, address, NONE, packFloats, REGIONS, Region, stride, unitsOf } from './memory.js'
import { Above, Cell, Head, OPERATIONS, Opcode, type OperationName, Optimizer, Pack, Rows } from './operations.js'
import type { Plan } from './plan.js'

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
  /** Read out at other steps than the network does. */
  readonly readout?: 'last' | 'all'
}

/** A plan with the places of what can be read after each frame; NONE for what it does not make. */
export interface Compiled {
  readonly plan: Plan
  readonly capacity: Capacity
  readonly scratchBytes: number
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

/** The fixed part of a model's memory: where parameters, gradients and packed weights are. */
export class Layout {
  readonly table
  readonly p: number
  readonly g: number
  /** Units of HOME that parameters and gradients take; moments come behind. */
  readonly homeUnits: number
  readonly packBytes: number
  private readonly packs = new Map<string, number>()

  constructor(readonly network: Network) {
    this.table = parameterTable(network)
    this.p = address(Region.HOME, 0)
    this.g = address(Region.HOME, this.table.units)
    this.homeUnits = 2 * this.table.units
    const packs = new Allocator(Region.PACK)
    for (const { name, layer, shape } of this.table.list) {
      if (shape.length < 2) continue
      const floats = packFloats(shape[0]!, shape[1]!)
      this.packs.set(`${name}${layer} forward`, packs.floats(floats))
      this.packs.set(`${name}${layer} backward`, packs.floats(floats))
    }
    this.packBytes = packs.bytes
  }

  parameter(name: ParameterName, layer = -1): number {
    const p = this.table.get(name, layer)
    return p ? this.p + p.unit : NONE
  }
  gradient(name: ParameterName, layer = -1): number {
    const p = this.table.get(name, layer)
    return p ? this.g + p.unit : NONE
  }
  pack(name: ParameterName, layer: number, direction: 'forward' | 'backward'): number {
    return this.packs.get(`${name}${layer} ${direction}`)!
  }
  /** Addresses of the layers' carried states, rows of stride(s_k). */
  carries({ slots, unit }: { slots: number; unit: number }): number[] {
    const carry = new Allocator(Region.CARRY)
    carry.units = unit
    return this.network.state.map((S) => carry.floats(stride(S) * slots))
  }
  /** Units that they take. */
  carryUnits(slots: number): number {
    return this.network.state.reduce((sum, S) => sum + unitsOf(stride(S) * slots), 0)
  }
}

let plans = 0

class Writer {
  private readonly code: number[] = []
  private readonly constants: number[] = []
  emit(name: OperationName, ...args: number[]): void {
    if (args.length !== OPERATIONS[name].length) throw new Error(`${name} takes ${OPERATIONS[name].length} arguments`)
    this.code.push(Opcode[name], ...args)
  }
  constant(value: number): number {
    this.constants.push(value)
    return this.constants.length - 1
  }
  finish(): Plan {
    return { id: ++plans, code: Int32Array.from(this.code), constants: Float64Array.from(this.constants) }
  }
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
  const outputRows = all ? R : B
  const carries = wants.carry && layout.carries(wants.carry)
  const backward = wants.gradients !== undefined
  const { tokens } = network.input

  const w = new Writer()
  const scratch = new Allocator(Region.SCRATCH)
  const room = (count: number, size: number) => scratch.floats(count * stride(size))
  const U = (k: number) => layout.parameter('U', k)
  const W = (k: number) => layout.parameter('W', k)
  const V = layout.parameter('V')

  if (wants.pack) packWeights(w, layout, wants)
  if (wants.gradients === 'fresh') w.emit('ZERO', layout.g, table.units)

  // Project, recur: layer by layer over all steps.
  const K = network.input.size
  const x = tokens ? NONE : room(R, K)
  if (!tokens) w.emit('FETCH', x, data.x, K)
  const s = S.map((size) => room(R, size))
  const s0 = S.map((size) => room(B, size))
  for (let k = 0; k < layers; k++) {
    const [pack, b, bh] = [layout.pack('U', k, 'forward'), layout.parameter('b', k), layout.parameter('bh', k)]
    if (k === 0 && tokens) w.emit('GATHER', s[0]!, data.x, U(0), pack, b, bh, S[0]!, K)
    else w.emit('PROJECT', s[k]!, k === 0 ? x : s[k - 1]!, U(k), pack, b, bh, S[k]!, layerInput(network, k), Rows.STEPS)
    if (carries) w.emit('STATE_IN', s0[k]!, carries[k]!, S[k]!)
    else w.emit('ZERO', s0[k]!, unitsOf(B * stride(S[k]!)))
    w.emit('RECUR', s[k]!, s0[k]!, W(k), layout.pack('W', k, 'forward'), S[k]!, cell)
    if (carries) w.emit('STATE_OUT', carries[k]!, s0[k]!, s[k]!, S[k]!)
  }

  // Read out.
  const reads = wants.logits || wants.outputs || wants.loss
  const h = all ? s[top]! : reads || data.dz !== NONE ? room(B, S[top]!) : NONE
  if (!all && h !== NONE) w.emit('LAST', h, s0[top]!, s[top]!, S[top]!)
  let logits = NONE
  let outputs = NONE
  let dz = data.dz
  if (reads) {
    logits = room(outputRows, O)
    w.emit('PROJECT', logits, h, V, layout.pack('V', -1, 'forward'), layout.parameter('c'), NONE, O, S[top]!, rows)
    if (wants.outputs) {
      outputs = wants.logits || wants.loss ? room(outputRows, O) : logits
      w.emit('ACTIVATE', outputs, logits, O, head, rows)
    }
    if (wants.loss) {
      const rowLoss = scratch.floats(outputRows * 4)
      dz = backward ? (wants.logits ? room(outputRows, O) : logits) : NONE
      w.emit('LOSS', dz, logits, data.targets, data.weights, rowLoss, O, head, rows)
      w.emit('SUM_LOSS', rowLoss, rows)
    }
  }

  // Backpropagation through time, from the top layer down.
  const g0: number[] = []
  const norms: number[] = []
  const norms0: number[] = []
  let dx = NONE
  if (backward) {
    const steps = all ? dz : data.dzSteps
    const widest = Math.max(...S)
    const spare = [room(R, widest), layers > 1 ? room(R, widest) : NONE]
    const g = wants.stateGradients ? room(R, widest) : NONE
    let d = spare[0]!
    let above: number = NONE
    let aboveKind: number = Above.NONE
    const given = (k: number) => data.ds[k] ?? NONE
    const startFrom = (k: number) => {
      if (given(k) !== NONE) w.emit('COPY', d, given(k), unitsOf(R * stride(S[k]!)))
    }
    const VBackward = layout.pack('V', -1, 'backward')
    startFrom(top)
    if (given(top) !== NONE) [above, aboveKind] = [d, Above.STEPS]
    if (steps !== NONE) {
      w.emit('PROJECT_DX', d, steps, V, VBackward, O, S[top]!, Rows.STEPS, given(top) === NONE ? 0 : 1)
      ;[above, aboveKind] = [d, Above.STEPS]
    } else if (dz !== NONE) {
      ;[above, aboveKind] = [room(B, S[top]!), Above.LAST]
      w.emit('PROJECT_DX', above, dz, V, VBackward, O, S[top]!, Rows.BATCH, 0)
    }
    if (dz !== NONE) {
      w.emit('PROJECT_DW', layout.gradient('V'), dz, h, O, S[top]!, rows)
      if (network.outputBias) w.emit('BIAS_DW', layout.gradient('c'), dz, O, rows)
    }
    for (let k = top; k >= 0; k--) {
      const size = S[k]!
      const fan = layerInput(network, k)
      g0[k] = wants.stateGradients ? room(B, size) : NONE
      w.emit('RECUR_BACK', d, s[k]!, s0[k]!, above, aboveKind, W(k), layout.pack('W', k, 'backward'), size, cell, g, g0[k]!)
      if (wants.stateGradients) {
        norms[k] = scratch.floats(2 * R)
        norms0[k] = scratch.floats(2 * B)
        w.emit('STEP_NORMS', norms0[k]!, norms[k]!, g0[k]!, g, size)
      }
      w.emit('RECUR_DW', layout.gradient('W', k), d, s[k]!, s0[k]!, size, size)
      if (k === 0 && tokens) w.emit('GATHER_DW', layout.gradient('U', 0), d, data.x, scratch.floats(stride(size) * K), size, K)
      else w.emit('PROJECT_DW', layout.gradient('U', k), d, k === 0 ? x : s[k - 1]!, size, fan, Rows.STEPS)
      if (network.bias) biasGradients(w, layout, k, d, wants.gradients === 'added')
      if (k > 0) {
        const next = d === spare[0] ? spare[1]! : spare[0]!
        const from = d
        d = next
        startFrom(k - 1)
        w.emit('PROJECT_DX', d, from, U(k), layout.pack('U', k, 'backward'), size, fan, Rows.STEPS, given(k - 1) === NONE ? 0 : 1)
        ;[above, aboveKind] = [d, Above.STEPS]
      } else if (wants.dx) {
        dx = room(R, fan)
        w.emit('PROJECT_DX', dx, d, U(0), layout.pack('U', 0, 'backward'), size, fan, Rows.STEPS, 0)
      }
    }
    w.emit('NORM', layout.g, table.units)
  }

  if (wants.update) {
    const { maxNorm, m, v, a, flags, optimizer } = wants.update
    if (maxNorm !== undefined) w.emit('CLIP', w.constant(maxNorm))
    w.emit('GUARD')
    w.emit('UPDATE', layout.p, layout.g, m, v, a, table.units, table.matrixUnits, Optimizer[optimizer], flags)
  }
  return { plan: w.finish(), capacity, scratchBytes: scratch.bytes, logits, outputs, states: s, initialStates: s0, dx, g0, norms, norms0 }
}

function packWeights(w: Writer, layout: Layout, wants: Wants): void {
  const reads = wants.logits || wants.outputs || wants.loss
  for (const { name, layer, shape } of layout.table.list as (Parameter & { shape: [number, number] })[]) {
    if (shape.length < 2) continue
    const [N, K] = shape
    const M = layout.parameter(name, layer)
    const first = name === 'U' && layer === 0
    if (name !== 'V' || reads)
      w.emit('PACK', layout.pack(name, layer, 'forward'), M, N, K, first && layout.network.input.tokens ? Pack.GATHER : Pack.PROJECT)
    if (wants.gradients && (!first || wants.dx)) w.emit('PACK', layout.pack(name, layer, 'backward'), M, N, K, Pack.PROJECT_DX)
  }
}

/** db, and where two biases are kept the same for the other: the net adds them. */
function biasGradients(w: Writer, layout: Layout, k: number, d: number, added: boolean): void {
  const size = layout.network.state[k]!
  w.emit('BIAS_DW', layout.gradient('b', k), d, size, Rows.STEPS)
  if (layout.network.bias !== 'double') return
  if (added) w.emit('BIAS_DW', layout.gradient('bh', k), d, size, Rows.STEPS)
  else w.emit('COPY', layout.gradient('bh', k), layout.gradient('b', k), unitsOf(size))
}

/** Bytes of every region, by number, for a job. */
export function regionBytes(sizes: { home: number; data: number; carry: number; scratch: number; pack: number }): number[] {
  const bytes = new Array<number>(REGIONS).fill(0)
  bytes[Region.HOME] = sizes.home
  bytes[Region.DATA] = sizes.data
  bytes[Region.CARRY] = sizes.carry
  bytes[Region.SCRATCH] = sizes.scratch
  bytes[Region.PACK] = sizes.pack
  return bytes
}
