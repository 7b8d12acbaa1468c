/*
 * From gradients to new parameters: NORM, STEP_NORMS, CLIP, UPDATE, over dense blocks. The lists of operations of each optimiser stand in
 * plan/optimizers.ts, line for line as here. Norms are float64 in every class.
 */
import { NORM_BLOCK } from '../plan/functions.js'
import { NONE, stride, UNIT_FLOATS } from '../plan/memory.js'
import { Optimizer, Result, UpdateFlag } from '../plan/operations.js'
import { Scalar } from '../plan/optimizers.js'
import type { Floats, Rounding } from './arithmetic.js'
import type { Context } from './memory.js'

const lanes = new Float64Array(8)
/** Multiplications that take as long as the update of a parameter. */
const WORK = 8

/** Σ x², lane by lane. */
function sumOfSquares(x: Floats, from: number, to: number): number {
  lanes.fill(0)
  for (let k = from; k < to; k++) lanes[(k - from) % 8]! += x[k]! * x[k]!
  for (let half = 4; half >= 1; half /= 2) for (let l = 0; l < half; l++) lanes[l]! += lanes[l + half]!
  return lanes[0]!
}

/** Norms of `count` rows of stride(S). */
function rowNorms(norms: Float64Array, x: Floats, count: number, S: number) {
  for (let row = 0; row < count; row++) norms[row] = Math.sqrt(sumOfSquares(x, row * stride(S), row * stride(S) + S))
}

export function optimizers({ round, madd }: Rounding) {
  return {
    NORM(c: Context, gradientsAt: number, units: number) {
      const gradients = c.floats(gradientsAt)
      const size = units * UNIT_FLOATS
      let sum = 0
      for (let at = 0; at < size; at += NORM_BLOCK) sum += sumOfSquares(gradients, at, Math.min(at + NORM_BLOCK, size))
      c.result[Result.NORM] = Math.sqrt(sum)
    },

    STEP_NORMS(c: Context, norms0At: number, normsAt: number, g0At: number, gAt: number, S: number) {
      rowNorms(c.doubles(norms0At), c.floats(g0At), c.frame.B, S)
      rowNorms(c.doubles(normsAt), c.floats(gAt), c.frame.R, S)
    },

    CLIP(c: Context, maxNorm: number) {
      const scale = c.constants[maxNorm]! / (c.result[Result.NORM]! + 1e-6)
      c.result[Result.CLIP] = scale < 1 ? round(scale) : 1
    },

    *UPDATE(
      c: Context,
      pAt: number,
      gAt: number,
      mAt: number,
      vAt: number,
      aAt: number,
      units: number,
      matrixUnits: number,
      optimizer: number,
      flags: number,
    ) {
      const block = (at: number) => (at === NONE ? null : c.floats(at)) as Floats // present wherever the optimiser uses it
      const [p, g, m, v, a] = [block(pAt), block(gAt), block(mAt), block(vAt), block(aAt)]
      const scalar = (index: number) => c.frame.scalars[1 + index]!
      const [LR, WD, BOUND, EPS, RHO] = [scalar(Scalar.LR), scalar(Scalar.WD), scalar(Scalar.CLIP), scalar(Scalar.EPS), scalar(Scalar.RHO)]
      const [A, B, C, D] = [scalar(Scalar.A), scalar(Scalar.B), scalar(Scalar.C), scalar(Scalar.D)]
      const k = c.result[Result.CLIP]!
      const has = (flag: number) => (flags & flag) !== 0

      /** Where parameter x goes, for gradient G: madd(−LR, direction, x). */
      const direction = (x: number, G: number): number => {
        if (optimizer === Optimizer.SGD) {
          if (!has(UpdateFlag.MOMENTUM)) return G
          m[x] = madd(B, G, round(A * m[x]!))
          return has(UpdateFlag.NESTEROV) ? madd(A, m[x]!, G) : m[x]!
        }
        if (optimizer === Optimizer.ADAGRAD) {
          v[x] = madd(G, G, v[x]!)
          return round(G / round(round(Math.sqrt(v[x]!)) + EPS))
        }
        if (optimizer === Optimizer.RMSPROP) {
          v[x] = madd(B, round(G * G), round(A * v[x]!))
          let q = v[x]!
          if (has(UpdateFlag.CENTERED)) {
            a[x] = madd(B, G, round(A * a[x]!))
            q = madd(-a[x]!, a[x]!, v[x]!)
            if (q < 0) q = 0
          }
          const d = round(G / round(round(Math.sqrt(q)) + EPS))
          if (!has(UpdateFlag.MOMENTUM)) return d
          return (m[x] = madd(C, m[x]!, d))
        }
        m[x] = madd(B, G, round(A * m[x]!))
        v[x] = madd(D, round(G * G), round(C * v[x]!))
        let q = v[x]!
        if (has(UpdateFlag.AMSGRAD)) q = a[x] = q > a[x]! ? q : a[x]!
        return round(m[x]! / madd(round(Math.sqrt(q)), RHO, EPS))
      }

      for (let x = 0; x < units * UNIT_FLOATS; x++) {
        if (c.due(WORK)) yield
        const decays = has(UpdateFlag.DECAY) && (x < matrixUnits * UNIT_FLOATS || has(UpdateFlag.DECAY_BIASES))
        let G = round(g[x]! * k)
        if (has(UpdateFlag.CLIP_VALUE)) G = G < -BOUND ? -BOUND : G > BOUND ? BOUND : G
        if (decays && optimizer === Optimizer.ADAMW) p[x] = round(p[x]! * WD)
        else if (decays) G = madd(WD, p[x]!, G)
        p[x] = madd(-LR, direction(x, G), p[x]!)
      }
    },
  }
}
