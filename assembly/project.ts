// Products of all rows at once with U, W and V, and their gradients: PACK, PROJECT, GATHER, then PROJECT_DX, PROJECT_DW, BIAS_DW, GATHER_DW.
// Shapes and orders: src/plan/operations.ts, docs/numerics.md. M is a parameter [N, K], dense.
//
// Pack forms: PROJECT and PROJECT_DX are panels of 8 outputs, pack[panel][inner][8], zeros beyond the last output; GATHER is Mᵀ in rows
// of stride(N).
import { active, B, base, COLUMNS, high, int, low, parts, pointer, Q0, Q1, R, ROW, start, stride, T } from './context'
import { zeroRow } from './move'
import { matrixGradient } from './outer'
import { skips } from './pause'
import * as plan from './plan.gen'
import { next, shareBegin, shareEnd, shareStep } from './share'
import { loadPart, storePart, TILE_ROWS } from './simd'
import { multiply, ROWS } from './tile'

/** Multiplications that take as long as moving a number of a matrix. */
const WORK: i32 = 8

export function rowsOf(kind: i32): i32 {
  return kind == plan.ROWS_BATCH ? B : R
}

export function PACK(args: usize): void {
  const pack = pointer(args, plan.PACK_pack)
  const M = pointer(args, plan.PACK_M)
  const N = int(args, plan.PACK_N)
  const K = int(args, plan.PACK_K)
  const form = int(args, plan.PACK_form)
  const row = (<usize>K) << 2
  if (form == plan.PACK_PROJECT) {
    const n = low(N, 8)
    packMatrix(pack + <usize>n * row, M + <usize>n * row, high(N, 8) - n, K)
  } else if (form == plan.PACK_GATHER) {
    const n = low(N, 16)
    transpose(pack + ((<usize>n) << 2), stride(N), M + <usize>n * row, row, high(N, 16) - n, K)
  } else packTranspose(pack, M, N, K)
}

/** pack[n / 8][k][n % 8] = M[n, k]. */
function packMatrix(pack: usize, M: usize, N: i32, K: i32): void {
  const row = (<usize>K) << 2
  for (let n = 0; n < N; n += 8) {
    if (N - n < 8 && !skips(0)) memory.fill(pack, 0, row << 3)
    transpose(pack, 32, M, row, min(8, N - n), K)
    pack += row << 3
    M += row << 3
  }
}

/** pack[k / 8][n][k % 8] = M[n, k]. */
function packTranspose(pack: usize, M: usize, N: i32, K: i32): void {
  const end = high(K, 8)
  for (let k = low(K, 8); k < end; k += 8) {
    let to = pack + ((<usize>N * k) << 2)
    if (skips(<i64>N * 8 * WORK)) continue
    let from = M + ((<usize>k) << 2)
    for (let n = 0; n < N; n++, from += (<usize>K) << 2, to += 32) {
      v128.store(to, loadPart(from, K - k))
      v128.store(to, loadPart(from + 16, K - k - 4), 16)
    }
  }
}

/** out[k, n] = M[n, k] for n < N, k < K; rows are ldOut and ldM bytes apart. */
function transpose(out: usize, ldOut: usize, M: usize, ldM: usize, N: i32, K: i32): void {
  let n = 0
  for (; n + 4 <= N; n += 4, M += ldM << 2, out += 16) {
    if (skips(<i64>K * 4 * WORK)) continue
    let from = M
    let to = out
    let k = 0
    for (; k + 4 <= K; k += 4, from += 16) {
      const r0 = v128.load(from)
      const r1 = v128.load(from + ldM)
      const r2 = v128.load(from + 2 * ldM)
      const r3 = v128.load(from + 3 * ldM)
      const a = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5)
      const b = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5)
      const c = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7)
      const d = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7)
      v128.store(to, v128.shuffle<i64>(a, b, 0, 2))
      v128.store(to + ldOut, v128.shuffle<i64>(a, b, 1, 3))
      v128.store(to + 2 * ldOut, v128.shuffle<i64>(c, d, 0, 2))
      v128.store(to + 3 * ldOut, v128.shuffle<i64>(c, d, 1, 3))
      to += ldOut << 2
    }
    for (; k < K; k++, from += 4, to += ldOut) for (let i: usize = 0; i < 4; i++) store<u32>(to + (i << 2), load<u32>(from + i * ldM))
  }
  for (; n < N; n++, M += ldM, out += 4) {
    if (skips(<i64>K * WORK)) continue
    let to = out
    for (let k = 0; k < K; k++, to += ldOut) store<u32>(to, load<u32>(M + ((<usize>k) << 2)))
  }
}

/** Sets ROW[0 .. stride(N)) = bias + bias2, +0 for what is not there; N ≤ COLUMNS. */
function sumBias(bias: usize, bias2: usize, N: i32): void {
  zeroRow(ROW, stride(N))
  for (let n = 0; n < N; n += 4) {
    const at = (<usize>n) << 2
    if (bias) v128.store(ROW + at, loadPart(bias + at, N - n))
    if (bias2) v128.store(ROW + at, f32x4.add(v128.load(ROW + at), loadPart(bias2 + at, N - n)))
  }
}

/** Rows of a product in hand: `rows` from `row` on. */
let row = 0
let rows = 0

/** Puts the next ones of `all` there: they are shared in slices, of which each thread has a block. @returns whether there are any */
function nextRows(all: i32): bool {
  const slices = parts == 1 ? 1 : 1 + all / (ROWS * parts)
  const slice = (all + slices - 1) / slices
  const goesOn = next(slice, TILE_ROWS, slices)
  row = shareStep * slice + shareBegin
  rows = max(0, min(all, shareStep * slice + shareEnd) - row)
  return goesOn
}

export function PROJECT(args: usize): void {
  const pack = pointer(args, plan.PROJECT_pack)
  const bias = pointer(args, plan.PROJECT_bias)
  const bias2 = pointer(args, plan.PROJECT_bias2)
  const N = int(args, plan.PROJECT_N)
  const K = int(args, plan.PROJECT_K)
  const all = rowsOf(int(args, plan.PROJECT_rows))
  while (nextRows(all)) {
    const y = pointer(args, plan.PROJECT_y) + <usize>row * stride(N)
    const x = pointer(args, plan.PROJECT_x) + <usize>row * stride(K)
    for (let n = 0; n < N; n += COLUMNS) {
      const at = (<usize>n) << 2
      const width = min(COLUMNS, N - n)
      sumBias(bias ? bias + at : 0, bias2 ? bias2 + at : 0, width)
      multiply(y + at, stride(N), ROW, 0, x, stride(K), pack + at * <usize>K, rows, width, K)
    }
  }
}

export function GATHER(args: usize): void {
  const y = pointer(args, plan.GATHER_y)
  const tokens = pointer(args, plan.GATHER_tokens)
  const pack = pointer(args, plan.GATHER_pack)
  const bias = pointer(args, plan.GATHER_bias)
  const bias2 = pointer(args, plan.GATHER_bias2)
  const N = int(args, plan.GATHER_N)
  const row = stride(N)
  for (let n = 0; n < N; n += COLUMNS) {
    const left = (<usize>n) << 2
    const width = stride(min(COLUMNS, N - n))
    sumBias(bias ? bias + left : 0, bias2 ? bias2 + left : 0, min(COLUMNS, N - n))
    for (let i = 0; i < T; i++) {
      if (skips(<i64>int(active, i) * width)) continue
      const end = min(Q1, int(active, i))
      for (let q = Q0; q < end; q++) {
        const to = y + left + <usize>(int(start, i) + q) * row
        const column = pack + left + <usize>int(tokens, int(base, q) + i) * row
        for (let at: usize = 0; at < width; at += 16) v128.store(to + at, f32x4.add(v128.load(ROW + at), v128.load(column + at)))
      }
    }
  }
}

export function PROJECT_DX(args: usize): void {
  const pack = pointer(args, plan.PROJECT_DX_pack)
  const N = int(args, plan.PROJECT_DX_N)
  const K = int(args, plan.PROJECT_DX_K)
  const onto = int(args, plan.PROJECT_DX_accumulate) != 0
  // Features and tokens may be more than a row of zeros has: then dx itself is made one.
  const wide = K > COLUMNS
  const all = rowsOf(int(args, plan.PROJECT_DX_rows))
  while (nextRows(all)) {
    const dx = pointer(args, plan.PROJECT_DX_dx) + <usize>row * stride(K)
    const dy = pointer(args, plan.PROJECT_DX_dy) + <usize>row * stride(N)
    if (wide && !onto && !skips(0)) memory.fill(dx, 0, <usize>rows * stride(K))
    if (wide || onto) multiply(dx, stride(K), dx, stride(K), dy, stride(N), pack, rows, K, N)
    else multiply(dx, stride(K), zeros(K), 0, dy, stride(N), pack, rows, K, N)
  }
}

/** A row of K ≤ COLUMNS zeros. It is there until the next sumBias. */
export function zeros(K: i32): usize {
  zeroRow(ROW, stride(K))
  return ROW
}

export function PROJECT_DW(args: usize): void {
  const rows = rowsOf(int(args, plan.PROJECT_DW_rows))
  const dy = pointer(args, plan.PROJECT_DW_dy)
  const N = int(args, plan.PROJECT_DW_N)
  const K = int(args, plan.PROJECT_DW_K)
  matrixGradient(pointer(args, plan.PROJECT_DW_dM), dy, pointer(args, plan.PROJECT_DW_x), 0, N, K, rows)
}

export function BIAS_DW(args: usize): void {
  const db = pointer(args, plan.BIAS_DW_db)
  const dy = pointer(args, plan.BIAS_DW_dy)
  const N = int(args, plan.BIAS_DW_N)
  const rows = rowsOf(int(args, plan.BIAS_DW_rows))
  const row = stride(N)
  const end = high(N, 16)
  for (let n = low(N, 16); n < end; n += 16) {
    if (skips(<i64>rows * 16)) continue
    const out = db + ((<usize>n) << 2)
    let b0 = loadPart(out, N - n)
    let b1 = loadPart(out + 16, N - n - 4)
    let b2 = loadPart(out + 32, N - n - 8)
    let b3 = loadPart(out + 48, N - n - 12)
    const top = dy + ((<usize>n) << 2)
    for (let at = top + <usize>rows * row; at > top; ) {
      at -= row
      b0 = f32x4.add(b0, v128.load(at))
      b1 = f32x4.add(b1, v128.load(at, 16))
      b2 = f32x4.add(b2, v128.load(at, 32))
      b3 = f32x4.add(b3, v128.load(at, 48))
    }
    storePart(out, b0, N - n)
    if (N - n > 4) storePart(out + 16, b1, N - n - 4)
    if (N - n > 8) storePart(out + 32, b2, N - n - 8)
    if (N - n > 12) storePart(out + 48, b3, N - n - 12)
  }
}

export function GATHER_DW(args: usize): void {
  const n = low(int(args, plan.GATHER_DW_N), 16)
  const tokens = pointer(args, plan.GATHER_DW_tokens)
  const N = high(int(args, plan.GATHER_DW_N), 16) - n
  const K = int(args, plan.GATHER_DW_K)
  const row = stride(int(args, plan.GATHER_DW_N))
  const dM = pointer(args, plan.GATHER_DW_dM) + <usize>n * ((<usize>K) << 2)
  const pack = pointer(args, plan.GATHER_DW_pack) + ((<usize>n) << 2)
  let dy = pointer(args, plan.GATHER_DW_dy) + ((<usize>n) << 2)
  transpose(pack, row, dM, (<usize>K) << 2, N, K)
  dy += <usize>R * row
  for (let i = T - 1; i >= 0; i--) {
    const count = int(active, i)
    dy -= <usize>count * row
    if (skips(<i64>count * N)) continue
    for (let q = count - 1; q >= 0; q--) {
      const from = dy + <usize>q * row
      const column = pack + <usize>int(tokens, int(base, q) + i) * row
      for (let at: usize = 0; at < stride(N); at += 16) v128.store(column + at, f32x4.add(v128.load(column + at), v128.load(from + at)))
    }
  }
  transpose(dM, (<usize>K) << 2, pack, row, K, N)
}
