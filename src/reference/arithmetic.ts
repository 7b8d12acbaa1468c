/*
 * The three ways in which the reference rounds (docs/numerics.md), and the three loops that take nearly all of its time. Everything else
 * in this folder is written once, over a Rounding. Letters: N outer and K inner size of a matrix M [N, K], row-major and dense.
 */
import type { Arithmetic } from '../backends/engine.js'

export type Floats = Float32Array | Float64Array

export interface Rounding {
  readonly name: Arithmetic
  /** A float64 result of one operation, as this class keeps it. */
  round(x: number): number
  /** a·b + c. */
  madd(a: number, b: number, c: number): number
}

/** The oracle: nothing is rounded to float32. */
export const float64: Rounding = { name: 'float64', round: (x) => x, madd: (a, b, c) => a * b + c }

/**
 * Float32 with a rounding after each operation. float64 carries more than twice the bits of float32, so rounding its + − × ÷ √ once more
 * gives what float32 hardware gives.
 */
export const mulAdd: Rounding = { name: 'mul-add', round: Math.fround, madd: (a, b, c) => Math.fround(Math.fround(a * b) + c) }

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer) // low, high

/** Float32 with fused a·b + c, exact but slow: for tests. */
export const fma: Rounding = {
  name: 'fma',
  round: Math.fround,
  madd(a, b, c) {
    const product = a * b // exact
    const sum = product + c
    if (!Number.isFinite(sum)) return Math.fround(sum)
    const other = sum - product
    const lost = product - (sum - other) + (c - other) // TwoSum: product + c = sum + lost
    if (lost === 0) return Math.fround(sum)
    // Rounding twice is safe when the first goes to the odd neighbour of the two that enclose the exact value.
    double[0] = sum
    if ((words[0]! & 1) === 0) {
      if (lost > 0 === sum > 0) words[0]! += 1
      else if (words[0]!-- === 0) words[1]! -= 1
    }
    return Math.fround(double[0]!)
  },
}

export interface Loops {
  /** y[n] += Σ_k M[n, k]·x[k], k ascending. */
  times(y: Floats, yAt: number, M: Floats, x: Floats, xAt: number, N: number, K: number): void
  /** y[k] += Σ_n M[n, k]·x[n], n ascending. */
  timesTransposed(y: Floats, yAt: number, M: Floats, x: Floats, xAt: number, N: number, K: number): void
  /** M[n, k] += y[n]·x[k]. */
  outer(M: Floats, y: Floats, yAt: number, x: Floats, xAt: number, N: number, K: number): void
}

/** Where only one class is in use, the usual case, V8 inlines `madd`: 0.5 GFLOP/s and more in class mul-add. */
export const loops = ({ madd }: Rounding): Loops => ({
  times(y, yAt, M, x, xAt, N, K) {
    // Four outputs at a time: each sum is a chain, and one alone would wait for itself.
    let n = 0
    for (; n + 4 <= N; n += 4) {
      const m0 = n * K
      const m1 = m0 + K
      const m2 = m1 + K
      const m3 = m2 + K
      let y0 = y[yAt + n]!
      let y1 = y[yAt + n + 1]!
      let y2 = y[yAt + n + 2]!
      let y3 = y[yAt + n + 3]!
      for (let k = 0; k < K; k++) {
        const xk = x[xAt + k]!
        y0 = madd(M[m0 + k]!, xk, y0)
        y1 = madd(M[m1 + k]!, xk, y1)
        y2 = madd(M[m2 + k]!, xk, y2)
        y3 = madd(M[m3 + k]!, xk, y3)
      }
      y[yAt + n] = y0
      y[yAt + n + 1] = y1
      y[yAt + n + 2] = y2
      y[yAt + n + 3] = y3
    }
    for (; n < N; n++) {
      let sum = y[yAt + n]!
      for (let k = 0; k < K; k++) sum = madd(M[n * K + k]!, x[xAt + k]!, sum)
      y[yAt + n] = sum
    }
  },

  timesTransposed(y, yAt, M, x, xAt, N, K) {
    for (let n = 0; n < N; n++) {
      const xn = x[xAt + n]!
      for (let k = 0; k < K; k++) y[yAt + k] = madd(M[n * K + k]!, xn, y[yAt + k]!)
    }
  },

  outer(M, y, yAt, x, xAt, N, K) {
    for (let n = 0; n < N; n++) {
      const yn = y[yAt + n]!
      for (let k = 0; k < K; k++) M[n * K + k] = madd(yn, x[xAt + k]!, M[n * K + k]!)
    }
  },
})
