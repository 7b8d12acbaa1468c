/* For the tests of the native backend: the backend if it is there, plans written by hand, and frames of equally long sequences. */

import type { Job } from '#lib/backends/engine.js'
import { loadNative } from '#lib/backends/native.js'
import { FRAME_HEADER, FrameField, frameInts, SCALARS } from '#lib/plan/frame.js'
import { address, NONE, packFloats, Region, stride, UNIT_BYTES, unitsOf } from '#lib/plan/memory.js'
import { Cell, OPERATIONS, Opcode, type OperationName, Pack, Rows } from '#lib/plan/operations.js'
import type { Plan } from '#lib/plan/plan.js'

/** undefined, with the reason printed, where there is no addon: the package works on WebAssembly then. */
export const native = (() => {
  try {
    return loadNative()
  } catch (error) {
    console.warn(`SKIPPED, everything about the native backend: ${(error as Error).message}`)
    return undefined
  }
})()

let ids = 1e6

export type Line = [OperationName, ...number[]]
export function plan(lines: Line[], constants: number[] = []): Plan {
  for (const [name, ...args] of lines) if (args.length !== OPERATIONS[name].length) throw new Error(name)
  return {
    id: ids++,
    code: Int32Array.from(lines.flatMap(([name, ...args]) => [Opcode[name], ...args])),
    constants: Float64Array.from(constants),
  }
}

/** B sequences of T steps, laid out one after the other in the resident data. */
export function frame(B: number, T: number, scalars: number[] = []): Int32Array {
  const ints = new Int32Array(frameInts(B, T))
  ints.set([ints.length, B, T, B * T], FrameField.SIZE)
  new Float32Array(ints.buffer).set(scalars, SCALARS - 1)
  ints.fill(B, FRAME_HEADER, FRAME_HEADER + T)
  let at = FRAME_HEADER + T
  const field = (value: (q: number) => number) => {
    for (let q = 0; q < B; q++) ints[at++] = value(q)
  }
  field((q) => q * T) // base
  field((q) => q * T) // tbase
  field((q) => (T - 1) * B + q) // last
  field(() => 0) // from
  field(() => NONE) // init
  field((q) => (T - 1) * B + q) // saved
  field(() => NONE) // slot
  return ints
}

export const bytesOf = (units: Partial<Record<keyof typeof Region, number>>): number[] =>
  Object.keys(Region).map((name) => (units[name as keyof typeof Region] ?? 0) * UNIT_BYTES)

export const noJob: Job = { bytes: bytesOf({}), writes: [], plan: plan([]), frames: new Int32Array(0), count: 0, reads: [] }

/** Places of s_i = tanh(U w_i + W s_{i-1} + b) for batches up to R rows of B sequences; U, W, b in HOME, w in DATA. */
export function layer(K: number, S: number, B: number, R: number) {
  const U = address(Region.HOME, 0)
  const W = U + unitsOf(S * K)
  const b = W + unitsOf(S * S)
  const packU = address(Region.PACK, 0)
  const packW = packU + unitsOf(packFloats(S, K))
  const data = address(Region.DATA, 0)
  const x = address(Region.SCRATCH, 0)
  const s0 = x + unitsOf(R * stride(K))
  const s = s0 + unitsOf(B * stride(S))
  const lines: Line[] = [
    ['PACK', packU, U, S, K, Pack.PROJECT],
    ['PACK', packW, W, S, S, Pack.PROJECT],
    ['FETCH', x, data, K],
    ['ZERO', s0, unitsOf(B * stride(S))],
    ['PROJECT', s, x, U, packU, b, NONE, S, K, Rows.STEPS],
    ['RECUR', s, s0, W, packW, S, Cell.TANH],
  ]
  const bytes = bytesOf({
    HOME: unitsOf(S * K) + unitsOf(S * S) + unitsOf(S),
    DATA: unitsOf(R * K),
    SCRATCH: s - x + unitsOf(R * stride(S)),
    PACK: unitsOf(packFloats(S, K)) + unitsOf(packFloats(S, S)),
  })
  return { U, W, b, data, x, s0, s, lines, bytes }
}

/** Numbers in (−scale, scale), the same every time. */
export function numbers(length: number, seed: number, scale = 1): Float32Array {
  let state = seed
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return (state / 2 ** 31 - 1) * scale
  })
}

/** A job that takes some seconds unless it is stopped, though each of its steps is short. */
export function longJob(count = 2000): Job {
  const [K, S, B, T] = [8, 256, 16, 64]
  const { lines, bytes, U, W, b, data } = layer(K, S, B, B * T)
  const one = frame(B, T)
  const frames = new Int32Array(count * one.length)
  for (let n = 0; n < count; n++) frames.set(one, n * one.length)
  const writes = [
    { at: U, data: numbers(S * K, 1) },
    { at: W, data: numbers(S * S, 2, 0.05) },
    { at: b, data: numbers(S, 3) },
    { at: data, data: numbers(B * T * K, 4) },
  ]
  return { bytes, writes, plan: plan(lines), frames, count, reads: [] }
}
