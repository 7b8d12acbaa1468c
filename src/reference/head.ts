/*
 * From states to outputs and losses: LAST, LOSS, SUM_LOSS, ACTIVATE. Letters: N outputs, z logits, y targets, w weights, o outputs;
 * q a sequence, i a step, j an output. What is float64 in every class stands without `round`.
 */
import { NONE, stride } from '../plan/memory.js'
import { Head, Result, Rows } from '../plan/operations.js'
import type { Floats, Rounding } from './arithmetic.js'
import { functions } from './functions.js'
import type { Context } from './memory.js'
import { copyRow } from './move.js'

const LANES = 16
/** Multiplications that take as long as an output. */
const WORK = 16

export function heads(rounding: Rounding) {
  const { round } = rounding
  const { exp, ln, sigmoid } = functions(rounding)

  const lanes = new Float64Array(LANES)
  let e = new Float64Array(0)

  /** Leaves e_j = exp(z_j − max) in `e`. */
  function exponentials(z: Floats, at: number, N: number) {
    let best = 0
    for (let j = 1; j < N; j++) if (z[at + j]! > z[at + best]!) best = j
    const max = z[at + best]!
    if (e.length < N) e = new Float64Array(N)
    lanes.fill(0)
    for (let j = 0; j < N; j++) {
      e[j] = exp(round(z[at + j]! - max))
      lanes[j % LANES] = round(lanes[j % LANES]! + e[j]!)
    }
    for (let half = LANES / 2; half >= 1; half /= 2) for (let l = 0; l < half; l++) lanes[l] = round(lanes[l]! + lanes[l + half]!)
    return { best, max, sum: lanes[0]! }
  }

  /** The loss of one row: weights w[wAt …], targets at row `target`; dz, where given, from dzAt on. Returns [Σ wℓ, score]. */
  type RowLoss = (z: Floats, at: number, target: number, dz: Floats | null) => [number, number]

  function softmaxLoss(classes: Int32Array, weights: Floats, scale: number, N: number): RowLoss {
    return (z, at, target, dz) => {
      const y = classes[target]!
      const w = weights[target]!
      if (w === 0) {
        dz?.fill(0, at, at + N)
        return [0, 0]
      }
      const { best, max, sum } = exponentials(z, at, N)
      const loss = w * (max + ln(sum) - z[at + y]!)
      const g = round(w * scale)
      if (dz) for (let j = 0; j < N; j++) dz[at + j] = round(round(round(e[j]! / sum) - (j === y ? 1 : 0)) * g)
      return [loss, best === y ? 1 : 0]
    }
  }

  function sigmoidLoss(targets: Floats, weights: Floats, scale: number, N: number): RowLoss {
    return (z, at, target, dz) => {
      let loss = 0
      let hits = 0
      for (let j = 0; j < N; j++) {
        const zj = z[at + j]!
        const y = targets[target * N + j]!
        const w = weights[target * N + j]!
        if (w !== 0) {
          loss += w * ((zj > 0 ? zj : 0) - zj * y + ln(1 + exp(-Math.abs(zj))))
          if (zj >= 0 === y >= 0.5) hits++
        }
        if (dz) dz[at + j] = w === 0 ? 0 : round(round(sigmoid(zj) - y) * round(w * scale))
      }
      return [loss, hits]
    }
  }

  function linearLoss(targets: Floats, weights: Floats, scale: number, N: number): RowLoss {
    return (z, at, target, dz) => {
      let loss = 0
      let squares = 0
      for (let j = 0; j < N; j++) {
        const d = round(z[at + j]! - targets[target * N + j]!)
        const w = weights[target * N + j]!
        if (w !== 0) {
          loss += w * d * d
          squares += d * d
        }
        if (dz) dz[at + j] = w === 0 ? 0 : round(d * round(w * scale))
      }
      return [loss, squares]
    }
  }

  return {
    LAST(c: Context, dstAt: number, s0At: number, sAt: number, S: number) {
      const { B, last } = c.frame
      const dst = c.floats(dstAt)
      const s0 = c.floats(s0At)
      const s = c.floats(sAt)
      for (let q = 0; q < B; q++)
        if (last[q]! < 0) copyRow(dst, q, s0, q, S)
        else copyRow(dst, q, s, last[q]!, S)
    },

    *LOSS(
      c: Context,
      dzAt: number,
      zAt: number,
      targetsAt: number,
      weightsAt: number,
      rowLossAt: number,
      N: number,
      head: number,
      rows: number,
    ) {
      const { B, T, active, start, tbase, from, scalars, first } = c.frame
      const z = c.floats(zAt)
      const dz = dzAt === NONE ? null : c.floats(dzAt)
      const weights = c.floats(weightsAt)
      const rowLoss = c.doubles(rowLossAt).subarray(2 * first)
      const scale = scalars[0]!
      const ofRow =
        head === Head.SOFTMAX
          ? softmaxLoss(c.ints(targetsAt), weights, scale, N)
          : (head === Head.SIGMOID ? sigmoidLoss : linearLoss)(c.floats(targetsAt), weights, scale, N)

      const count = (row: number, target: number) => rowLoss.set(ofRow(z, row * stride(N), target, dz), 2 * row)
      const skip = (row: number) => {
        rowLoss.fill(0, 2 * row, 2 * row + 2)
        dz?.fill(0, row * stride(N), row * stride(N) + N)
      }
      for (let i = 0; i < (rows === Rows.BATCH ? 1 : T); i++)
        for (let q = 0; q < (rows === Rows.BATCH ? B : active[i]!); q++) {
          if (c.due(N * WORK)) yield
          if (rows === Rows.BATCH) count(q, tbase[q]!)
          else if (i < from[q]!) skip(start[i]! + q)
          else count(start[i]! + q, tbase[q]! + i)
        }
    },

    SUM_LOSS(c: Context, rowLossAt: number, rows: number) {
      const rowLoss = c.doubles(rowLossAt)
      const count = c.rows(rows)
      let loss = 0
      let score = 0
      for (let row = 0; row < count; row++) {
        loss += rowLoss[2 * row]!
        score += rowLoss[2 * row + 1]!
      }
      c.result[Result.LOSS] = loss
      c.result[Result.SCORE] = score
    },

    *ACTIVATE(c: Context, oAt: number, zAt: number, N: number, head: number, rows: number) {
      const o = c.floats(oAt)
      const z = c.floats(zAt)
      const count = c.rows(rows)
      for (let row = 0; row < count; row++) {
        if (c.due(N * WORK)) yield
        const at = row * stride(N)
        if (head === Head.SOFTMAX) {
          const { sum } = exponentials(z, at, N)
          for (let j = 0; j < N; j++) o[at + j] = round(e[j]! / sum)
        } else if (head === Head.SIGMOID) for (let j = 0; j < N; j++) o[at + j] = sigmoid(z[at + j]!)
        else copyRow(o, row, z, row, N)
      }
    },
  }
}
