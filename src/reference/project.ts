/*
 * Matrix products over all rows at once, outside of the time loop: PROJECT and GATHER forward, PROJECT_DX, PROJECT_DW, BIAS_DW and
 * GATHER_DW backward; PACK, which is nothing here: the reference reads matrices as they are. N outer and K inner size of M [N, K].
 */
import { NONE, stride } from '../plan/memory.js'
import { type Floats, loops, type Rounding } from './arithmetic.js'
import type { Context } from './memory.js'

export function projections(rounding: Rounding) {
  const { round } = rounding
  const { times, timesTransposed, outer } = loops(rounding)

  /** y[row] = bias (+ bias2), where every chain starts. */
  function startAtBias(c: Context, y: Floats, yRow: number, biasAt: number, bias2At: number, N: number) {
    const bias = biasAt === NONE ? null : c.floats(biasAt)
    const bias2 = bias2At === NONE ? null : c.floats(bias2At)
    for (let n = 0; n < N; n++) {
      const b = bias ? bias[n]! : 0
      y[yRow + n] = bias2 ? round(b + bias2[n]!) : b
    }
  }

  return {
    PACK() {},

    *PROJECT(
      c: Context,
      yAt: number,
      xAt: number,
      MAt: number,
      _pack: number,
      biasAt: number,
      bias2At: number,
      N: number,
      K: number,
      rows: number,
    ) {
      const y = c.floats(yAt)
      const x = c.floats(xAt)
      const M = c.floats(MAt)
      const count = c.rows(rows)
      for (let row = 0; row < count; row++) {
        if (c.due(N * K)) yield
        startAtBias(c, y, row * stride(N), biasAt, bias2At, N)
        times(y, row * stride(N), M, x, row * stride(K), N, K)
      }
    },

    *PROJECT_DX(
      c: Context,
      dxAt: number,
      dyAt: number,
      MAt: number,
      _pack: number,
      N: number,
      K: number,
      rows: number,
      accumulate: number,
    ) {
      const dx = c.floats(dxAt)
      const dy = c.floats(dyAt)
      const M = c.floats(MAt)
      const count = c.rows(rows)
      for (let row = 0; row < count; row++) {
        if (c.due(N * K)) yield
        if (!accumulate) dx.fill(0, row * stride(K), row * stride(K) + K)
        timesTransposed(dx, row * stride(K), M, dy, row * stride(N), N, K)
      }
    },

    *PROJECT_DW(c: Context, dMAt: number, dyAt: number, xAt: number, N: number, K: number, rows: number) {
      const dM = c.floats(dMAt)
      const dy = c.floats(dyAt)
      const x = c.floats(xAt)
      for (let row = c.rows(rows) - 1; row >= 0; row--) {
        if (c.due(N * K)) yield
        outer(dM, dy, row * stride(N), x, row * stride(K), N, K)
      }
    },

    *BIAS_DW(c: Context, dbAt: number, dyAt: number, N: number, rows: number) {
      const db = c.floats(dbAt)
      const dy = c.floats(dyAt)
      for (let row = c.rows(rows) - 1; row >= 0; row--) {
        if (c.due(N)) yield
        for (let n = 0; n < N; n++) db[n] = round(db[n]! + dy[row * stride(N) + n]!)
      }
    },

    *GATHER(c: Context, yAt: number, tokensAt: number, MAt: number, _pack: number, biasAt: number, bias2At: number, N: number, K: number) {
      const { T, active, start, base } = c.frame
      const y = c.floats(yAt)
      const tokens = c.ints(tokensAt)
      const M = c.floats(MAt)
      for (let i = 0; i < T; i++)
        for (let q = 0; q < active[i]!; q++) {
          if (c.due(N)) yield
          const row = (start[i]! + q) * stride(N)
          const token = tokens[base[q]! + i]!
          startAtBias(c, y, row, biasAt, bias2At, N)
          for (let n = 0; n < N; n++) y[row + n] = round(y[row + n]! + M[n * K + token]!)
        }
    },

    *GATHER_DW(c: Context, dMAt: number, dyAt: number, tokensAt: number, _pack: number, N: number, K: number) {
      const { T, active, start, base } = c.frame
      const dM = c.floats(dMAt)
      const dy = c.floats(dyAt)
      const tokens = c.ints(tokensAt)
      for (let i = T - 1; i >= 0; i--)
        for (let q = active[i]! - 1; q >= 0; q--) {
          if (c.due(N)) yield
          const row = (start[i]! + q) * stride(N)
          const token = tokens[base[q]! + i]!
          for (let n = 0; n < N; n++) dM[n * K + token] = round(dM[n * K + token]! + dy[row + n]!)
        }
    },
  }
}
