// Matrix products over packed rows and their gradients: PACK, PROJECT, GATHER and their backward operations. Shapes and orders:
// src/plan/operations.ts, docs/numerics.md; tiles: tile.ts. recur.ts uses multiply() and weightGradient() too.
//
// Pack forms: PROJECT and PROJECT_DX are panels of 8 outputs, pack[panel][inner][8], zeros beyond the last output; GATHER is Mᵀ in rows
// of stride(N).
import { active, B, base, EDGE, int, pointer, R, spend, start, stride, T, WORKSPACE, WORKSPACE_BYTES } from './context'
import {
  BIAS_DW_db,
  BIAS_DW_dy,
  BIAS_DW_N,
  BIAS_DW_rows,
  GATHER_bias,
  GATHER_bias2,
  GATHER_DW_dM,
  GATHER_DW_dy,
  GATHER_DW_K,
  GATHER_DW_N,
  GATHER_DW_pack,
  GATHER_DW_tokens,
  GATHER_N,
  GATHER_pack,
  GATHER_tokens,
  GATHER_y,
  PACK_form,
  PACK_GATHER,
  PACK_K,
  PACK_M,
  PACK_N,
  PACK_PROJECT,
  PACK_pack,
  PROJECT_bias,
  PROJECT_bias2,
  PROJECT_DW_dM,
  PROJECT_DW_dy,
  PROJECT_DW_K,
  PROJECT_DW_N,
  PROJECT_DW_rows,
  PROJECT_DW_x,
  PROJECT_DX_accumulate,
  PROJECT_DX_dx,
  PROJECT_DX_dy,
  PROJECT_DX_K,
  PROJECT_DX_N,
  PROJECT_DX_pack,
  PROJECT_DX_rows,
  PROJECT_K,
  PROJECT_N,
  PROJECT_pack,
  PROJECT_rows,
  PROJECT_x,
  PROJECT_y,
  ROWS_BATCH,
} from './plan.gen'
import { loadPart, storePart, TILE_ROWS } from './simd'
import { packedTile, tile, tileRow, tileRows } from './tile'

/** Inner elements of one pass: a panel of b (16 KiB) stays in the first cache. */
const INNER: i32 = 512
/** Rows of one pass: a block of a (≤ 240 KiB) stays in the second. A multiple of 4 and 6. */
const ROWS: i32 = 120
/** Packed rows of one pass of a weight gradient. Twice an odd number: panels then begin in different sets of the first cache. */
const CHUNK: usize = 250

export function rowsOf(kind: i32): i32 {
  return kind == ROWS_BATCH ? B : R
}

export function PACK(args: usize): void {
  const pack = pointer(args, PACK_pack)
  const M = pointer(args, PACK_M)
  const N = int(args, PACK_N)
  const K = int(args, PACK_K)
  const form = int(args, PACK_form)
  if (form == PACK_PROJECT) packRows(pack, M, N, K)
  else if (form == PACK_GATHER) transpose(pack, stride(N), M, (<usize>K) << 2, N, K)
  else packColumns(pack, M, N, K)
}

/** pack[n / 8][k][n % 8] = M[n, k]. */
function packRows(pack: usize, M: usize, N: i32, K: i32): void {
  const row = (<usize>K) << 2
  for (let n = 0; n < N; n += 8) {
    if (N - n < 8) memory.fill(pack, 0, row << 3)
    transpose(pack, 32, M, row, min(8, N - n), K)
    pack += row << 3
    M += row << 3
  }
}

/** pack[k / 8][n][k % 8] = M[n, k]. */
function packColumns(pack: usize, M: usize, N: i32, K: i32): void {
  for (let k = 0; k < K; k += 8, M += 32) {
    let from = M
    for (let n = 0; n < N; n++, from += (<usize>K) << 2, pack += 32) {
      v128.store(pack, loadPart(from, K - k))
      v128.store(pack, loadPart(from + 16, K - k - 4), 16)
    }
  }
}

/** out[k, n] = M[n, k] for n < N, k < K; rows are ldOut and ldM bytes apart. */
function transpose(out: usize, ldOut: usize, M: usize, ldM: usize, N: i32, K: i32): void {
  let n = 0
  for (; n + 4 <= N; n += 4, M += ldM << 2, out += 16) {
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
    let to = out
    for (let k = 0; k < K; k++, to += ldOut) store<u32>(to, load<u32>(M + ((<usize>k) << 2)))
  }
}

/**
 * y[row, n] = c[row, n] + Σ_k a[row, k]·b[k, n], k ascending; b in panels of 8 columns. Rows are ldy, ldc and lda bytes apart; y may be
 * c. Whole panels of y are written, of which the columns from N on are scratch.
 */
export function multiply(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, b: usize, rows: i32, N: i32, K: i32): void {
  spend(<i64>rows * N * K)
  const panel = (<usize>K) << 5
  const panels = (N + 7) >> 3
  for (let k = 0; k < K; k += INNER) {
    const inner = min(INNER, K - k)
    if (rows == 1) {
      for (let p = 0; p < panels; p += 4) {
        const column = (<usize>p) << 5
        tileRow(y + column, c + column, a, b + <usize>p * panel, panel, inner, panels - p)
      }
    } else {
      for (let block = 0; block < rows; block += ROWS) {
        const end = min(rows, block + ROWS)
        for (let p = 0; p < panels; p++) {
          const column = (<usize>p) << 5
          for (let row = block; row < end; ) {
            const m = tileRows(end - row)
            const r = <usize>row
            tile(y + r * ldy + column, ldy, c + r * ldc + column, ldc, a + r * lda, lda, b + <usize>p * panel, inner, m)
            row += m
          }
        }
      }
    }
    a += (<usize>INNER) << 2
    b += (<usize>INNER) << 5
    c = y
    ldc = ldy
  }
}

/** WORKSPACE[0 .. stride(N)) = bias + bias2, +0 for what is not there. */
function sumBias(bias: usize, bias2: usize, N: i32): void {
  const row = stride(N)
  memory.fill(WORKSPACE, 0, row)
  for (let n = 0; n < N; n += 4) {
    const at = (<usize>n) << 2
    if (bias) v128.store(WORKSPACE + at, loadPart(bias + at, N - n))
    if (bias2) v128.store(WORKSPACE + at, f32x4.add(v128.load(WORKSPACE + at), loadPart(bias2 + at, N - n)))
  }
}

export function PROJECT(args: usize): void {
  const N = int(args, PROJECT_N)
  const K = int(args, PROJECT_K)
  sumBias(pointer(args, PROJECT_bias), pointer(args, PROJECT_bias2), N)
  const rows = rowsOf(int(args, PROJECT_rows))
  multiply(pointer(args, PROJECT_y), stride(N), WORKSPACE, 0, pointer(args, PROJECT_x), stride(K), pointer(args, PROJECT_pack), rows, N, K)
}

export function GATHER(args: usize): void {
  let y = pointer(args, GATHER_y)
  const tokens = pointer(args, GATHER_tokens)
  const pack = pointer(args, GATHER_pack)
  const N = int(args, GATHER_N)
  const row = stride(N)
  sumBias(pointer(args, GATHER_bias), pointer(args, GATHER_bias2), N)
  for (let i = 0; i < T; i++) {
    const rows = int(active, i)
    for (let q = 0; q < rows; q++, y += row) {
      const column = pack + <usize>int(tokens, int(base, q) + i) * row
      for (let at: usize = 0; at < row; at += 16) v128.store(y + at, f32x4.add(v128.load(WORKSPACE + at), v128.load(column + at)))
    }
  }
}

export function PROJECT_DX(args: usize): void {
  const dx = pointer(args, PROJECT_DX_dx)
  const N = int(args, PROJECT_DX_N)
  const K = int(args, PROJECT_DX_K)
  const rows = rowsOf(int(args, PROJECT_DX_rows))
  const go = int(args, PROJECT_DX_accumulate)
  if (!go) memory.fill(WORKSPACE, 0, stride(K))
  const dy = pointer(args, PROJECT_DX_dy)
  multiply(dx, stride(K), go ? dx : WORKSPACE, go ? stride(K) : 0, dy, stride(N), pointer(args, PROJECT_DX_pack), rows, K, N)
}

export function PROJECT_DW(args: usize): void {
  const rows = rowsOf(int(args, PROJECT_DW_rows))
  const dy = pointer(args, PROJECT_DW_dy)
  weightGradient(pointer(args, PROJECT_DW_dM), dy, pointer(args, PROJECT_DW_x), 0, int(args, PROJECT_DW_N), int(args, PROJECT_DW_K), rows)
}

/**
 * dM[n, k] += Σ dy[row, n]·x[row, k], rows descending, through chunks of packed rows in WORKSPACE. Where s0 is given, x are states and
 * row stands for the state before it: of the step before, or s0's.
 */
export function weightGradient(dM: usize, dy: usize, x: usize, s0: usize, N: i32, K: i32, rows: i32): void {
  spend(<i64>rows * N * K)
  const tiles = (N + TILE_ROWS - 1) / TILE_ROWS
  const panels = (K + 7) >> 3
  const chunk = <i32>min(CHUNK, WORKSPACE_BYTES / (((<usize>(tiles * TILE_ROWS)) << 2) + ((<usize>panels) << 5)))
  let step = T - 1
  for (let end = rows; end > 0; end -= chunk) {
    const count = min(chunk, end)
    const a = WORKSPACE
    const b = WORKSPACE + <usize>((count * tiles * TILE_ROWS) << 2)
    for (let j = 0; j < count; j++) {
      const row = end - 1 - j
      packDy(a + <usize>((j * TILE_ROWS) << 2), <usize>((count * TILE_ROWS) << 2), dy + <usize>row * stride(N), tiles)
      let from = x + <usize>row * stride(K)
      if (s0) {
        while (row < int(start, step)) step--
        if (step == 0) from = s0 + <usize>row * stride(K)
        else from = x + <usize>(int(start, step - 1) + row - int(start, step)) * stride(K)
      }
      packX(b + ((<usize>j) << 5), (<usize>count) << 5, from, panels)
    }
    for (let p = 0; p < panels; p++) {
      const panel = b + <usize>((p * count) << 5)
      const width = K - (p << 3)
      for (let t = 0; t < tiles; t++) {
        const n = t * TILE_ROWS
        const height = N - n
        const out = dM + ((<usize>(n * K + (p << 3))) << 2)
        const left = a + <usize>((n * count) << 2)
        if (width >= 8 && height >= TILE_ROWS) packedTile(out, (<usize>K) << 2, left, panel, count)
        else edgeTile(out, (<usize>K) << 2, left, panel, count, min(height, TILE_ROWS), width)
      }
    }
  }
}

/** A tile of which only `height` rows and `width` columns are there: by way of EDGE. */
function edgeTile(y: usize, ldy: usize, a: usize, b: usize, count: i32, height: i32, width: i32): void {
  for (let i = 0, at = y, to = EDGE; i < height; i++, at += ldy, to += 32) {
    v128.store(to, loadPart(at, width))
    v128.store(to, loadPart(at + 16, width - 4), 16)
  }
  packedTile(EDGE, 32, a, b, count)
  for (let i = 0, at = y, from = EDGE; i < height; i++, at += ldy, from += 32) {
    storePart(at, v128.load(from), width)
    if (width > 4) storePart(at + 16, v128.load(from, 16), width - 4)
  }
}

/** One row of dy into panels of TILE_ROWS, `panel` bytes apart. What is read past the row goes to rows of a tile that are dropped. */
function packDy(to: usize, panel: usize, dy: usize, tiles: i32): void {
  for (let t = 0; t < tiles; t++, to += panel, dy += (<usize>TILE_ROWS) << 2) {
    v128.store(to, v128.load(dy))
    if (TILE_ROWS == 6) v128.store64_lane(to, v128.load64_zero(dy, 16), 0, 16)
  }
}

/** One row of x into panels of 8, `panel` bytes apart. */
function packX(to: usize, panel: usize, x: usize, panels: i32): void {
  for (let p = 0; p < panels; p++, to += panel, x += 32) {
    v128.store(to, v128.load(x))
    v128.store(to, v128.load(x, 16), 16)
  }
}

export function BIAS_DW(args: usize): void {
  const db = pointer(args, BIAS_DW_db)
  const dy = pointer(args, BIAS_DW_dy)
  const N = int(args, BIAS_DW_N)
  const rows = rowsOf(int(args, BIAS_DW_rows))
  const row = stride(N)
  for (let n = 0; n < N; n += 16) {
    const out = db + ((<usize>n) << 2)
    let b0 = loadPart(out, N - n)
    let b1 = loadPart(out + 16, N - n - 4)
    let b2 = loadPart(out + 32, N - n - 8)
    let b3 = loadPart(out + 48, N - n - 12)
    const first = dy + ((<usize>n) << 2)
    for (let at = first + <usize>rows * row; at > first; ) {
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
  const dM = pointer(args, GATHER_DW_dM)
  let dy = pointer(args, GATHER_DW_dy)
  const tokens = pointer(args, GATHER_DW_tokens)
  const pack = pointer(args, GATHER_DW_pack)
  const N = int(args, GATHER_DW_N)
  const K = int(args, GATHER_DW_K)
  const row = stride(N)
  transpose(pack, row, dM, (<usize>K) << 2, N, K)
  dy += <usize>R * row
  for (let i = T - 1; i >= 0; i--) {
    for (let q = int(active, i) - 1; q >= 0; q--) {
      dy -= row
      const column = pack + <usize>int(tokens, int(base, q) + i) * row
      for (let at: usize = 0; at < row; at += 16) v128.store(column + at, f32x4.add(v128.load(column + at), v128.load(dy + at)))
    }
  }
  transpose(dM, (<usize>K) << 2, pack, row, K, N)
}
