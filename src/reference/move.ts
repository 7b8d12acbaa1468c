/*
 * Operations that move rows and compute nothing: ZERO, COPY, FETCH, STATE_IN, STATE_OUT. Letters: K and S columns of a row, q a sequence
 * of the batch, i a step.
 */
import { stride, UNIT_FLOATS } from '../plan/memory.js'
import type { Floats } from './arithmetic.js'
import type { Context } from './memory.js'

/** to[toRow] = from[fromRow], rows of stride(S). */
export function copyRow(to: Floats, toRow: number, from: Floats, fromRow: number, S: number) {
  const width = stride(S)
  for (let k = 0; k < S; k++) to[toRow * width + k] = from[fromRow * width + k]!
}

export const moves = () => ({
  ZERO({ memory }: Context, dst: number, units: number) {
    memory.zero(dst, units * UNIT_FLOATS)
  },

  COPY({ memory }: Context, dst: number, src: number, units: number) {
    memory.copy(dst, src, units * UNIT_FLOATS)
  },

  FETCH(c: Context, dstAt: number, dataAt: number, K: number) {
    const { T, active, start, base } = c.frame
    const dst = c.floats(dstAt)
    const data = c.floats(dataAt)
    const width = stride(K)
    for (let i = 0; i < T; i++)
      for (let q = 0; q < active[i]!; q++) {
        const to = (start[i]! + q) * width
        const from = (base[q]! + i) * K
        for (let k = 0; k < width; k++) dst[to + k] = k < K ? data[from + k]! : 0
      }
  },

  STATE_IN(c: Context, dstAt: number, carryAt: number, S: number) {
    const { B, init } = c.frame
    const dst = c.floats(dstAt)
    const carry = c.floats(carryAt)
    const width = stride(S)
    for (let q = 0; q < B; q++)
      if (init[q]! < 0) dst.fill(0, q * width, (q + 1) * width)
      else copyRow(dst, q, carry, init[q]!, S)
  },

  STATE_OUT(c: Context, carryAt: number, s0At: number, sAt: number, S: number) {
    const { B, saved, slot } = c.frame
    const carry = c.floats(carryAt)
    const s0 = c.floats(s0At)
    const s = c.floats(sAt)
    for (let q = 0; q < B; q++) {
      if (slot[q]! < 0) continue
      if (saved[q]! < 0) copyRow(carry, slot[q]!, s0, q, S)
      else copyRow(carry, slot[q]!, s, saved[q]!, S)
    }
  },
})
