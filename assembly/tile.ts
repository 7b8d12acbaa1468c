// Rows times a packed matrix: the loops around the register tiles, which tiles.mjs writes out. Every element of a product is one chain over
// k, ascending, in one lane: tiles, blocks and threads never change a bit. Called by project.ts and recur.ts; outer.ts uses the tiles.
import { skips } from './pause'
import { TILE_ROWS } from './simd'
import { row1, row4, tile1, tile2, tile3, tile4, tile5, tile6 } from './tile.gen'

/** Inner elements of one pass: a panel of b (16 KiB) stays in the first cache. */
const INNER: i32 = 512
/** Rows of one pass at most: a block of a (288 KiB) stays in the second. */
export const ROWS: i32 = 144
/** Bytes of a row of y of one block: with the most rows and inner elements about a millisecond's work. */
const WIDE: usize = 1024

/**
 * y[row, n] = c[row, n] + Σ_k a[row, k]·b[k, n], k ascending; b in panels of 8 columns. Rows are ldy, ldc and lda bytes apart; y may be
 * c. Whole panels of y are written, of which the columns from N on are scratch.
 */
export function multiply(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, b: usize, rows: i32, N: i32, K: i32): void {
  const panel = (<usize>K) << 5
  const width = (<usize>((N + 7) >> 3)) << 5
  const blocks = (rows + ROWS - 1) / ROWS
  for (let k = 0; k < K; k += INNER) {
    const inner = min(INNER, K - k)
    if (rows == 1) {
      if (!skips(<i64>N * inner)) multiplyRow(y, c, a, b, panel, width, inner)
    } else {
      for (let block = 0, row = 0; block < blocks; block++) {
        const end = (rows * (block + 1)) / blocks
        const at = y + <usize>row * ldy
        const from = c + <usize>row * ldc
        const left = a + <usize>row * lda
        for (let column: usize = 0, right = b; column < width; ) {
          const until = min(width, column + WIDE)
          const skip = skips(<i64>((until - column) >> 2) * (end - row) * inner)
          for (; column < until; column += 32, right += panel)
            if (!skip) multiplyPanel(at + column, ldy, from + column, ldc, left, lda, right, end - row, inner)
        }
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
export function tiles(
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
export function lowTile(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, da: usize, b: usize, K: i32, rows: i32): void {
  if (rows == 1) tile1(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (rows == 2) tile2(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (rows == 3) tile3(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (TILE_ROWS == 6 && rows == 4) tile4(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
  else if (TILE_ROWS == 6 && rows == 5) tile5(y, ldy, c, ldc, a, lda, da, 0, b, K, 1)
}
