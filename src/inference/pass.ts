/*
 * One pass of sequences through the network as one frame: data are put into backend memory, the plan runs, results are read back. All of
 * predict, forward, evaluate, gradients and backward are made of passes; train() has its own way, with resident data (training/loop.ts).
 */
import type { JobResult, Read, Write } from '../backends/engine.js'
import type { Core } from '../model/core.js'
import type { Compiled } from '../plan/compile.js'
import { Allocator, Region, stride, UNIT_BYTES } from '../plan/memory.js'
import { Result } from '../plan/operations.js'
import type { Budget } from '../plan/segments.js'
import { type Capacity, type DataPlaces, noData, type Wants } from '../plan/wants.js'
import { Batcher, type Frame, type FrameOptions, setScalars } from '../sequences/batch.js'
import type { Sequences, Targets } from '../sequences/data.js'

export interface PassRequest {
  readonly sequences: Sequences
  readonly targets?: Targets | undefined
  /** The sequences are ids[…] of those that are in DATA, or that the first pass of several puts there by its `writes`. */
  readonly resident?: Resident | undefined
  readonly wants: Omit<Wants, 'pack' | 'carry'>
  /** States to start from, dense [B, s_k] for each layer; 'carried': where the pass before, over the same sequences, left them. */
  readonly initial?: readonly Float32Array[] | 'carried' | undefined
  /** Read the state after the last row of each sequence. */
  readonly final?: boolean | undefined
  readonly frame?: Omit<FrameOptions, 'carryIn' | 'carryOut'>
  /** What it may take; default: everything at once. */
  readonly budget?: Budget | undefined
  /** The optimiser's, for wants.update. */
  readonly scalars?: Float32Array
  /** Put into backend memory besides the data. */
  readonly writes?: readonly Write[]
  /** Core.held(), where several passes make one answer. */
  readonly weights?: Float32Array | undefined
  /** Core.memory, where the pass goes on with what earlier ones left. */
  readonly memory?: number | undefined
  /** backward(): packed upstream gradients, made for this frame. */
  readonly upstream?: (frame: Frame) => { dz?: Float32Array; dzSteps?: Float32Array; ds?: readonly Float32Array[] }
  readonly readsWeights?: boolean
  readonly reads: (compiled: Compiled, frame: Frame) => Record<string, Read>
}

export interface Resident {
  readonly ids: Int32Array
  readonly batcher: Batcher
  readonly data: DataPlaces
  readonly bytes: number
}

export interface PassResult {
  readonly frame: Frame
  readonly compiled: Compiled
  /** Σwℓ and the score (plan/operations.ts, LOSS). */
  readonly loss: number
  readonly score: number
  readonly norm: number
  /** Status of plan/operations.ts: whether an update was made. */
  readonly status: number
  readonly read: Record<string, Float32Array | Float64Array>
  /** The states after the last rows, dense [B, s_k] in the order of the sequences. */
  readonly final: Float32Array[] | undefined
}

/** At most a quarter more than asked for, so that calls of nearly the same size share a plan. */
export function roomy(n: number): number {
  const grain = 2 ** Math.max(0, Math.floor(Math.log2(Math.max(n, 1))) - 2)
  return Math.ceil(Math.max(n, 1) / grain) * grain
}

export const roomyCapacity = ({ count, offsets }: Sequences): Capacity => ({ B: roomy(count), R: roomy(offsets[count]!) })

/** Scalars in a target row that are weighted one by one. */
export const targetWidth = ({ network: { output } }: Core) => (output.head === 'softmax' ? 1 : output.size)

export const batcherOf = (core: Core, sequences: Sequences, targets?: Targets) =>
  new Batcher(sequences.offsets, targets, core.network.readout === 'all', targetWidth(core), core.network.output.head === 'linear')

/** Every sequence, in order. */
export function everyId(count: number): Int32Array {
  const ids = new Int32Array(count)
  for (let id = 0; id < count; id++) ids[id] = id
  return ids
}

/** One pass of all sequences; takes its turn at the engine. */
export function pass(core: Core, request: PassRequest): Promise<PassResult> {
  const { weights = core.held() } = request
  return core.inTurn(() => passNow(core, request, weights))
}

/**
 * The same for who has the turn already. Of a small net everything here takes longer than the pass: objects are not spread, which costs
 * as much as a hundred products.
 */
export async function passNow(core: Core, request: PassRequest, weights = request.weights): Promise<PassResult> {
  const { sequences, targets, resident, wants, initial, final = false, upstream, reads } = request
  if (core.drawsSlowly) await core.draw()
  const { window, reduction } = request.frame ?? {}
  const options = { window, reduction, carryIn: initial !== undefined, carryOut: final }
  const batcher = resident ? resident.batcher : batcherOf(core, sequences, targets)
  const frame = batcher.frame(resident ? resident.ids : everyId(sequences.count), options)!
  if (request.scalars) setScalars(frame, request.scalars)
  const capacity = roomyCapacity(sequences)
  const placed = resident ? { ...resident, writes: [] } : placeData(core, capacity, sequences, targets, upstream?.(frame))
  const { data, writes, bytes }: { data: DataPlaces; writes: Write[]; bytes: number } = placed

  const carry = initial || final ? { slots: capacity.B, unit: core.residentCarryUnits } : undefined
  const pack = core.mustPack(wants.gradients ? 'all' : 'forward', weights)
  const carryBytes = carry ? (carry.unit + core.layout.carryUnits(carry.slots)) * UNIT_BYTES : 0
  const full: Wants = pack || carry ? { ...wants, pack, ...(carry && { carry }) } : wants
  const compiled = request.budget
    ? core.within(request.budget, { wants: full, capacity, steps: roomy(frame.T) }, data, { dataBytes: bytes, carryBytes })
    : core.plans.compiled(full, capacity, data)
  const named = reads(compiled, frame)
  const carries = carry ? core.layout.carries(carry) : []
  if (initial && initial !== 'carried')
    initial.forEach((states, k) => writes.push({ at: carries[k]!, data: padRows(states, core.network.state[k]!) }))
  const finals: Read[] = final
    ? carries.map((at, k) => ({ at, kind: 'float32', length: sequences.count * stride(core.network.state[k]!) }))
    : []

  const turn = {
    compiled,
    frames: frame.ints,
    memory: request.memory,
    weights,
    count: 1,
    writes: request.writes ? [...request.writes, ...writes] : writes,
    reads: [...Object.values(named), ...finals],
    readsWeights: request.readsWeights,
    dataBytes: bytes,
    carryBytes,
  }
  const result = await core.run(turn, wants.update ? 'updates' : pack ? packs(wants) : 'nothing')
  return unpackResult(core, result, frame, compiled, Object.keys(named))
}

/** A plan packs what it uses: V where it reads out, and the way back where it goes all of it. */
function packs({ logits, outputs, loss, gradients, dx }: PassRequest['wants']): 'packs forward' | 'packs all' | 'nothing' {
  if (!(logits || outputs || loss)) return 'nothing'
  return gradients && dx ? 'packs all' : 'packs forward'
}

function unpackResult(core: Core, { results, reads }: JobResult, frame: Frame, compiled: Compiled, names: string[]): PassResult {
  const read: PassResult['read'] = {}
  names.forEach((name, i) => {
    read[name] = reads[i]!
  })
  const finals = reads.slice(names.length) as Float32Array[]
  return {
    frame,
    compiled,
    loss: results[Result.LOSS]!,
    score: results[Result.SCORE]!,
    norm: results[Result.NORM]!,
    status: results[Result.STATUS]!,
    read,
    final: finals.length ? finals.map((rows, k) => unpadRows(rows, core.network.state[k]!)) : undefined,
  }
}

/** Of the inputs, and of the targets, which weigh as much again. */
export const dataFloats = (core: Core, { B, R }: Capacity) => ({
  x: R * (core.network.input.tokens ? 1 : core.network.input.size),
  targets: (core.network.readout === 'all' ? R : B) * targetWidth(core),
})

/** Places of a call's data in DATA, behind what a training run keeps there. */
export function placeData(
  core: Core,
  capacity: Capacity,
  sequences: Sequences,
  targets?: Targets,
  upstream: ReturnType<NonNullable<PassRequest['upstream']>> = {},
) {
  const { output, state, readout } = core.network
  const area = new Allocator(Region.DATA)
  area.units = core.residentUnits
  const writes: Write[] = []
  const place = (floats: number, data?: Float32Array | Int32Array) => {
    const at = area.floats(floats)
    if (data?.length) writes.push({ at, data })
    return at
  }
  const rows = readout === 'all' ? capacity.R : capacity.B
  const data: { -readonly [K in keyof DataPlaces]: DataPlaces[K] } = { ...noData }
  const floats = dataFloats(core, capacity)
  data.x = place(floats.x, sequences.rows)
  if (targets) {
    data.targets = place(floats.targets, targets.values)
    data.weights = place(floats.targets, targets.weights)
  }
  if (upstream.dz) data.dz = place(rows * stride(output.size), upstream.dz)
  if (upstream.dzSteps) data.dzSteps = place(capacity.R * stride(output.size), upstream.dzSteps)
  if (upstream.ds) data.ds = upstream.ds.map((ds, k) => place(capacity.R * stride(state[k]!), ds))
  return { data: data as DataPlaces, writes, bytes: area.bytes }
}

/** Dense rows [B, S] as rows of stride(S). */
export function padRows(dense: Float32Array, S: number): Float32Array {
  const width = stride(S)
  if (width === S) return dense
  const B = dense.length / S
  const padded = new Float32Array(B * width)
  for (let q = 0; q < B; q++) padded.set(dense.subarray(q * S, q * S + S), q * width)
  return padded
}

/** And back. */
export function unpadRows(padded: Float32Array, S: number): Float32Array {
  const width = stride(S)
  if (width === S) return padded
  const B = padded.length / width
  const dense = new Float32Array(B * S)
  for (let q = 0; q < B; q++) dense.set(padded.subarray(q * width, q * width + S), q * S)
  return dense
}

/** A read of rows of stride(size); `inside`: see Read. */
export const readRows = (at: number, rows: number, size: number, inside = false): Read => ({
  at,
  kind: 'float32',
  length: rows * stride(size),
  inside,
})
