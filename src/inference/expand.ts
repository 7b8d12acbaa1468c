/*
 * From packed rows (one for each step that counted as input) back to the user's steps: [B, T, size], 0 past a length. A masked step kept
 * the state, so it shows what the step before it showed, or what the initial state gives.
 */

import { FRAME_HEADER } from '../plan/frame.js'
import { stride } from '../plan/memory.js'
import type { Frame } from '../sequences/batch.js'
import type { Sequences } from '../sequences/data.js'

/** T of what is padded to it. */
export const longest = ({ lengths }: Sequences) => lengths.reduce((most, length) => Math.max(most, length), 0)

/** Packed row at which each step of a frame starts, [T + 1]. */
export function stepStarts({ ints, T }: Frame): Int32Array {
  const start = new Int32Array(T + 1)
  for (let i = 0; i < T; i++) start[i + 1] = start[i]! + ints[FRAME_HEADER + i]!
  return start
}

/**
 * @param placeOf where the steps [T, size] of sequence j go
 * @param masked what a step that was left out shows: the row before it, and until the first one `before(j)` of sequence j; or 0
 */
export function expandSteps(
  placeOf: (j: number) => Float32Array,
  size: number,
  packed: Float32Array | Float64Array,
  { frame, sequences }: { frame: Frame; sequences: Sequences },
  masked: 0 | { before?: ((j: number) => Float32Array | undefined) | undefined },
): void {
  const width = stride(size)
  const start = stepStarts(frame)
  const { offsets, steps, lengths } = sequences
  for (let q = 0; q < frame.B; q++) {
    const j = frame.order[q]!
    const out = placeOf(j)
    const rows = offsets[j + 1]! - offsets[j]!
    if (!steps) {
      for (let i = 0; i < rows; i++) copyRow(out, i * size, packed, (start[i]! + q) * width, size)
      continue
    }
    const row = (i: number) => packed.subarray((start[i]! + q) * width, (start[i]! + q) * width + size)
    let shown = (masked === 0 ? undefined : masked.before?.(j)) as Float32Array | Float64Array | undefined
    for (let at = 0, i = 0; at < lengths[j]!; at++) {
      if (i < rows && steps[offsets[j]! + i] === at) shown = row(i++)
      else if (masked === 0) shown = undefined
      if (shown) out.set(shown, at * size)
    }
  }
}

/** Rows of the frame's order, [B] of stride(size), each to the place of its sequence j. */
export function expandRows(placeOf: (j: number) => Float32Array, size: number, packed: Float32Array | Float64Array, frame: Frame): void {
  const width = stride(size)
  for (let q = 0; q < frame.B; q++) copyRow(placeOf(frame.order[q]!), 0, packed, q * width, size)
}

/** Rows are short: calls and views would take longer than the numbers. */
function copyRow(to: Float32Array, at: number, from: Float32Array | Float64Array, start: number, size: number): void {
  if (size > LONG_ROW) to.set(from.subarray(start, start + size), at)
  else for (let j = 0; j < size; j++) to[at + j] = from[start + j]!
}
const LONG_ROW = 24
