// The micro-kernels under project.ts and recur.ts: y = c + a·b for a tile of rows by 8 columns, b packed in panels of 8 columns
// (b[k·8 + column]), k ascending. y and c may be the same. Written out by hand: the engines keep the accumulators in registers only where
// each has a name, a loop body is one k, and pointers move by constants. Tiles: 4 rows for mul then add, 6 for relaxed madd.
import { SPARE } from './context'
import { madd } from './simd'

/** m rows, 1 ≤ m ≤ 6 in the relaxed build, else 4. */
export function tile(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, b: usize, K: i32, m: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD && m > 4) tile6(y, ldy, c, ldc, a, lda, b, K, m)
  else tile4(y, ldy, c, ldc, a, lda, b, K, m)
}

/** How many of `left` rows the next tile takes: 8 rows are 4 + 4 and not 6 + 2. */
export function tileRows(left: i32): i32 {
  if (ASC_FEATURE_RELAXED_SIMD && left != 7 && left != 8 && left > 4) return left < 6 ? left : 6
  return left < 4 ? left : 4
}

/** TILE_ROWS rows of y += a·b, a in panels of as many rows: a[k·TILE_ROWS + row]. */
export function packedTile(y: usize, ldy: usize, a: usize, b: usize, K: i32): void {
  if (ASC_FEATURE_RELAXED_SIMD) packed6(y, ldy, a, b, K)
  else packed4(y, ldy, a, b, K)
}

/** One row of up to 4 panels of b, `panel` bytes apart: enough chains to hide the latency of the additions. */
export function tileRow(y: usize, c: usize, a: usize, b: usize, panel: usize, K: i32, panels: i32): void {
  let b1 = panels > 1 ? b + panel : b
  let b2 = panels > 2 ? b1 + panel : b
  let b3 = panels > 3 ? b2 + panel : b
  const c1 = panels > 1 ? c + 32 : c
  const c2 = panels > 2 ? c + 64 : c
  const c3 = panels > 3 ? c + 96 : c
  let x0 = v128.load(c)
  let z0 = v128.load(c, 16)
  let x1 = v128.load(c1)
  let z1 = v128.load(c1, 16)
  let x2 = v128.load(c2)
  let z2 = v128.load(c2, 16)
  let x3 = v128.load(c3)
  let z3 = v128.load(c3, 16)
  for (const end = a + ((<usize>K) << 2); a < end; a += 4) {
    const e = v128.load32_splat(a)
    x0 = madd(e, v128.load(b), x0)
    z0 = madd(e, v128.load(b, 16), z0)
    x1 = madd(e, v128.load(b1), x1)
    z1 = madd(e, v128.load(b1, 16), z1)
    x2 = madd(e, v128.load(b2), x2)
    z2 = madd(e, v128.load(b2, 16), z2)
    x3 = madd(e, v128.load(b3), x3)
    z3 = madd(e, v128.load(b3, 16), z3)
    b += 32
    b1 += 32
    b2 += 32
    b3 += 32
  }
  const y1 = panels > 1 ? y + 32 : SPARE
  const y2 = panels > 2 ? y + 64 : SPARE
  const y3 = panels > 3 ? y + 96 : SPARE
  v128.store(y, x0)
  v128.store(y, z0, 16)
  v128.store(y1, x1)
  v128.store(y1, z1, 16)
  v128.store(y2, x2)
  v128.store(y2, z2, 16)
  v128.store(y3, x3)
  v128.store(y3, z3, 16)
}

/** 4 rows; a is read by rows: lda bytes from one to the next. Rows from m on repeat the first and are dropped. */
function tile4(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, b: usize, K: i32, m: i32): void {
  let a0 = a
  let a1 = m > 1 ? a0 + lda : a
  let a2 = m > 2 ? a1 + lda : a
  let a3 = m > 3 ? a2 + lda : a
  let x0 = v128.load(c)
  let z0 = v128.load(c, 16)
  c = m > 1 ? c + ldc : c
  let x1 = v128.load(c)
  let z1 = v128.load(c, 16)
  c = m > 2 ? c + ldc : c
  let x2 = v128.load(c)
  let z2 = v128.load(c, 16)
  c = m > 3 ? c + ldc : c
  let x3 = v128.load(c)
  let z3 = v128.load(c, 16)
  for (const end = b + ((<usize>K) << 5); b < end; b += 32) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const e0 = v128.load32_splat(a0)
    x0 = madd(e0, b0, x0)
    z0 = madd(e0, b1, z0)
    a0 += 4
    const e1 = v128.load32_splat(a1)
    x1 = madd(e1, b0, x1)
    z1 = madd(e1, b1, z1)
    a1 += 4
    const e2 = v128.load32_splat(a2)
    x2 = madd(e2, b0, x2)
    z2 = madd(e2, b1, z2)
    a2 += 4
    const e3 = v128.load32_splat(a3)
    x3 = madd(e3, b0, x3)
    z3 = madd(e3, b1, z3)
    a3 += 4
  }
  v128.store(y, x0)
  v128.store(y, z0, 16)
  y = m > 1 ? y + ldy : SPARE
  v128.store(y, x1)
  v128.store(y, z1, 16)
  y = m > 2 ? y + ldy : SPARE
  v128.store(y, x2)
  v128.store(y, z2, 16)
  y = m > 3 ? y + ldy : SPARE
  v128.store(y, x3)
  v128.store(y, z3, 16)
}

/** 6 rows; a is read by rows: lda bytes from one to the next. Rows from m on repeat the first and are dropped. */
function tile6(y: usize, ldy: usize, c: usize, ldc: usize, a: usize, lda: usize, b: usize, K: i32, m: i32): void {
  let a0 = a
  let a1 = m > 1 ? a0 + lda : a
  let a2 = m > 2 ? a1 + lda : a
  let a3 = m > 3 ? a2 + lda : a
  let a4 = m > 4 ? a3 + lda : a
  let a5 = m > 5 ? a4 + lda : a
  let x0 = v128.load(c)
  let z0 = v128.load(c, 16)
  c = m > 1 ? c + ldc : c
  let x1 = v128.load(c)
  let z1 = v128.load(c, 16)
  c = m > 2 ? c + ldc : c
  let x2 = v128.load(c)
  let z2 = v128.load(c, 16)
  c = m > 3 ? c + ldc : c
  let x3 = v128.load(c)
  let z3 = v128.load(c, 16)
  c = m > 4 ? c + ldc : c
  let x4 = v128.load(c)
  let z4 = v128.load(c, 16)
  c = m > 5 ? c + ldc : c
  let x5 = v128.load(c)
  let z5 = v128.load(c, 16)
  for (const end = b + ((<usize>K) << 5); b < end; b += 32) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const e0 = v128.load32_splat(a0)
    x0 = madd(e0, b0, x0)
    z0 = madd(e0, b1, z0)
    a0 += 4
    const e1 = v128.load32_splat(a1)
    x1 = madd(e1, b0, x1)
    z1 = madd(e1, b1, z1)
    a1 += 4
    const e2 = v128.load32_splat(a2)
    x2 = madd(e2, b0, x2)
    z2 = madd(e2, b1, z2)
    a2 += 4
    const e3 = v128.load32_splat(a3)
    x3 = madd(e3, b0, x3)
    z3 = madd(e3, b1, z3)
    a3 += 4
    const e4 = v128.load32_splat(a4)
    x4 = madd(e4, b0, x4)
    z4 = madd(e4, b1, z4)
    a4 += 4
    const e5 = v128.load32_splat(a5)
    x5 = madd(e5, b0, x5)
    z5 = madd(e5, b1, z5)
    a5 += 4
  }
  v128.store(y, x0)
  v128.store(y, z0, 16)
  y = m > 1 ? y + ldy : SPARE
  v128.store(y, x1)
  v128.store(y, z1, 16)
  y = m > 2 ? y + ldy : SPARE
  v128.store(y, x2)
  v128.store(y, z2, 16)
  y = m > 3 ? y + ldy : SPARE
  v128.store(y, x3)
  v128.store(y, z3, 16)
  y = m > 4 ? y + ldy : SPARE
  v128.store(y, x4)
  v128.store(y, z4, 16)
  y = m > 5 ? y + ldy : SPARE
  v128.store(y, x5)
  v128.store(y, z5, 16)
}

/** The same with a in panels of 4: a[k·4 + row]. Stores all 4 rows. */
function packed4(y: usize, ldy: usize, a: usize, b: usize, K: i32): void {
  let c = y
  let x0 = v128.load(c)
  let z0 = v128.load(c, 16)
  c += ldy
  let x1 = v128.load(c)
  let z1 = v128.load(c, 16)
  c += ldy
  let x2 = v128.load(c)
  let z2 = v128.load(c, 16)
  c += ldy
  let x3 = v128.load(c)
  let z3 = v128.load(c, 16)
  for (const end = b + ((<usize>K) << 5); b < end; b += 32, a += 16) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const e0 = v128.load32_splat(a)
    x0 = madd(e0, b0, x0)
    z0 = madd(e0, b1, z0)
    const e1 = v128.load32_splat(a, 4)
    x1 = madd(e1, b0, x1)
    z1 = madd(e1, b1, z1)
    const e2 = v128.load32_splat(a, 8)
    x2 = madd(e2, b0, x2)
    z2 = madd(e2, b1, z2)
    const e3 = v128.load32_splat(a, 12)
    x3 = madd(e3, b0, x3)
    z3 = madd(e3, b1, z3)
  }
  v128.store(y, x0)
  v128.store(y, z0, 16)
  y += ldy
  v128.store(y, x1)
  v128.store(y, z1, 16)
  y += ldy
  v128.store(y, x2)
  v128.store(y, z2, 16)
  y += ldy
  v128.store(y, x3)
  v128.store(y, z3, 16)
}

/** The same with a in panels of 6: a[k·6 + row]. Stores all 6 rows. */
function packed6(y: usize, ldy: usize, a: usize, b: usize, K: i32): void {
  let c = y
  let x0 = v128.load(c)
  let z0 = v128.load(c, 16)
  c += ldy
  let x1 = v128.load(c)
  let z1 = v128.load(c, 16)
  c += ldy
  let x2 = v128.load(c)
  let z2 = v128.load(c, 16)
  c += ldy
  let x3 = v128.load(c)
  let z3 = v128.load(c, 16)
  c += ldy
  let x4 = v128.load(c)
  let z4 = v128.load(c, 16)
  c += ldy
  let x5 = v128.load(c)
  let z5 = v128.load(c, 16)
  for (const end = b + ((<usize>K) << 5); b < end; b += 32, a += 24) {
    const b0 = v128.load(b)
    const b1 = v128.load(b, 16)
    const e0 = v128.load32_splat(a)
    x0 = madd(e0, b0, x0)
    z0 = madd(e0, b1, z0)
    const e1 = v128.load32_splat(a, 4)
    x1 = madd(e1, b0, x1)
    z1 = madd(e1, b1, z1)
    const e2 = v128.load32_splat(a, 8)
    x2 = madd(e2, b0, x2)
    z2 = madd(e2, b1, z2)
    const e3 = v128.load32_splat(a, 12)
    x3 = madd(e3, b0, x3)
    z3 = madd(e3, b1, z3)
    const e4 = v128.load32_splat(a, 16)
    x4 = madd(e4, b0, x4)
    z4 = madd(e4, b1, z4)
    const e5 = v128.load32_splat(a, 20)
    x5 = madd(e5, b0, x5)
    z5 = madd(e5, b1, z5)
  }
  v128.store(y, x0)
  v128.store(y, z0, 16)
  y += ldy
  v128.store(y, x1)
  v128.store(y, z1, 16)
  y += ldy
  v128.store(y, x2)
  v128.store(y, z2, 16)
  y += ldy
  v128.store(y, x3)
  v128.store(y, z3, 16)
  y += ldy
  v128.store(y, x4)
  v128.store(y, z4, 16)
  y += ldy
  v128.store(y, x5)
  v128.store(y, z5, 16)
}
