// Gradients of matrices: dM [N, K] += Σ_rows dy[row, n]·x[row, k], rows in descending packed order, each element one chain. Used by
// project.ts and recur.ts. Rows are taken in chunks; between chunks the chains rest in float32.
import { CHUNK, EDGE, int, LEFT, PANEL, SOURCES, start, stride, T, UNITS } from './context'
import { skips } from './pause'
import { next, shareBegin, shareEnd, shareStep } from './share'
import { loadPart, storePart, TILE_ROWS } from './simd'
import { lowTile, tiles } from './tile'

/** Rows of dy of at most so many bytes are read where they are. */
const DIRECT: usize = 1024

/**
 * dM[n, k] += Σ dy[row, n]·x[row, k], rows descending, in chunks. Where s0 is given, x are states and row stands for the state before it:
 * of the step before, or s0's.
 */
export function matrixGradient(dM: usize, dy: usize, x: usize, s0: usize, N: i32, K: i32, rows: i32): void {
  // Shared out along the longer side, so that as little as possible is packed twice.
  const down = N > K
  let step = T - 1
  while (next(down ? N : K, down ? TILE_ROWS : 8, (rows + CHUNK - 1) / CHUNK)) {
    const end = rows - shareStep * CHUNK
    const count = min(CHUNK, end)
    if (int(start, step + 1) < end) step = T - 1
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
    const bottom = down ? shareEnd : N
    for (let n = down ? shareBegin : 0; n < bottom; n += UNITS) {
      const out = dM + <usize>n * ((<usize>K) << 2)
      const left = last + ((<usize>n) << 2)
      multiplyChunk(out, left, stride(N), min(UNITS, bottom - n), K, down ? 0 : shareBegin, down ? K : shareEnd, count)
    }
  }
}

/** One chunk for N ≤ UNITS rows and columns [k, end) of dM: `count` rows of dy that end at `last`, with those of x at SOURCES. */
function multiplyChunk(dM: usize, last: usize, lddy: usize, N: i32, K: i32, k: i32, end: i32, count: i32): void {
  // Narrow rows of dy are read where they are; wide ones would crowd a few sets of the caches, and are packed in tiles first.
  let left = last
  let da = -lddy
  let next = (<usize>TILE_ROWS) << 2
  let packed = lddy <= DIRECT
  if (!packed) {
    left = LEFT
    da = (<usize>TILE_ROWS) << 2
    next = <usize>count * da
  }
  for (; k < end; k += 8) {
    if (skips(<i64>count * N * 8)) continue
    if (!packed) packTiles(LEFT, last, lddy, (N + TILE_ROWS - 1) / TILE_ROWS, count)
    packed = true
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

/**
 * Rows of dy, from the last back, in tiles: to[tile][row][TILE_ROWS], four tiles at a time where there are as many: wide rows push each
 * other out of the first cache, and these share a line. What is read past a row goes to rows of a tile that nobody reads.
 */
function packTiles(to: usize, last: usize, lddy: usize, tiles: i32, count: i32): void {
  const tile = (<usize>TILE_ROWS) << 2
  const size = <usize>count * tile
  while (tiles > 0) {
    const some = tiles < 4 ? 1 : 4
    let from = last
    for (const end = to + size; to < end; to += tile, from -= lddy) {
      packTile(to, from)
      if (some == 1) continue
      packTile(to + size, from + tile)
      packTile(to + 2 * size, from + 2 * tile)
      packTile(to + 3 * size, from + 3 * tile)
    }
    tiles -= some
    last += <usize>some * tile
    to += <usize>(some - 1) * size
  }
}

function packTile(to: usize, from: usize): void {
  v128.store(to, v128.load(from))
  if (TILE_ROWS == 6) v128.store64_lane(to, v128.load64_zero(from, 16), 0, 16)
}

/** 8 columns of the rows at SOURCES. */
function packPanel(to: usize, column: usize, count: i32): void {
  for (let source = SOURCES, end = SOURCES + ((<usize>count) << 2); source < end; source += 4, to += 32) {
    const from = load<usize>(source) + column
    v128.store(to, v128.load(from))
    v128.store(to, v128.load(from, 16), 16)
  }
}
