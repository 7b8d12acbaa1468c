// The vector operations that are not one instruction, and the only place that tells the two builds apart. All kernels are written over
// four float32 lanes; what does not fill a vector goes through loadPart and storePart.

/** Rows of the largest tile (tiles.mjs). */
export const TILE_ROWS: i32 = ASC_FEATURE_RELAXED_SIMD ? 6 : 4

/** a·b + c, rounded once in the relaxed build (where the engine fuses, or it is not used), twice in the plain one. */
export function madd(a: v128, b: v128, c: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? f32x4.relaxed_madd(a, b, c) : f32x4.add(f32x4.mul(a, b), c)
}

/** All bits set in the first n lanes (n may be negative or more than 4). */
export function laneMask(n: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n))
}

/** n floats, 1 ≤ n; lanes from n on are +0. Reads a whole vector: memory ends with room for that. */
export function loadPart(at: usize, n: i32): v128 {
  return n >= 4 ? v128.load(at) : v128.and(v128.load(at), laneMask(n))
}

/** Writes the first n lanes, 1 ≤ n, and nothing else. */
export function storePart(at: usize, x: v128, n: i32): void {
  if (n >= 4) v128.store(at, x)
  else {
    if (n & 2) v128.store64_lane(at, x, 0)
    if (n == 1) v128.store32_lane(at, x, 0)
    if (n == 3) v128.store32_lane(at, x, 2, 8)
  }
}

/** x < low ? low : x, then x > high ? high : x: what pmax and pmin are defined as. NaN passes. */
export function clamp(x: v128, low: v128, high: v128): v128 {
  return f32x4.pmin(f32x4.pmax(x, low), high)
}
