// From gradients to new parameters: NORM, STEP_NORMS, CLIP, UPDATE over dense blocks of whole 64-byte units. Each optimiser's list of
// operations stands in src/plan/optimizers.ts, line for line as here. Norms are float64.
import { B, constants, getResult, high, int, low, pointer, R, scalars, setResult, stride } from './context'
import { skips } from './pause'
import * as plan from './plan.gen'
import { clamp, loadPart, madd } from './simd'

/** Σ x² of n floats, float64, over 8 lanes. */
function sumOfSquares(x: usize, n: i32): f64 {
  let s0 = f64x2.splat(0)
  let s1 = f64x2.splat(0)
  let s2 = f64x2.splat(0)
  let s3 = f64x2.splat(0)
  for (; n > 0; n -= 8, x += 32) {
    const low = n >= 8 ? v128.load(x) : loadPart(x, n)
    const high = n >= 8 ? v128.load(x, 16) : loadPart(x + 16, n - 4)
    s0 = f64x2.add(s0, squares(low))
    s1 = f64x2.add(s1, squares(i64x2.shuffle(low, low, 1, 1)))
    s2 = f64x2.add(s2, squares(high))
    s3 = f64x2.add(s3, squares(i64x2.shuffle(high, high, 1, 1)))
  }
  const two = f64x2.add(f64x2.add(s0, s2), f64x2.add(s1, s3))
  return f64x2.extract_lane(two, 0) + f64x2.extract_lane(two, 1)
}

/** The squares of the first two lanes, exact in float64. */
function squares(x: v128): v128 {
  const wide = f64x2.promote_low_f32x4(x)
  return f64x2.mul(wide, wide)
}

export function NORM(args: usize): void {
  const gradients = pointer(args, plan.NORM_gradients)
  const size = int(args, plan.NORM_units) * plan.UNIT_FLOATS
  let sum: f64 = 0
  for (let at = 0; at < size; at += plan.NORM_BLOCK) sum += sumOfSquares(gradients + ((<usize>at) << 2), min(plan.NORM_BLOCK, size - at))
  setResult(plan.RESULT_NORM, Math.sqrt(sum))
}

export function STEP_NORMS(args: usize): void {
  const S = int(args, plan.STEP_NORMS_S)
  rowNorms(pointer(args, plan.STEP_NORMS_norms0), pointer(args, plan.STEP_NORMS_g0), B, S)
  rowNorms(pointer(args, plan.STEP_NORMS_norms), pointer(args, plan.STEP_NORMS_g), R, S)
}

function rowNorms(norms: usize, x: usize, rows: i32, S: i32): void {
  const end = high(rows, 1)
  for (let row = low(rows, 1); row < end; row++)
    if (!skips(S)) store<f64>(norms + ((<usize>row) << 3), Math.sqrt(sumOfSquares(x + <usize>row * stride(S), S)))
}

export function CLIP(args: usize): void {
  const scale = load<f64>(constants + ((<usize>int(args, plan.CLIP_maxNorm)) << 3)) / (getResult(plan.RESULT_NORM) + 1e-6)
  setResult(plan.RESULT_CLIP, scale < 1 ? <f64>(<f32>scale) : 1)
}

/** Bytes of parameters in a block of an update, and multiplications that take as long as one of them. */
const BLOCK: usize = 1 << 14
const WORK: i32 = 4

/** A scalar of the optimiser in all lanes. */
function scalar(index: i32): v128 {
  return v128.load32_splat(scalars + ((<usize>index) << 2), 4) // behind SCALE
}

export function UPDATE(args: usize): void {
  const optimizer = int(args, plan.UPDATE_optimizer)
  const flags = int(args, plan.UPDATE_flags)
  const p = pointer(args, plan.UPDATE_p)
  const g = pointer(args, plan.UPDATE_g)
  const m = pointer(args, plan.UPDATE_m)
  const v = pointer(args, plan.UPDATE_v)
  const a = pointer(args, plan.UPDATE_a)
  const k = f32x4.splat(<f32>getResult(plan.RESULT_CLIP))
  const minusLR = f32x4.neg(scalar(plan.SCALAR_LR))
  const WD = scalar(plan.SCALAR_WD)
  const bound = scalar(plan.SCALAR_CLIP)
  const EPS = scalar(plan.SCALAR_EPS)
  const A = scalar(plan.SCALAR_A)
  const B = scalar(plan.SCALAR_B)
  const C = scalar(plan.SCALAR_C)
  const D = scalar(plan.SCALAR_D)
  const RHO = scalar(plan.SCALAR_RHO)
  const units = int(args, plan.UPDATE_units)
  const all = (flags & plan.UPDATE_FLAG_DECAY_BIASES) != 0
  const decayed = flags & plan.UPDATE_FLAG_DECAY ? <usize>(all ? units : int(args, plan.UPDATE_matrixUnits)) * plan.UNIT_BYTES : 0

  const end = <usize>high(units, 1) * plan.UNIT_BYTES
  for (let x = <usize>low(units, 1) * plan.UNIT_BYTES; x < end; ) {
    const until = min(end, x + BLOCK)
    if (skips(<i64>(until - x) * WORK)) x = until
    for (; x < until; x += 16) {
      let P = v128.load(p + x)
      let G = f32x4.mul(v128.load(g + x), k)
      if (flags & plan.UPDATE_FLAG_CLIP_VALUE) G = clamp(G, f32x4.neg(bound), bound)
      if (x < decayed) {
        if (optimizer == plan.OPTIMIZER_ADAMW) P = f32x4.mul(P, WD)
        else G = madd(WD, P, G)
      }
      let d = G
      if (optimizer == plan.OPTIMIZER_SGD) {
        if (flags & plan.UPDATE_FLAG_MOMENTUM) {
          const M = madd(B, G, f32x4.mul(A, v128.load(m + x)))
          v128.store(m + x, M)
          d = flags & plan.UPDATE_FLAG_NESTEROV ? madd(A, M, G) : M
        }
      } else if (optimizer == plan.OPTIMIZER_ADAGRAD) {
        const V = madd(G, G, v128.load(v + x))
        v128.store(v + x, V)
        d = f32x4.div(G, f32x4.add(f32x4.sqrt(V), EPS))
      } else if (optimizer == plan.OPTIMIZER_RMSPROP) {
        const V = madd(B, f32x4.mul(G, G), f32x4.mul(A, v128.load(v + x)))
        v128.store(v + x, V)
        let q = V
        if (flags & plan.UPDATE_FLAG_CENTERED) {
          const mean = madd(B, G, f32x4.mul(A, v128.load(a + x)))
          v128.store(a + x, mean)
          q = madd(f32x4.neg(mean), mean, V)
          q = v128.andnot(q, f32x4.lt(q, f32x4.splat(0)))
        }
        d = f32x4.div(G, f32x4.add(f32x4.sqrt(q), EPS))
        if (flags & plan.UPDATE_FLAG_MOMENTUM) {
          d = madd(C, v128.load(m + x), d)
          v128.store(m + x, d)
        }
      } else {
        const M = madd(B, G, f32x4.mul(A, v128.load(m + x)))
        v128.store(m + x, M)
        const V = madd(D, f32x4.mul(G, G), f32x4.mul(C, v128.load(v + x)))
        v128.store(v + x, V)
        let q = V
        if (flags & plan.UPDATE_FLAG_AMSGRAD) {
          const old = v128.load(a + x)
          q = v128.bitselect(V, old, f32x4.gt(V, old))
          v128.store(a + x, q)
        }
        d = f32x4.div(M, madd(f32x4.sqrt(q), RHO, EPS))
      }
      v128.store(p + x, madd(minusLR, d, P))
    }
  }
}
