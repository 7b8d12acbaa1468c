/*
 * A frame: what differs from batch to batch, as plain data. A job is a plan and a list of frames laid end to end in one Int32Array.
 *
 *   header     SIZE (ints of the whole frame), B, T, R
 *   scalars    float32 bits: SCALE (1/Σw, times 2 for squared error), then those of the optimiser
 *   active[T]  rows still alive at step i; B ≥ active[0] ≥ active[1] ≥ … ≥ 1, Σ = R
 *   base[B]    first row of sequence q in the resident inputs (tokens or x)
 *   tbase[B]   first row of sequence q in the resident targets and weights
 *   last[B]    packed row of the last step of sequence q, -1 where it is empty
 *   from[B]    first step of sequence q that counts in the loss
 *   init[B]    row of the carried states to start from, -1 for zero
 *   saved[B]   packed row whose state is carried on, -1 for the initial state
 *   slot[B]    row of the carried states to keep it in, -1 for none
 *
 * Sequences are sorted by length, descending and stable (sequences/batch.ts): step i holds the first active[i] of them, and the
 * packed row of (step i, sequence q) is start[i] + q with start[i] = Σ_{j<i} active[j].
 */

export const FrameField = { SIZE: 0, B: 1, T: 2, R: 3, SCALE: 4 } as const
/** First and number of the optimiser's scalars. */
export const SCALARS = 5
export const SCALAR_COUNT = 11
export const FRAME_HEADER = SCALARS + SCALAR_COUNT
/** The per-sequence arrays, in order, after active[T]. */
export const SEQUENCE_FIELDS = ['base', 'tbase', 'last', 'from', 'init', 'saved', 'slot'] as const
export type SequenceField = (typeof SEQUENCE_FIELDS)[number]
export const frameInts = (B: number, T: number) => FRAME_HEADER + T + SEQUENCE_FIELDS.length * B

/** Where a segment lies in the frame that it is cut from; of a whole frame all is 0. */
export interface Segment {
  /** Its number in time, and its first row in the frame. */
  readonly m: number
  readonly first: number
  /** Rows of the step before it, and of the one behind it. */
  readonly before: number
  readonly after: number
}

/** What operations see: a frame, or a segment of one as if it were the frame. */
export interface FrameFields extends Segment {
  readonly B: number
  readonly T: number
  readonly R: number
  readonly scalars: Float32Array
  readonly active: Int32Array
  /** Packed row at which each step starts; start[T] = R. */
  readonly start: Int32Array
  readonly base: Int32Array
  readonly tbase: Int32Array
  readonly last: Int32Array
  readonly from: Int32Array
  readonly init: Int32Array
  readonly saved: Int32Array
  readonly slot: Int32Array
}

/** Segments of `steps` steps that a frame of T steps has. */
export const segmentCount = (T: number, steps: number) => Math.max(1, Math.ceil(T / steps))

/**
 * Segment m of a frame: its sequences are those of the frame, cut to the segment's steps. Resident data, and the step from which on the
 * loss counts, are counted from there; `last` is a sequence's last row in the segment; a state is carried on (`slot`) by the segment that
 * holds its row, the initial one by the first.
 */
export function segment(frame: FrameFields, m: number, steps: number): FrameFields {
  const { B, init, scalars } = frame
  const a = m * steps
  const b = Math.min(frame.T, a + steps)
  const first = frame.start[a]!
  const R = frame.start[b]! - first
  const active = frame.active.subarray(a, b)
  const start = frame.start.slice(a, b + 1).map((row) => row - first)
  const last = new Int32Array(B)
  for (let q = 0, length = b - a; q < B; q++) {
    while (length > 0 && active[length - 1]! <= q) length--
    last[q] = length > 0 ? start[length - 1]! + q : -1
  }
  const holds = (row: number) => (row < 0 ? m === 0 : row >= first && row < first + R)
  return {
    ...{ B, T: b - a, R, scalars, active, start, last, init },
    ...{ m, first, before: a > 0 ? frame.active[a - 1]! : 0, after: b < frame.T ? frame.active[b]! : 0 },
    base: frame.base.map((row) => row + a),
    tbase: frame.tbase.map((row) => row + a),
    from: frame.from.map((i) => i - a),
    saved: frame.saved.map((row) => (row < 0 ? row : row - first)),
    slot: frame.slot.map((slot, q) => (holds(frame.saved[q]!) ? slot : -1)),
  }
}

/** Read access to one frame inside a job's list. */
export class FrameView implements FrameFields {
  readonly m = 0
  readonly first = 0
  readonly before = 0
  readonly after = 0
  readonly B: number
  readonly T: number
  readonly R: number
  readonly size: number
  readonly scalars: Float32Array
  readonly active: Int32Array
  readonly start: Int32Array
  readonly base: Int32Array
  readonly tbase: Int32Array
  readonly last: Int32Array
  readonly from: Int32Array
  readonly init: Int32Array
  readonly saved: Int32Array
  readonly slot: Int32Array

  constructor(frames: Int32Array, at = 0) {
    this.size = frames[at + FrameField.SIZE]!
    this.B = frames[at + FrameField.B]!
    this.T = frames[at + FrameField.T]!
    this.R = frames[at + FrameField.R]!
    const { B, T } = this
    this.scalars = new Float32Array(frames.buffer, frames.byteOffset + 4 * (at + FrameField.SCALE), 1 + SCALAR_COUNT)
    let next = at + FRAME_HEADER
    const take = (n: number) => frames.subarray(next, (next += n))
    this.active = take(T)
    this.start = new Int32Array(T + 1)
    for (let i = 0; i < T; i++) this.start[i + 1] = this.start[i]! + this.active[i]!
    this.base = take(B)
    this.tbase = take(B)
    this.last = take(B)
    this.from = take(B)
    this.init = take(B)
    this.saved = take(B)
    this.slot = take(B)
  }
}
