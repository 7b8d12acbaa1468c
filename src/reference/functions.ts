/*
 * tanh, exp, sigmoid, relu and ln: the formulas of docs/numerics.md over a Rounding, with the coefficients of plan/functions.ts. The
 * oracle (float64) takes JavaScript's own functions instead, so that a wrong polynomial cannot hide. Called by recur.ts and head.ts.
 */
import { EXP, LN, ROUND, TANH, TINY } from '../plan/functions.js'
import { Cell } from '../plan/operations.js'
import type { Rounding } from './arithmetic.js'

export interface Functions {
  tanh(x: number): number
  sigmoid(x: number): number
  exp(x: number): number
  /** Of a float64. */
  ln(x: number): number
}

const bits = new Int32Array(1)
const float = new Float32Array(bits.buffer)

export function functions({ name, round, madd }: Rounding): Functions {
  if (name === 'float64') return { tanh: Math.tanh, sigmoid: (x) => 1 / (1 + Math.exp(-x)), exp: Math.exp, ln: Math.log }

  const rounded = (coefficients: readonly number[]) => coefficients.map(Math.fround)
  const TP = rounded(TANH.P)
  const TQ = rounded(TANH.Q)
  const EP = rounded(EXP.P)
  const [bound, log2e, ln2High, ln2Low] = rounded([TANH.bound, EXP.log2e, EXP.ln2High, EXP.ln2Low]) as [number, number, number, number]

  /** Horner's rule, highest power first. */
  const polynomial = (coefficients: number[], y: number) => {
    let p = coefficients[0]!
    for (let i = 1; i < coefficients.length; i++) p = madd(p, y, coefficients[i]!)
    return p
  }

  const tanh = (x: number) => {
    if (x < -bound) x = -bound
    if (x > bound) x = bound
    const y = round(x * x)
    return round(round(x * polynomial(TP, y)) / polynomial(TQ, y))
  }

  const sigmoid = (x: number) => madd(0.5, tanh(round(0.5 * x)), 0.5)

  const exp = (x: number) => {
    if (x !== x) return x
    if (x < EXP.low) x = EXP.low
    if (x > EXP.high) x = EXP.high
    const t = madd(x, log2e, ROUND)
    const n = round(t - ROUND)
    const f = madd(n, -ln2Low, madd(n, -ln2High, x))
    const p = round(madd(polynomial(EP, f), round(f * f), f) + 1)
    // The lowest bits of t hold n: shifted into the exponent of p they multiply it by 2ⁿ.
    float[0] = t
    const exponent = bits[0]! << 23
    float[0] = p
    bits[0]! += exponent
    return float[0]!
  }

  return { tanh, sigmoid, exp, ln }
}

const wide = new Float64Array(1)
const words = new Int32Array(wide.buffer) // low, high
const [L1, L2, L3, L4, L5, L6, L7] = LN.L

/** fdlibm's logarithm of a float64, from + − × ÷ alone. Anything but a positive normal number comes back as it is. */
export function ln(x: number): number {
  if (!(x >= 2 ** -1022 && x < Infinity)) return x
  // x = 2ᵏ·(1 + f)
  wide[0] = x
  const fraction = words[1]! & 0xfffff
  const halved = (fraction + LN.shift) & 0x100000
  const k = (words[1]! >> 20) - 1023 + (halved >> 20)
  words[1] = fraction | (halved ^ 0x3ff00000)
  const f = wide[0]! - 1
  const s = f / (2 + f)
  const z = s * s
  const w = z * z
  const even = w * (L2 + w * (L4 + w * L6))
  const odd = z * (L1 + w * (L3 + w * (L5 + w * L7)))
  const h = 0.5 * f * f
  return k * LN.ln2High - (h - (s * (h + (odd + even)) + k * LN.ln2Low) - f)
}

/** The nonlinearity of a layer. */
export function activation(cell: number, { tanh, sigmoid }: Functions): (x: number) => number {
  switch (cell) {
    case Cell.TANH:
      return tanh
    case Cell.RELU:
      return (x) => (x < 0 ? 0 : x)
    case Cell.SIGMOID:
      return sigmoid
    default:
      return (x) => x
  }
}

/** What `g`, the gradient of a state s = f(·), becomes before the nonlinearity: g·f', from s; tiny ones become 0. */
export function derivative(cell: number, { round, madd }: Rounding): (s: number, g: number) => number {
  const settled = (d: number) => (Math.abs(d) < TINY ? 0 : d)
  switch (cell) {
    case Cell.TANH:
      return (s, g) => settled(round(g * madd(-s, s, 1)))
    case Cell.RELU:
      return (s, g) => settled(s > 0 ? g : 0)
    case Cell.SIGMOID:
      return (s, g) => settled(round(g * round(s * round(1 - s))))
    default:
      return (_, g) => settled(g)
  }
}
