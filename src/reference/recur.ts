/*
 * The recurrence, s_i = f(U w_i + W s_{i-1} + b), and its backpropagation through time: RECUR, RECUR_BACK, RECUR_DW. These own the loop
 * over steps; U w_i + b is there already. Letters: i a step, q a sequence, d_i = dL/d(U w_i + W s_{i-1} + b), g_i = dL/ds_i.
 */
import { NONE, stride } from '../plan/memory.js'
import { Above } from '../plan/operations.js'
import { loops, type Rounding } from './arithmetic.js'
import { activation, derivative, functions } from './functions.js'
import type { Context } from './memory.js'
import { copyRow } from './move.js'

export function recurrences(rounding: Rounding) {
  const { times, timesTransposed, outer } = loops(rounding)
  const numbers = functions(rounding)

  return {
    *RECUR(c: Context, sAt: number, s0At: number, WAt: number, _pack: number, S: number, cell: number) {
      const { T, active, start } = c.frame
      const s = c.floats(sAt)
      const s0 = c.floats(s0At)
      const W = c.floats(WAt)
      const f = activation(cell, numbers)
      for (let i = 0; i < T; i++)
        for (let q = 0; q < active[i]!; q++) {
          if (c.due(S * S)) yield
          const row = (start[i]! + q) * stride(S)
          if (i === 0) times(s, row, W, s0, q * stride(S), S, S)
          else times(s, row, W, s, (start[i - 1]! + q) * stride(S), S, S)
          for (let n = 0; n < S; n++) s[row + n] = f(s[row + n]!)
        }
    },

    *RECUR_BACK(
      c: Context,
      dAt: number,
      sAt: number,
      afterAt: number,
      aboveAt: number,
      aboveKind: number,
      WAt: number,
      _pack: number,
      S: number,
      cell: number,
      gAt: number,
      g0At: number,
    ) {
      const { B, T, active, start, last, after: alive } = c.frame
      const width = stride(S)
      const d = c.floats(dAt)
      const s = c.floats(sAt)
      const W = c.floats(WAt)
      const after = alive > 0 ? c.floats(afterAt) : null
      const above = aboveKind === Above.NONE ? null : c.floats(aboveAt)
      const g = gAt === NONE ? null : c.floats(gAt)
      const g0 = g0At === NONE ? null : c.floats(g0At)
      const byNonlinearity = derivative(cell, rounding)
      for (let i = T - 1; i >= 0; i--)
        for (let q = 0; q < active[i]!; q++) {
          if (c.due(S * S)) yield
          const row = start[i]! + q
          const later = i + 1 < T
          const goesOn = q < (later ? active[i + 1]! : alive)
          if (above && aboveKind === Above.STEPS) copyRow(d, row, above, row, S)
          else if (above && !goesOn) copyRow(d, row, above, q, S)
          else d.fill(0, row * width, row * width + S)
          if (goesOn && later) timesTransposed(d, row * width, W, d, (start[i + 1]! + q) * width, S, S)
          else if (goesOn) timesTransposed(d, row * width, W, after!, q * width, S, S)
          if (g) copyRow(g, row, d, row, S)
          for (let n = row * width; n < row * width + S; n++) d[n] = byNonlinearity(s[n]!, d[n]!)
        }
      if (!g0) return
      for (let q = 0; q < B; q++) {
        if (c.due(S * S)) yield
        if (above && aboveKind === Above.LAST && last[q]! < 0) copyRow(g0, q, above, q, S)
        else g0.fill(0, q * width, q * width + S)
        if (T > 0 && q < active[0]!) timesTransposed(g0, q * width, W, d, q * width, S, S)
      }
    },

    *RECUR_DW(c: Context, dMAt: number, dAt: number, sAt: number, s0At: number, N: number, K: number) {
      const { T, active, start } = c.frame
      const dM = c.floats(dMAt)
      const d = c.floats(dAt)
      const s = c.floats(sAt)
      const s0 = c.floats(s0At)
      for (let i = T - 1; i >= 0; i--)
        for (let q = active[i]! - 1; q >= 0; q--) {
          if (c.due(N * K)) yield
          const row = (start[i]! + q) * stride(N)
          if (i === 0) outer(dM, d, row, s0, q * stride(K), N, K)
          else outer(dM, d, row, s, (start[i - 1]! + q) * stride(K), N, K)
        }
    },
  }
}
