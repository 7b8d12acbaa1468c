/*
 * Makes frames (plan/frame.ts) from sequences: the one place that sorts a batch by length, cuts windows of truncated backpropagation and
 * says where states are carried. Called by training/ and inference/.
 */
import { FRAME_HEADER, FrameField, frameInts, SCALARS } from '../plan/frame.js'
import type { Targets } from './data.js'
import { borrow, giveBack } from './room.js'

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
  readonly window?: Window | undefined
  /** Sequence ids[j] starts from the carried state in slot j (a later window always does, with `carry`). */
  readonly carryIn?: boolean
  /** The state after the last row (or before the next window) goes to slot j. */
  readonly carryOut?: boolean
  /** 'sum' leaves the gradient undivided by Σw. Default 'mean'. */
  readonly reduction?: 'mean' | 'sum' | undefined
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

/**
 * Frames laid end to end, as a job takes them. Emptied and filled again by training, which makes tens of thousands a second of a small net:
 * a frame is no object here.
 */
export class FrameList {
  private array = new Int32Array(0)
  /** The same memory, for scalars. */
  floats = new Float32Array(0)
  count = 0
  /** Ints in use. */
  size = 0
  /** Of each frame: R, Σw of what counts, and how many scalars those are. */
  readonly rows: number[] = []
  readonly weight: number[] = []
  readonly counted: number[] = []

  get ints(): Int32Array {
    return this.array.subarray(0, this.size)
  }

  clear(): void {
    this.count = 0
    this.size = 0
  }

  /** Leaves the first `count` frames out. */
  drop(count: number): void {
    let at = 0
    for (let n = 0; n < count; n++) at += this.array[at + FrameField.SIZE]!
    this.array.copyWithin(0, at, this.size)
    this.size -= at
    this.count -= count
    for (const list of Object.values(this)) if (Array.isArray(list)) list.splice(0, count) // a number of each frame
  }

  /** Gives the memory back: nobody may look at the frames any more. */
  release(): void {
    this.clear()
    giveBack(this.array)
    this.array = new Int32Array(0)
  }

  /** Room for one more frame: all its memory, in which it begins at the `size` before. What is there is nobody's. */
  extend(ints: number): Int32Array {
    const size = this.size + ints
    if (size > this.array.length) {
      const larger = borrow(Int32Array, Math.max(size, 2 * this.array.length), () => 'frames')
      larger.set(this.ints)
      giveBack(this.array)
      this.array = larger
      this.floats = new Float32Array(larger.buffer, 0, larger.length)
    }
    this.size = size
    return this.array
  }
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

const WHOLE: FrameOptions = {}

export class Batcher {
  /** Σw, and number of w ≠ 0, in the target rows before each; none where all w are 1. */
  private readonly weightBefore: Float64Array | undefined
  private readonly countBefore: Float64Array | undefined
  /** Σw of a target row where there is none of these. */
  private readonly weightOfRow: number
  private readonly factor: number
  /** The frame in hand, in its order: place in `ids` and rows of each sequence. Used again by every frame, as is what it takes to sort them. */
  private order = new Int32Array(0)
  private lengths = new Int32Array(0)
  private unsorted = new Int32Array(0)
  private places = new Int32Array(0)

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
    this.weightOfRow = targets ? width : 0
    if (!targets || areOnes(targets.weights)) return
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
  frame(ids: Int32Array, options?: FrameOptions): Frame | undefined {
    const list = new FrameList()
    if (!this.append(list, ids, options)) return undefined
    const { ints } = list
    const B = ints[FrameField.B]!
    const order = this.order.slice(0, B)
    return { ints, B, T: ints[FrameField.T]!, R: list.rows[0]!, order, weight: list.weight[0]!, counted: list.counted[0]! }
  }

  /**
   * Appends the frame of the sequences ids[low … high) to a list, its scalars but SCALE left to others.
   * @returns false, with nothing appended, where a window leaves none of them
   */
  append(list: FrameList, ids: Int32Array, options: FrameOptions = WHOLE, low = 0, high = ids.length): boolean {
    const { window, carryIn = false, carryOut = false, reduction = 'mean' } = options
    const from = window ? window.from : 0
    const B = this.sort(ids, window, low, high)
    if (B === 0) return false
    const { order, lengths, perRow } = this

    const T = lengths[0]!
    const at = list.size
    const size = frameInts(B, T)
    const ints = list.extend(size)
    const active = at + FRAME_HEADER
    const base = active + T
    const tbase = base + B
    const last = tbase + B
    const countFrom = last + B
    const init = countFrom + B
    const saved = init + B
    const slot = saved + B
    const counts = window ? window.counted - from : 0

    let R = 0
    let weight = 0
    let counted = 0
    // From the shortest sequence up: each step's number of rows alive.
    for (let q = B - 1, i = 0; q >= 0; q--) {
      const length = lengths[q]!
      R += (q + 1) * (length - i)
      for (; i < length; i++) ints[active + i] = q + 1
      const j = order[q]!
      const id = ids[low + j]!
      const first = this.begin[id]! + from
      ints[base + q] = first
      ints[tbase + q] = perRow ? first : id
      ints[last + q] = length ? R - ints[active + length - 1]! + q : -1
      ints[countFrom + q] = counts
      ints[init + q] = carryIn ? j : -1
      ints[saved + q] = carryOut ? ints[last + q]! : -1
      ints[slot + q] = carryOut ? j : -1
    }
    const { weightBefore, countBefore, weightOfRow } = this
    for (let q = 0; q < B; q++) {
      const id = ids[low + order[q]!]!
      const lower = perRow ? ints[base + q]! + counts : id
      const upper = perRow ? ints[base + q]! + lengths[q]! : id + 1
      weight += weightBefore ? weightBefore[upper]! - weightBefore[lower]! : (upper - lower) * weightOfRow
      counted += countBefore ? countBefore[upper]! - countBefore[lower]! : (upper - lower) * weightOfRow
    }
    if (window && carryOut) {
      // Sequences that go on keep the state before the next window.
      const steps = window.next - from
      let start = 0
      for (let i = 0; i < steps - 1 && i < T; i++) start += ints[active + i]!
      for (let q = 0; q < B; q++) if (this.length(ids[low + order[q]!]!) > window.to) ints[saved + q] = steps > 0 ? start + q : -1
    }
    ints[at + FrameField.SIZE] = size
    ints[at + FrameField.B] = B
    ints[at + FrameField.T] = T
    ints[at + FrameField.R] = R
    list.floats[at + FrameField.SCALE] = reduction === 'sum' ? this.factor : weight > 0 ? this.factor / weight : 0
    const n = list.count++
    list.rows[n] = R
    list.weight[n] = weight
    list.counted[n] = counted
    return true
  }

  /** Fills order and lengths, longest first and stable; @returns how many sequences there are. */
  private sort(ids: Int32Array, window: Window | undefined, low: number, high: number): number {
    const n = high - low
    if (this.order.length < n) {
      this.order = new Int32Array(n)
      this.lengths = new Int32Array(n)
      this.unsorted = new Int32Array(n)
    }
    const { order, lengths, unsorted, begin, end } = this
    let B = 0
    let longest = 0
    let sorted = true
    for (let j = 0; j < n; j++) {
      const id = ids[low + j]!
      const rows = end[id]! - begin[id]!
      unsorted[j] = -1
      if (window && rows <= window.counted) continue
      const length = window ? Math.min(rows, window.to) - window.from : rows
      if (B > 0 && length > lengths[B - 1]!) sorted = false
      if (length > longest) longest = length
      unsorted[j] = length
      order[B] = j
      lengths[B++] = length
    }
    if (sorted) return B
    // By counting: of each length how many there are, then the place of the next one.
    if (this.places.length <= longest) this.places = new Int32Array(longest + 1)
    const { places } = this
    for (let length = 0; length <= longest; length++) places[length] = 0
    for (let q = 0; q < B; q++) places[lengths[q]!]!++
    for (let length = longest, q = 0; length >= 0; length--) {
      const count = places[length]!
      places[length] = q
      q += count
    }
    for (let j = 0; j < n; j++) {
      const length = unsorted[j]!
      if (length < 0) continue
      const q = places[length]!++
      order[q] = j
      lengths[q] = length
    }
    return B
  }
}

function areOnes(weights: Float32Array): boolean {
  for (let i = 0; i < weights.length; i++) if (weights[i] !== 1) return false
  return true
}

/** Writes the optimiser's scalars into a frame. */
export function setScalars(frame: Frame, scalars: Float32Array): void {
  new Float32Array(frame.ints.buffer).set(scalars, SCALARS)
}
