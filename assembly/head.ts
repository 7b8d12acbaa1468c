// From states to outputs and losses: LAST, LOSS, SUM_LOSS, ACTIVATE. Shapes: src/plan/operations.ts; formulas: docs/numerics.md.
// Letters: N outputs, z logits, y targets, w weights, o outputs; q a sequence, i a step, j an output.
import {
  active,
  B,
  COLUMNS,
  first,
  from,
  high,
  int,
  LANES,
  last,
  low,
  pointer,
  Q0,
  Q1,
  ROW,
  scalars,
  setResult,
  start,
  stride,
  T,
  tbase,
} from './context'
import { expRow, ln, sigmoidRow } from './functions'
import { copyRow, zeroRow } from './move'
import { skips } from './pause'
import * as plan from './plan.gen'
import { rowsOf } from './project'
import { next, shareBegin, shareEnd, shareStep } from './share'
import { laneMask, loadPart } from './simd'

/** Multiplications that take as long as an output. */
const WORK: i32 = 16

export function LAST(args: usize): void {
  const dst = pointer(args, plan.LAST_dst)
  const s0 = pointer(args, plan.LAST_s0)
  const s = pointer(args, plan.LAST_s)
  const row = stride(int(args, plan.LAST_S))
  for (let q = Q0; q < Q1; q++) {
    const at = int(last, q)
    copyRow(dst + <usize>q * row, at < 0 ? s0 + <usize>q * row : s + <usize>at * row, row)
  }
}

function maximum(z: usize, N: i32): f32 {
  let m = v128.load32_splat(z)
  for (; N >= 4; N -= 4, z += 16) m = f32x4.pmax(m, v128.load(z))
  if (N) m = f32x4.pmax(m, v128.bitselect(v128.load(z), m, laneMask(N)))
  const a = larger(f32x4.extract_lane(m, 0), f32x4.extract_lane(m, 1))
  return larger(a, larger(f32x4.extract_lane(m, 2), f32x4.extract_lane(m, 3)))
}

function larger(a: f32, b: f32): f32 {
  return b > a ? b : a
}

/** out[j] = exp(z_j − m) where out is given (it may be z). @returns their sum over 16 lanes. */
function exponentials(out: usize, z: usize, N: i32, m: f32): f32 {
  zeroRow(LANES, 64)
  for (; N > 0; N -= COLUMNS) {
    const n = min(N, COLUMNS)
    const to = out ? out : ROW
    expRow(to, z, m, (<usize>((n + 3) & ~3)) << 2)
    addToLanes(to, n)
    z += (<usize>COLUMNS) << 2
    if (out) out += (<usize>COLUMNS) << 2
  }
  const low = f32x4.add(v128.load(LANES), v128.load(LANES, 32))
  const four = f32x4.add(low, f32x4.add(v128.load(LANES, 16), v128.load(LANES, 48)))
  const a = f32x4.extract_lane(four, 0) + f32x4.extract_lane(four, 2)
  return a + (f32x4.extract_lane(four, 1) + f32x4.extract_lane(four, 3))
}

/** Element j of e is added to lane j mod 16. */
function addToLanes(e: usize, N: i32): void {
  let s0 = v128.load(LANES)
  let s1 = v128.load(LANES, 16)
  let s2 = v128.load(LANES, 32)
  let s3 = v128.load(LANES, 48)
  for (; N >= 16; N -= 16, e += 64) {
    s0 = f32x4.add(s0, v128.load(e))
    s1 = f32x4.add(s1, v128.load(e, 16))
    s2 = f32x4.add(s2, v128.load(e, 32))
    s3 = f32x4.add(s3, v128.load(e, 48))
  }
  v128.store(LANES, f32x4.add(s0, v128.and(v128.load(e), laneMask(N))))
  v128.store(LANES, f32x4.add(s1, v128.and(v128.load(e, 16), laneMask(N - 4))), 16)
  v128.store(LANES, f32x4.add(s2, v128.and(v128.load(e, 32), laneMask(N - 8))), 32)
  v128.store(LANES, f32x4.add(s3, v128.and(v128.load(e, 48), laneMask(N - 12))), 48)
}

/** What one row adds, left by the functions below. */
let loss: f64 = 0
let score: f64 = 0

/** z, dz: [N]; y: the class; w: the row's weight, not 0. */
function softmaxLoss(dz: usize, z: usize, y: i32, w: f32, scale: f32, N: i32): void {
  const m = maximum(z, N)
  let best = 0
  while (best < N - 1 && load<f32>(z + ((<usize>best) << 2)) != m) best++
  if (m != m) best = 0 // the first logit is NaN
  const own = load<f32>(z + ((<usize>y) << 2))
  const sum = exponentials(dz, z, N, m)
  loss = <f64>w * (<f64>m + ln(<f64>sum) - <f64>own)
  score = best == y ? 1 : 0
  if (!dz) return
  const g = w * scale
  const owned = dz + ((<usize>y) << 2)
  const p = load<f32>(owned) / sum
  for (let j = 0; j < N; j += 4) {
    const at = dz + ((<usize>j) << 2)
    v128.store(at, f32x4.mul(f32x4.div(v128.load(at), f32x4.splat(sum)), f32x4.splat(g)))
  }
  store<f32>(owned, (p - 1) * g)
}

/** z, dz, y, w: [N]. Outputs of weight 0 add nothing. */
function sigmoidLoss(dz: usize, z: usize, y: usize, w: usize, scale: f32, N: i32): void {
  loss = 0
  score = 0
  for (let n = 0; n < N; n += 16, z += 64, y += 64, w += 64) {
    for (let l: usize = 0; l < 64; l += 16) v128.store(LANES + l, f32x4.neg(f32x4.abs(v128.load(z + l))))
    expRow(LANES, LANES, 0, 64)
    for (let l: usize = 0; l < (<usize>min(16, N - n)) << 2; l += 4) {
      const wj = load<f32>(w + l)
      if (wj == 0) continue
      const zj = load<f32>(z + l)
      const yj = load<f32>(y + l)
      const positive = zj > 0 ? <f64>zj : 0
      loss += <f64>wj * (positive - <f64>zj * <f64>yj + ln(1 + <f64>load<f32>(LANES + l)))
      if (zj >= 0 == yj >= 0.5) score += 1
    }
    if (!dz) continue
    const to = dz + ((<usize>n) << 2)
    sigmoidRow(to, z, 64)
    weigh(to, to, y, w, scale, min(16, N - n))
  }
}

/** z, dz, y, w: [N]. Outputs of weight 0 add nothing. */
function linearLoss(dz: usize, z: usize, y: usize, w: usize, scale: f32, N: i32): void {
  loss = 0
  score = 0
  for (let j: usize = 0; j < (<usize>N) << 2; j += 4) {
    const wj = <f64>load<f32>(w + j)
    if (wj == 0) continue
    const dj = <f64>(load<f32>(z + j) - load<f32>(y + j))
    loss += wj * dj * dj
    score += dj * dj
  }
  if (!dz) return
  for (let n = 0; n < N; n += 16, dz += 64, z += 64, y += 64, w += 64) weigh(dz, z, y, w, scale, min(16, N - n))
}

/** At most 16 of dz = (o − y)·(w·scale), +0 where w = 0. */
function weigh(dz: usize, o: usize, y: usize, w: usize, scale: f32, N: i32): void {
  for (; N > 0; N -= 4, dz += 16, o += 16, y += 16, w += 16) {
    const each = loadPart(w, N)
    const d = f32x4.sub(v128.load(o), loadPart(y, N))
    v128.store(dz, v128.and(f32x4.mul(d, f32x4.mul(each, f32x4.splat(scale))), f32x4.ne(each, f32x4.splat(0))))
  }
}

export function LOSS(args: usize): void {
  const atEnd = int(args, plan.LOSS_rows) == plan.ROWS_BATCH
  while (next(B, 4, atEnd ? 1 : T)) {
    const i = shareStep
    const end = atEnd ? shareEnd : min(shareEnd, int(active, i))
    for (let q = shareBegin; q < end; q++) lossOfRow(args, atEnd ? q : int(start, i) + q, int(tbase, q) + i, atEnd || i >= int(from, q))
  }
}

/** Row `row` of z against row `target` of the targets and weights. */
function lossOfRow(args: usize, row: i32, target: i32, counts: bool): void {
  const N = int(args, plan.LOSS_N)
  if (skips(<i64>N * WORK)) return
  const head = int(args, plan.LOSS_head)
  const z = pointer(args, plan.LOSS_z) + <usize>row * stride(N)
  let dz = pointer(args, plan.LOSS_dz)
  if (dz) dz += <usize>row * stride(N)
  const targets = pointer(args, plan.LOSS_targets)
  const weights = pointer(args, plan.LOSS_weights)
  const scale = load<f32>(scalars)
  if (head == plan.HEAD_SOFTMAX) {
    const w = counts ? load<f32>(weights + ((<usize>target) << 2)) : 0
    counts = w != 0
    if (counts) softmaxLoss(dz, z, int(targets, target), w, scale, N)
  } else if (counts) {
    const at = <usize>target * ((<usize>N) << 2)
    if (head == plan.HEAD_SIGMOID) sigmoidLoss(dz, z, targets + at, weights + at, scale, N)
    else linearLoss(dz, z, targets + at, weights + at, scale, N)
  }
  if (!counts) {
    loss = 0
    score = 0
    if (dz) zeroRow(dz, stride(N))
  }
  const out = pointer(args, plan.LOSS_rowLoss) + ((<usize>(first + row)) << 4)
  store<f64>(out, loss)
  store<f64>(out, score, 8)
}

export function SUM_LOSS(args: usize): void {
  const rowLoss = pointer(args, plan.SUM_LOSS_rowLoss)
  const rows = rowsOf(int(args, plan.SUM_LOSS_rows))
  let sum = f64x2.splat(0)
  for (let row = 0; row < rows; row++) sum = f64x2.add(sum, v128.load(rowLoss + ((<usize>row) << 4)))
  setResult(plan.RESULT_LOSS, f64x2.extract_lane(sum, 0))
  setResult(plan.RESULT_SCORE, f64x2.extract_lane(sum, 1))
}

export function ACTIVATE(args: usize): void {
  const N = int(args, plan.ACTIVATE_N)
  const head = int(args, plan.ACTIVATE_head)
  const row = stride(N)
  const rows = rowsOf(int(args, plan.ACTIVATE_rows))
  const begin = <usize>low(rows, 1) * row
  let o = pointer(args, plan.ACTIVATE_o) + begin
  let z = pointer(args, plan.ACTIVATE_z) + begin
  const end = pointer(args, plan.ACTIVATE_z) + <usize>high(rows, 1) * row
  for (; z < end; z += row, o += row) {
    if (skips(<i64>N * WORK)) continue
    if (head == plan.HEAD_SOFTMAX) {
      const sum = f32x4.splat(exponentials(o, z, N, maximum(z, N)))
      for (let j: usize = 0; j < (<usize>N) << 2; j += 16) v128.store(o + j, f32x4.div(v128.load(o + j), sum))
    } else if (head == plan.HEAD_SIGMOID) {
      sigmoidRow(o, z, (<usize>((N + 3) & ~3)) << 2)
    } else if (o != z) copyRow(o, z, row)
  }
}
