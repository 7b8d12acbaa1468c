// The float32 functions over rows, and the float64 logarithm. Formulas and errors: docs/numerics.md; coefficients: src/plan/functions.ts.
// Whole rows, because engines set up the coefficients anew in each call. `bytes` are a multiple of 16; `to` may be `from`.
import * as plan from './plan.gen'
import { clamp, madd } from './simd'

export function tanhRow(to: usize, from: usize, bytes: usize): void {
  for (const end = from + bytes; from < end; from += 16, to += 16) {
    const x = clamp(v128.load(from), f32x4.splat(-plan.TANH_BOUND), f32x4.splat(plan.TANH_BOUND))
    const y = f32x4.mul(x, x)
    let p = f32x4.splat(plan.TANH_P0)
    p = madd(p, y, f32x4.splat(plan.TANH_P1))
    p = madd(p, y, f32x4.splat(plan.TANH_P2))
    p = madd(p, y, f32x4.splat(plan.TANH_P3))
    p = madd(p, y, f32x4.splat(plan.TANH_P4))
    let q = f32x4.splat(plan.TANH_Q0)
    q = madd(q, y, f32x4.splat(plan.TANH_Q1))
    q = madd(q, y, f32x4.splat(plan.TANH_Q2))
    q = madd(q, y, f32x4.splat(plan.TANH_Q3))
    q = madd(q, y, f32x4.splat(plan.TANH_Q4))
    v128.store(to, f32x4.div(f32x4.mul(x, p), q))
  }
}

export function sigmoidRow(to: usize, from: usize, bytes: usize): void {
  const half = f32x4.splat(0.5)
  for (let at: usize = 0; at < bytes; at += 16) v128.store(to + at, f32x4.mul(half, v128.load(from + at)))
  tanhRow(to, to, bytes)
  for (let at: usize = 0; at < bytes; at += 16) v128.store(to + at, madd(half, v128.load(to + at), half))
}

function reluRow(to: usize, from: usize, bytes: usize): void {
  for (let at: usize = 0; at < bytes; at += 16) v128.store(to + at, f32x4.pmax(v128.load(from + at), f32x4.splat(0)))
}

/** to = exp(from − less). */
export function expRow(to: usize, from: usize, less: f32, bytes: usize): void {
  for (const end = from + bytes; from < end; from += 16, to += 16) {
    const given = f32x4.sub(v128.load(from), f32x4.splat(less))
    const x = clamp(given, f32x4.splat(plan.EXP_LOW), f32x4.splat(plan.EXP_HIGH))
    const round = f32x4.splat(plan.ROUND)
    const t = madd(x, f32x4.splat(plan.EXP_LOG2E), round)
    const n = f32x4.sub(t, round)
    let f = madd(n, f32x4.splat(-plan.EXP_LN2_HIGH), x)
    f = madd(n, f32x4.splat(-plan.EXP_LN2_LOW), f)
    let p = f32x4.splat(plan.EXP_P0)
    p = madd(p, f, f32x4.splat(plan.EXP_P1))
    p = madd(p, f, f32x4.splat(plan.EXP_P2))
    p = madd(p, f, f32x4.splat(plan.EXP_P3))
    p = madd(p, f, f32x4.splat(plan.EXP_P4))
    p = madd(p, f, f32x4.splat(plan.EXP_P5))
    p = f32x4.add(madd(p, f32x4.mul(f, f), f), f32x4.splat(1))
    v128.store(to, v128.bitselect(given, i32x4.add(p, i32x4.shl(t, 23)), f32x4.ne(given, given)))
  }
}

/** Anything but a positive normal number comes back as it is. */
export function ln(x: f64): f64 {
  const bits = reinterpret<u64>(x)
  const high = <i32>(bits >> 32)
  if (high < 0x00100000 || high >= 0x7ff00000) return x
  const mantissa = high & 0xfffff
  const carry = (mantissa + plan.LN_SHIFT) & 0x100000
  const k = <f64>((high >> 20) - 1023 + (carry >> 20))
  const f = reinterpret<f64>(((<u64>(mantissa | (carry ^ 0x3ff00000))) << 32) | (bits & 0xffffffff)) - 1.0
  const s = f / (2.0 + f)
  const z = s * s
  const w = z * z
  const t1 = w * (plan.LN_L2 + w * (plan.LN_L4 + w * plan.LN_L6))
  const t2 = z * (plan.LN_L1 + w * (plan.LN_L3 + w * (plan.LN_L5 + w * plan.LN_L7)))
  const h = 0.5 * f * f
  return k * plan.LN_LN2_HIGH - (h - (s * (h + (t2 + t1)) + k * plan.LN_LN2_LOW) - f)
}

/** x = f(x) of a recurrent layer. */
export function activateRow(x: usize, bytes: usize, cell: i32): void {
  if (cell == plan.CELL_TANH) tanhRow(x, x, bytes)
  else if (cell == plan.CELL_RELU) reluRow(x, x, bytes)
  else if (cell == plan.CELL_SIGMOID) sigmoidRow(x, x, bytes)
}

/** g = g·f'(x) from the state s = f(x), with vanished elements set to +0. */
export function derivativeRow(g: usize, s: usize, bytes: usize, cell: i32): void {
  const one = f32x4.splat(1)
  if (cell == plan.CELL_TANH) {
    for (let at: usize = 0; at < bytes; at += 16) {
      const state = v128.load(s + at)
      v128.store(g + at, vanish(f32x4.mul(v128.load(g + at), madd(f32x4.neg(state), state, one))))
    }
  } else if (cell == plan.CELL_RELU) {
    for (let at: usize = 0; at < bytes; at += 16)
      v128.store(g + at, vanish(v128.and(v128.load(g + at), f32x4.gt(v128.load(s + at), f32x4.splat(0)))))
  } else if (cell == plan.CELL_SIGMOID) {
    for (let at: usize = 0; at < bytes; at += 16) {
      const state = v128.load(s + at)
      v128.store(g + at, vanish(f32x4.mul(v128.load(g + at), f32x4.mul(state, f32x4.sub(one, state)))))
    }
  } else for (let at: usize = 0; at < bytes; at += 16) v128.store(g + at, vanish(v128.load(g + at)))
}

function vanish(x: v128): v128 {
  return v128.andnot(x, f32x4.lt(f32x4.abs(x), f32x4.splat(plan.TINY)))
}
