// What an operation sees: the frame in hand, where results go, and how an argument becomes a pointer. Entered by the interpreter once a
// frame, read by all kernels. One instance serves one engine, so plain module variables hold it. The layout of the first bytes of
// memory stands here; the regions behind them are laid out by src/backends/wasm-memory.ts.
import * as plan from './plan.gen'

/** Base of each region, one word each. Nothing lies at 0: a pointer of 0 is an operand that is not there. */
export const REGION_BASES: usize = 64
/** What one pass of a kernel works on at most: columns of a row of biases, rows and units of a weight gradient. */
export const COLUMNS: i32 = 65536
export const CHUNK: i32 = 250
export const UNITS: i32 = 516
/** This thread does part `part` of `parts` of each operation. */
export let part: i32 = 0
export let parts: i32 = 1

/** A thread's own places, from OWN + part · OWN_BYTES on. Before them are the table of bases and what team.ts keeps. */
export const OWN: usize = 1536
export const OWN_BYTES: usize =
  (((<usize>COLUMNS) << 2) + 1024 + 1024 + ((<usize>(CHUNK + UNITS)) << 5) + ((<usize>(CHUNK * (UNITS + 4))) << 2) + 63) & ~63
/** Sixteen sums of a softmax, then the result of a helper. */
export let LANES: usize = 0
/** The arguments of one instruction, moved for a segment: at most 12 words. */
export let MOVED: usize = 0
/** Addresses of the rows of a chunk, one word each. */
export let SOURCES: usize = 0
/** A row of biases or zeros: COLUMNS floats. */
export let ROW: usize = 0
/** Of a weight gradient: 8 columns of a chunk; UNITS rows of 8 columns; rows of a chunk by UNITS, in whole tiles. */
export let PANEL: usize = 0
export let EDGE: usize = 0
export let LEFT: usize = 0

/** Takes the places of a thread. */
export function place(ofPart: i32): void {
  part = ofPart
  LANES = OWN + <usize>ofPart * OWN_BYTES
  MOVED = LANES + 512
  SOURCES = LANES + 1024
  ROW = SOURCES + 1024
  PANEL = ROW + ((<usize>COLUMNS) << 2)
  EDGE = PANEL + ((<usize>CHUNK) << 5)
  LEFT = EDGE + ((<usize>UNITS) << 5)
}
place(0)

/** This thread's sequences, [Q0, Q1). */
export let Q0: i32 = 0
export let Q1: i32 = 0

export let T: i32 = 0
export let B: i32 = 0
export let R: i32 = 0
export let scalars: usize = 0 // float32 [1 + SCALAR_COUNT]: SCALE, then the optimiser's
export let active: usize = 0 // int32 [T]
export let start: usize = 0 // int32 [T + 1]: packed row at which each step starts
export let base: usize = 0 // int32 [B] …, as named in src/plan/frame.ts
export let tbase: usize = 0
export let last: usize = 0
export let from: usize = 0
export let init: usize = 0
export let saved: usize = 0
export let slot: usize = 0
/** Of a segment (src/plan/frame.ts): its first row in the frame, and the rows of the steps before and behind it. */
export let first: i32 = 0
export let before: i32 = 0
export let after: i32 = 0
export let constants: usize = 0 // float64, the plan's
export let result: usize = 0 // float64 [plan.RESULT_FIELDS]

let whole: usize = 0
let starts: usize = 0

/** Where this thread's share of 0 … n begins and ends, cut at multiples of grain. */
export function low(n: i32, grain: i32): i32 {
  return cut(n, grain, part, parts)
}

export function high(n: i32, grain: i32): i32 {
  return cut(n, grain, part + 1, parts)
}

/** So much of 0 … n: at / all. */
export function cut(n: i32, grain: i32, at: i32, all: i32): i32 {
  return min(n, <i32>(((<i64>(n + grain - 1) / grain) * at) / all) * grain)
}

/** The same for sequences: cut where the steps, not the sequences, are so many. */
function cutSequences(at: i32, all: i32): i32 {
  if (at == 0) return 0
  if (at == all) return B
  let left = <i32>((<i64>R * at) / all)
  let longer = 0 // sequences of more than i + 1 steps
  for (let i = T - 1; i >= 0; i--) {
    const count = int(active, i) - longer
    const steps = i + 1
    if (count * steps >= left) return longer + (left + steps - 1) / steps
    left -= count * steps
    longer += count
  }
  return B
}

/**
 * Takes the frame at `frame`. In `room` the first part puts the starts of its steps, and what a segment has of its own; the others may
 * read them after the next meeting.
 */
export function enter(frame: usize, room: usize, planConstants: usize, results: usize, team: i32): void {
  parts = team
  whole = frame
  starts = room
  enterFrame()
  if (part == 0) {
    let row = 0
    for (let i = 0; i < T; i++) {
      store<i32>(room + ((<usize>i) << 2), row)
      row += int(active, i)
    }
    store<i32>(room + ((<usize>T) << 2), row)
  }
  constants = planConstants
  result = results
}

/** Back to all steps of the frame. */
export function enterFrame(): void {
  B = int(whole, plan.FRAME_B)
  T = int(whole, plan.FRAME_T)
  R = int(whole, plan.FRAME_R)
  scalars = whole + ((<usize>plan.FRAME_SCALE) << 2)
  active = whole + ((<usize>plan.FRAME_HEADER) << 2)
  start = starts
  const sequences = (<usize>B) << 2
  base = active + ((<usize>T) << 2)
  tbase = base + sequences
  last = tbase + sequences
  from = last + sequences
  init = from + sequences
  saved = init + sequences
  slot = saved + sequences
  first = 0
  before = 0
  after = 0
  Q0 = cutSequences(part, parts)
  Q1 = cutSequences(part + 1, parts)
}

/** Segment m of `steps` steps as if it were the frame: segment() of src/plan/frame.ts. */
export function enterSegment(m: i32, steps: i32): void {
  enterFrame()
  const a = m * steps
  const b = min(T, a + steps)
  first = int(start, a)
  before = a > 0 ? int(active, a - 1) : 0
  after = b < T ? int(active, b) : 0
  R = int(start, b) - first
  let next = start + ((<usize>T + 1) << 2)
  const cuts = next
  for (let i = a; i <= b; i++, next += 4) if (part == 0) store<i32>(next, int(start, i) - first)
  active += (<usize>a) << 2
  start = cuts
  T = b - a
  Q0 = cutSequences(part, parts)
  Q1 = cutSequences(part + 1, parts)
  const sequences = (<usize>B) << 2
  const at = next
  let length = T
  for (let q = 0; part == 0 && q < B; q++, next += 4) {
    while (length > 0 && int(active, length - 1) <= q) length--
    const row = int(saved, q)
    const here = row < 0 ? m == 0 : row >= first && row < first + R
    store<i32>(next, int(base, q) + a)
    store<i32>(next + sequences, int(tbase, q) + a)
    store<i32>(next + 2 * sequences, length > 0 ? int(start, length - 1) + q : -1)
    store<i32>(next + 3 * sequences, int(from, q) - a)
    store<i32>(next + 4 * sequences, row < 0 ? row : row - first)
    store<i32>(next + 5 * sequences, here ? int(slot, q) : -1)
  }
  base = at
  tbase = at + sequences
  last = at + 2 * sequences
  from = at + 3 * sequences
  saved = at + 4 * sequences
  slot = at + 5 * sequences
}

/** Element i of an int32 array. */
export function int(array: usize, i: i32): i32 {
  return load<i32>(array + ((<usize>i) << 2))
}

/** The address in argument `i` of an instruction as a pointer, 0 for plan.NONE. */
export function pointer(args: usize, i: i32): usize {
  const at = int(args, i)
  if (at == plan.NONE) return 0
  return (
    load<usize>(REGION_BASES + ((<usize>(at >>> plan.REGION_SHIFT)) << 2)) + <usize>(at & ((1 << plan.REGION_SHIFT) - 1)) * plan.UNIT_BYTES
  )
}

/** Bytes from one row of `size` activations to the next. */
export function stride(size: i32): usize {
  return (<usize>((size + plan.UNIT_FLOATS - 1) & ~(plan.UNIT_FLOATS - 1))) << 2
}

export function clearResult(): void {
  memory.fill(result, 0, (<usize>plan.RESULT_FIELDS) << 3)
  setResult(plan.RESULT_CLIP, 1)
}

export function getResult(field: i32): f64 {
  return load<f64>(result + ((<usize>field) << 3))
}

export function setResult(field: i32, value: f64): void {
  store<f64>(result + ((<usize>field) << 3), value)
}
