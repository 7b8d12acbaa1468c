// Matrix products over packed rows and their gradients: PACK, PROJECT, GATHER and their backward operations. Shapes and orders:
// src/plan/operations.ts, docs/numerics.md; tiles: tiles.mjs. recur.ts uses multiply() and weightGradient() too.
//
// Pack forms: PROJECT and PROJECT_DX are panels of 8 outputs, pack[panel][inner][8], zeros beyond the last output; GATHER is Mᵀ in rows
// of stride(N).
import {
  active,
  B,
  base,
  CHUNK,
  COLUMNS,
  EDGE,
  high,
  int,
  LEFT,
  low,
  PANEL,
  pointer,
  Q0,
  Q1,
  R,
  ROW,
  SOURCES,
  spend,
  start,
  stride,
  T,
  UNITS,
} from './context'
import { zeroRow } from './move'
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
import { row1, row4, tile1, tile2, tile3, tile4, tile5, tile6 } from './tile.gen'

/** Inner elements of one pass: a panel of b (16 KiB) stays in the first cache. */
const INNER: i32 = 512
/** Rows of one pass at most: a block of a (288 KiB) stays in the second. */
const ROWS: i32 = 144
/** Rows are shared out in multiples of every tile. */
const TALL: i32 = 12
/** Rows of dy of at most so many bytes are read where they are. */
const DIRECT: usize = 1024

export function rowsOf(kind: i32): i32 {
  return kind == ROWS_BATCH ? B : R
}

export function PACK(args: usize): void {
  const pack = pointer(args, PACK_pack)
  const M = pointer(args, PACK_M)
  const N = int(args, PACK_N)
  const K = int(args, PACK_K)
  const form = int(args, PACK_form)
  const row = (<usize>K) << 2
  if (form == PACK_PROJECT) {
    const n = low(N, 8)
    packRows(pack + <usize>n * row, M + <usize>n * row, high(N, 8) - n, K)
  } else if (form == PACK_GATHER) {
    const n = low(N, 16)
    transpose(pack + ((<usize>n) << 2), stride(N), M + <usize>n * row, row, high(N, 16) - n, K)
  } else packColumns(pack, M, N, K)
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
  const end = high(K, 8)
  let k = low(K, 8)
  pack += <usize>k * ((<usize>N) << 2)
  for (; k < end; k += 8) {
    let from = M + ((<usize>k) << 2)
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
  const width = (<usize>((N + 7) >> 3)) << 5
  const blocks = (rows + ROWS - 1) / ROWS
  for (let k = 0; k < K; k += INNER) {
    const inner = min(INNER, K - k)
    if (rows == 1) multiplyRow(y, c, a, b, panel, width, inner)
    else {
      for (let block = 0, row = 0; block < blocks; block++) {
        const end = (rows * (block + 1)) / blocks
        const at = y + <usize>row * ldy
        const from = c + <usize>row * ldc
        const left = a + <usize>row * lda
        for (let column: usize = 0, right = b; column < width; column += 32, right += panel)
          multiplyPanel(at + column, ldy, from + column, ldc, left, lda, right, end - row, inner)
        row = end
      }
    }
    a += (<usize>INNER) << 2
    b += (<usize>INNER) << 5
    c = y
    ldc = ldy
  }
}

/** One row; width: bytes of y. */
function multiplyRow(y: usize, c: usize, a: usize, b: usize, panel: usize, width: usize, K: i32): void {
  const end = y + width
  for (; y + 128 <= end; y += 128, c += 128, b += 4 * panel) row4(y, c, a, b, panel, K)
  for (; y < end; y += 32, c += 32, b += panel) row1(y, c, a, b, panel, K)
}

/** 8 columns: as many of the largest tiles as fit, then smaller ones; 8 rows are 4 + 4 and not 6 + 2. */
function multiplyPanel(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, b: usize, rows: i32, K: i32): void {
  let count = rows / TILE_ROWS
  let left = rows % TILE_ROWS
  if (TILE_ROWS == 6 && count > 0 && (left == 1 || left == 2)) {
    count--
    left += 6
  }
  tiles(y, ldy, c, ldc, a, lda, 4, <usize>TILE_ROWS * lda, b, K, count)
  const done = <usize>(rows - left)
  y += done * ldy
  c += done * ldc
  a += done * lda
  if (TILE_ROWS == 6 && left > 6) {
    tile4(y, ldy, c, ldc, a, lda, 4, 0, b, K, 1)
    y += 4 * ldy
    c += 4 * ldc
    a += 4 * lda
    left -= 4
  }
  lowTile(y, ldy, c, ldc, a, lda, 4, b, K, left)
}

/** Tiles of TILE_ROWS. */
function tiles(
  y: usize,
  ldy: usize,
  c: usize,
  ldc: usize,
  a: usize,
  lda: usize,
  da: usize,
  next: usize,
  b: usize,
  K: i32,
  count: i32,
): void {
  if (TILE_ROWS == 6) tile6(y, ldy, c, ldc, a, lda, da, next, b, K, count)
  else tile4(y, ldy, c, ldc, a, lda, da, next, b, K, count)
}

/** A tile of fewer rows than TILE_ROWS, none too. */
function lowTile(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, da: usize, b: usize, K: i32, rows: i32): void {
  if (rows == 1) tile1(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (rows == 2) tile2(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (rows == 3) tile3(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (TILE_ROWS == 6 && rows == 4) tile4(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (TILE_ROWS == 6 && rows == 5) tile5(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
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

export function PROJECT(args: usize): void {
  const pack = pointer(args, PROJECT_pack)
  const bias = pointer(args, PROJECT_bias)
  const bias2 = pointer(args, PROJECT_bias2)
  const N = int(args, PROJECT_N)
  const K = int(args, PROJECT_K)
  const row = low(rowsOf(int(args, PROJECT_rows)), TALL)
  const rows = high(rowsOf(int(args, PROJECT_rows)), TALL) - row
  const y = pointer(args, PROJECT_y) + <usize>row * stride(N)
  const x = pointer(args, PROJECT_x) + <usize>row * stride(K)
  for (let n = 0; n < N; n += COLUMNS) {
    const at = (<usize>n) << 2
    const width = min(COLUMNS, N - n)
    sumBias(bias ? bias + at : 0, bias2 ? bias2 + at : 0, width)
    multiply(y + at, stride(N), ROW, 0, x, stride(K), pack + at * <usize>K, rows, width, K)
  }
}

export function GATHER(args: usize): void {
  const y = pointer(args, GATHER_y)
  const tokens = pointer(args, GATHER_tokens)
  const pack = pointer(args, GATHER_pack)
  const bias = pointer(args, GATHER_bias)
  const bias2 = pointer(args, GATHER_bias2)
  const N = int(args, GATHER_N)
  const row = stride(N)
  for (let n = 0; n < N; n += COLUMNS) {
    const left = (<usize>n) << 2
    const width = stride(min(COLUMNS, N - n))
    sumBias(bias ? bias + left : 0, bias2 ? bias2 + left : 0, min(COLUMNS, N - n))
    for (let i = 0; i < T; i++) {
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
  const pack = pointer(args, PROJECT_DX_pack)
  const N = int(args, PROJECT_DX_N)
  const K = int(args, PROJECT_DX_K)
  const row = low(rowsOf(int(args, PROJECT_DX_rows)), TALL)
  const rows = high(rowsOf(int(args, PROJECT_DX_rows)), TALL) - row
  const dx = pointer(args, PROJECT_DX_dx) + <usize>row * stride(K)
  const dy = pointer(args, PROJECT_DX_dy) + <usize>row * stride(N)
  const onto = int(args, PROJECT_DX_accumulate) != 0
  // Features and tokens may be more than a row of zeros has: then dx itself is made one.
  const wide = K > COLUMNS
  if (wide && !onto) memory.fill(dx, 0, <usize>rows * stride(K))
  if (wide || onto) multiply(dx, stride(K), dx, stride(K), dy, stride(N), pack, rows, K, N)
  else multiply(dx, stride(K), zeros(K), 0, dy, stride(N), pack, rows, K, N)
}

/** A row of K ≤ COLUMNS zeros. It is there until the next sumBias. */
export function zeros(K: i32): usize {
  zeroRow(ROW, stride(K))
  return ROW
}

export function PROJECT_DW(args: usize): void {
  const rows = rowsOf(int(args, PROJECT_DW_rows))
  const dy = pointer(args, PROJECT_DW_dy)
  weightGradient(pointer(args, PROJECT_DW_dM), dy, pointer(args, PROJECT_DW_x), 0, int(args, PROJECT_DW_N), int(args, PROJECT_DW_K), rows)
}

/**
 * dM[n, k] += Σ dy[row, n]·x[row, k], rows descending, in chunks. Where s0 is given, x are states and row stands for the state before it:
 * of the step before, or s0's.
 */
export function weightGradient(dM: usize, dy: usize, x: usize, s0: usize, N: i32, K: i32, rows: i32): void {
  spend(<i64>rows * N * K)
  // Shared out along the longer side, so that as little as possible is packed twice.
  const down = N > K
  const top = down ? low(N, TALL) : 0
  const bottom = down ? high(N, TALL) : N
  const left = down ? 0 : low(K, 8)
  const right = down ? K : high(K, 8)
  let step = T - 1
  for (let end = rows; end > 0; end -= CHUNK) {
    const count = min(CHUNK, end)
    for (let j = 0; j < count; j++) {
      const row = end - 1 - j
      let from = x + <usize>row * stride(K)
      if (s0) {
        while (row < int(start, step)) step--
        if (step == 0) from = s0 + <usize>row * stride(K)
        else from = x + <usize>(int(start, step - 1) + row - int(start, step)) * stride(K)
      }
      store<usize>(SOURCES + ((<usize>j) << 2), from)
    }
    const last = dy + <usize>(end - 1) * stride(N)
    for (let n = top; n < bottom; n += UNITS)
      chunkGradient(dM + <usize>n * ((<usize>K) << 2), last + ((<usize>n) << 2), stride(N), min(UNITS, bottom - n), K, left, right, count)
  }
}

/** One chunk for N ≤ UNITS rows and columns [k, end) of dM: `count` rows of dy that end at `last`, with those of x at SOURCES. */
function chunkGradient(dM: usize, last: usize, lddy: usize, N: i32, K: i32, k: i32, end: i32, count: i32): void {
  // Narrow rows of dy are read where they are; wide ones would crowd a few sets of the caches, and are packed in tiles first.
  let left = last
  let da = -lddy
  let next = (<usize>TILE_ROWS) << 2
  if (lddy > DIRECT) {
    packTiles(LEFT, last, lddy, (N + TILE_ROWS - 1) / TILE_ROWS, count)
    left = LEFT
    da = (<usize>TILE_ROWS) << 2
    next = <usize>count * da
  }
  for (; k < end; k += 8) {
    packPanel(PANEL, (<usize>k) << 2, count)
    const out = dM + ((<usize>k) << 2)
    const row = (<usize>K) << 2
    const width = K - k
    if (width >= 8) gradientPanel(out, row, left, da, next, N, count)
    else {
      // Through a panel that is whole.
      for (let n: usize = 0; n < <usize>N; n++) {
        v128.store(EDGE + (n << 5), loadPart(out + n * row, width))
        v128.store(EDGE + (n << 5), loadPart(out + n * row + 16, width - 4), 16)
      }
      gradientPanel(EDGE, 32, left, da, next, N, count)
      for (let n: usize = 0; n < <usize>N; n++) {
        storePart(out + n * row, v128.load(EDGE + (n << 5)), width)
        if (width > 4) storePart(out + n * row + 16, v128.load(EDGE + (n << 5), 16), width - 4)
      }
    }
  }
}

/** N rows of 8 columns of dM. */
function gradientPanel(dM: usize, ld: usize, left: usize, da: usize, next: usize, N: i32, count: i32): void {
  const whole = N / TILE_ROWS
  tiles(dM, ld, dM, ld, left, 4, da, next, PANEL, count, whole)
  const out = dM + <usize>(whole * TILE_ROWS) * ld
  lowTile(out, ld, out, ld, left + <usize>whole * next, 4, da, PANEL, count, N % TILE_ROWS)
}

/** Rows of dy, from the last back, in tiles: to[tile][row][TILE_ROWS]. What is read past a row goes to rows of a tile that nobody reads. */
function packTiles(to: usize, last: usize, lddy: usize, tiles: i32, count: i32): void {
  for (let t = 0; t < tiles; t++, last += (<usize>TILE_ROWS) << 2) {
    let from = last
    for (let j = 0; j < count; j++, from -= lddy, to += (<usize>TILE_ROWS) << 2) {
      v128.store(to, v128.load(from))
      if (TILE_ROWS == 6) v128.store64_lane(to, v128.load64_zero(from, 16), 0, 16)
    }
  }
}

/** 8 columns of the rows at SOURCES. */
function packPanel(to: usize, column: usize, count: i32): void {
  for (let source = SOURCES, end = SOURCES + ((<usize>count) << 2); source < end; source += 4, to += 32) {
    const from = load<usize>(source) + column
    v128.store(to, v128.load(from))
    v128.store(to, v128.load(from, 16), 16)
  }
}

export function BIAS_DW(args: usize): void {
  const db = pointer(args, BIAS_DW_db)
  const dy = pointer(args, BIAS_DW_dy)
  const N = int(args, BIAS_DW_N)
  const rows = rowsOf(int(args, BIAS_DW_rows))
  const row = stride(N)
  const end = high(N, 16)
  for (let n = low(N, 16); n < end; n += 16) {
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
  const n = low(int(args, GATHER_DW_N), 16)
  const tokens = pointer(args, GATHER_DW_tokens)
  const N = high(int(args, GATHER_DW_N), 16) - n
  const K = int(args, GATHER_DW_K)
  const row = stride(int(args, GATHER_DW_N))
  const dM = pointer(args, GATHER_DW_dM) + <usize>n * ((<usize>K) << 2)
  const pack = pointer(args, GATHER_DW_pack) + ((<usize>n) << 2)
  let dy = pointer(args, GATHER_DW_dy) + ((<usize>n) << 2)
  transpose(pack, row, dM, (<usize>K) << 2, N, K)
  dy += <usize>R * row
  for (let i = T - 1; i >= 0; i--) {
    for (let q = int(active, i) - 1; q >= 0; q--) {
      dy -= row
      const column = pack + <usize>int(tokens, int(base, q) + i) * row
      for (let at: usize = 0; at < stride(N); at += 16) v128.store(column + at, f32x4.add(v128.load(column + at), v128.load(dy + at)))
    }
  }
  transpose(dM, (<usize>K) << 2, pack, row, K, N)
}
