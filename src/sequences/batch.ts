/*
 * Makes frames (plan/frame.ts) from sequences: the one place that sorts a batch by length, cuts windows of truncated backpropagation and
 * says where states are carried. Called by training/ and inference/.
 */
import { FRAME_HEADER, FrameField, frameInts, SCALARS } from '../plan/frame.js'
import type { Targets } from './data.js'

/** A window of truncated backpropagation over the rows of each sequence. */
export interface Window {
  /** First row of the window, and the first one behind it. */
  readonly from: number
  readonly to: number
  /** First row that counts in the loss. */
  readonly counted: number
  /** First row of the window that comes next: the state before it is carried on. */
  readonly next: number
}

export interface FrameOptions {
  readonly window?: Window
  /** Sequence ids[j] starts from the carried state in slot j (a later window always does, with `carry`). */
  readonly carryIn?: boolean
  /** The state after the last row (or before the next window) goes to slot j. */
  readonly carryOut?: boolean
  /** 'sum' leaves the gradient undivided by Σw. Default 'mean'. */
  readonly reduction?: 'mean' | 'sum'
}

/** One frame and what is needed to read its results. */
export interface Frame {
  readonly ints: Int32Array
  readonly B: number
  readonly T: number
  readonly R: number
  /** [B] place in `ids` of each sequence, in the frame's order (length descending, stable). */
  readonly order: Int32Array
  /** Σw of what counts, and how many scalars those are. */
  readonly weight: number
  readonly counted: number
}

/** The windows that cover `length` rows: one every `stride` rows, each reaching back over `window`. */
export function windows(length: number, { window, stride }: { window: number; stride: number }): Window[] {
  const list: Window[] = []
  for (let counted = 0; counted < length; counted += stride) {
    const to = counted + stride
    list.push({ from: Math.max(0, to - window), to, counted, next: Math.max(0, to + stride - window) })
  }
  return list
}

export class Batcher {
  /** Σw, and number of w ≠ 0, in the target rows before each. */
  private readonly weightBefore: Float64Array | undefined
  private readonly countBefore: Float64Array | undefined
  private readonly factor: number
  /** Packed row at which each step starts; used again by every frame, of which small nets take thousands a second. */
  private starts = new Int32Array(0)

  /**
   * @param begin first row of each sequence, and `end` (default: where the next one begins) the one behind its last
   * @param perRow target rows follow the rows of the sequences (readout 'all'); otherwise there is one for each sequence
   * @param width scalars of a target row that are weighted one by one: 1 for softmax, else t
   * @param squared the loss is a squared error: its gradient has a factor 2
   */
  constructor(
    private readonly begin: Int32Array,
    targets: Targets | undefined,
    private readonly perRow: boolean,
    width: number,
    squared: boolean,
    private readonly end: Int32Array = begin.subarray(1),
  ) {
    this.factor = squared ? 2 : 1
    if (!targets) return
    const rows = targets.weights.length / width
    this.weightBefore = new Float64Array(rows + 1)
    this.countBefore = new Float64Array(rows + 1)
    for (let i = 0, at = 0, sum = 0, count = 0; i < rows; i++) {
      for (let j = 0; j < width; j++) {
        const weight = targets.weights[at++]!
        sum += weight
        if (weight !== 0) count++
      }
      this.weightBefore[i + 1] = sum
      this.countBefore[i + 1] = count
    }
  }

  /** Rows of a sequence. */
  length(id: number): number {
    return this.end[id]! - this.begin[id]!
  }

  /** The frame of these sequences; undefined where a window leaves none of them. */
  frame(ids: Int32Array, options: FrameOptions = {}): Frame | undefined {
    const { window, carryIn = false, carryOut = false, reduction = 'mean' } = options
    const from = window ? window.from : 0
    const keys: number[] = []
    let longest = 0
    let R = 0
    let sorted = true
    for (let j = 0, previous = Infinity; j < ids.length; j++) {
      const rows = this.length(ids[j]!)
      if (window && rows <= window.counted) continue
      const length = (window ? Math.min(rows, window.to) : rows) - from
      if (length > previous) sorted = false
      previous = length
      if (length > longest) longest = length
      R += length
      keys.push(length * ids.length + (ids.length - 1 - j))
    }
    const B = keys.length
    if (B === 0) return undefined
    const order = new Int32Array(B)
    if (!sorted) keys.sort((a, b) => b - a)
    for (let q = 0; q < B; q++) order[q] = ids.length - 1 - (keys[q]! % ids.length)

    const T = longest
    const ints = new Int32Array(frameInts(B, T))
    ints[FrameField.SIZE] = ints.length
    ints[FrameField.B] = B
    ints[FrameField.T] = T
    ints[FrameField.R] = R
    const active = FRAME_HEADER
    const base = active + T
    const [tbase, last, countFrom, init, saved, slot] = [base + B, base + 2 * B, base + 3 * B, base + 4 * B, base + 5 * B, base + 6 * B]
    if (this.starts.length <= T) this.starts = new Int32Array(T + 1)
    const start = this.starts
    // From the shortest sequence up, each step's number of rows alive.
    for (let q = B - 1, i = 0; q >= 0; q--) for (const end = Math.floor(keys[q]! / ids.length); i < end; i++) ints[active + i] = q + 1
    for (let i = 0; i < T; i++) start[i + 1] = start[i]! + ints[active + i]!

    let weight = 0
    let counted = 0
    for (let q = 0; q < B; q++) {
      const j = order[q]!
      const id = ids[j]!
      const length = Math.floor(keys[q]! / ids.length)
      const row = (i: number) => (i < 0 ? -1 : start[i]! + q)
      const goesOn = window !== undefined && this.length(id) > window.to
      const first = this.begin[id]! + from
      ints[base + q] = first
      ints[tbase + q] = this.perRow ? first : id
      ints[last + q] = row(length - 1)
      ints[countFrom + q] = window ? window.counted - from : 0
      ints[init + q] = carryIn ? j : -1
      ints[saved + q] = carryOut ? row((goesOn ? window.next - from : length) - 1) : -1
      ints[slot + q] = carryOut ? j : -1
      const [low, high] = this.perRow ? [first + ints[countFrom + q]!, first + length] : [id, id + 1]
      if (this.weightBefore) weight += this.weightBefore[high]! - this.weightBefore[low]!
      if (this.countBefore) counted += this.countBefore[high]! - this.countBefore[low]!
    }
    const scale = reduction === 'sum' ? this.factor : weight > 0 ? this.factor / weight : 0
    new Float32Array(ints.buffer)[FrameField.SCALE] = scale
    return { ints, B, T, R, order, weight, counted }
  }
}

/** Writes the optimiser's scalars into a frame. */
export function setScalars(frame: Frame, scalars: Float32Array): void {
  new Float32Array(frame.ints.buffer).set(scalars, SCALARS)
}

/** Frames laid end to end, as a job takes them. */
export function concatFrames(frames: readonly Frame[]): Int32Array {
  const all = new Int32Array(frames.reduce((sum, { ints }) => sum + ints.length, 0))
  let at = 0
  for (const { ints } of frames) {
    all.set(ints, at)
    at += ints.length
  }
  return all
}
