/* The emulated fused multiply-add against exact integer arithmetic, and the float32 functions against JavaScript's own. */
import { describe, expect, it } from 'vitest'
import { Cell } from '#lib/plan/operations.js'
import { float64, fma, mulAdd } from '#lib/reference/arithmetic.js'
import { activation, derivative, functions, ln } from '#lib/reference/functions.js'
import { randoms } from './reference-net.js'

const view = new DataView(new ArrayBuffer(4))
const ofBits = (bits: number) => (view.setUint32(0, bits), view.getFloat32(0))

/** A finite float32 as integer · 2^exponent. */
function parts(x: number): [bigint, number] {
  view.setFloat32(0, x)
  const bits = view.getUint32(0)
  const exponent = (bits >>> 23) & 255
  const mantissa = BigInt((bits & 0x7fffff) | (exponent ? 0x800000 : 0))
  return [bits >>> 31 ? -mantissa : mantissa, Math.max(exponent, 1) - 150]
}

/** a·b + c, exact, then rounded to the nearest float32, ties to even: in integers only. */
function exactFma(a: number, b: number, c: number): number {
  const [ma, ea] = parts(a)
  const [mb, eb] = parts(b)
  const [mc, ec] = parts(c)
  const low = Math.min(ea + eb, ec)
  const sum = ((ma * mb) << BigInt(ea + eb - low)) + (mc << BigInt(ec - low))
  if (sum === 0n) return a * b + c // the sign of zero follows the operands
  const size = sum < 0n ? -sum : sum
  const drop = Math.max(size.toString(2).length - 24, -149 - low) // bits below the last one kept
  let kept = drop <= 0 ? size << BigInt(-drop) : size >> BigInt(drop)
  if (drop > 0) {
    const rest = size - (kept << BigInt(drop))
    const half = 1n << BigInt(drop - 1)
    if (rest > half || (rest === half && kept % 2n === 1n)) kept += 1n
  }
  const rounded = Number(kept) * 2 ** (drop + low)
  const value = rounded > 3.4028234663852886e38 ? Infinity : rounded
  return sum < 0n ? -value : value
}

describe('emulated fma', () => {
  it('fuses: the probe of docs/numerics.md', () => {
    const a = 1 + 2 ** -12
    const c = -(1 + 2 ** -11)
    expect(fma.madd(a, a, c)).toBe(2 ** -24)
    expect(mulAdd.madd(a, a, c)).toBe(0)
  })

  it.each([
    ['rounding twice would fall on the tie, just above', 1 + 2 ** -23, 1 + 2 ** -23, 2 ** -24],
    ['just above a tie between float32 numbers by far less than a float64 bit', 1, 1 + 2 ** -23, 2 ** -24 + 2 ** -47],
    ['a product just above the tie, a tiny addend that takes it below', 2 ** -12 + 2 ** -35, 2 ** -12 + 2 ** -35, 1],
    ['the addend only decides the direction', 1 + 2 ** -12, 1 + 2 ** -12, -(2 ** -100)],
    ['the same from below', -(1 + 2 ** -12), 1 + 2 ** -12, 2 ** -100],
    ['subnormal result', 2 ** -75, 1.5 * 2 ** -75, 2 ** -149],
    ['overflow', 3e38, 2, -3e38],
    ['the largest number, plus less than half of its last bit', 1, 3.4028234663852886e38, 2 ** 102],
    ['exact cancellation', 3, 5, -15],
    ['negative zero', -0, 1, -0],
  ])('is exact: %s', (_, a, b, c) => {
    const [x, y, z] = [Math.fround(a), Math.fround(b), Math.fround(c)]
    expect(fma.madd(x, y, z)).toBe(exactFma(x, y, z))
  })

  it('passes NaN and infinities through', () => {
    expect(fma.madd(Infinity, 0, 1)).toBeNaN()
    expect(fma.madd(Infinity, 1, -Infinity)).toBeNaN()
    expect(fma.madd(-Infinity, 2, 1)).toBe(-Infinity)
    expect(fma.madd(NaN, 1, 1)).toBeNaN()
  })

  it('equals exact arithmetic on random numbers near each other, and differs from the other class', () => {
    const random = randoms(1)
    const bits = () => Math.floor((random() + 1) * 2 ** 31) >>> 0
    let differ = 0
    for (let i = 0; i < 30000; i++) {
      // The addend within 60 binary places of the product, and every third sum a cancellation; some products subnormal.
      const near = i % 5 === 0 ? -70 : 0
      const a = ofBits((bits() & 0x807fffff) | ((127 + near + (bits() % 8)) << 23))
      const b = ofBits((bits() & 0x807fffff) | ((127 + near + (bits() % 8)) << 23))
      const place = i % 3 === 0 ? -a * b * (1 + random() * 2 ** -20) : Math.sign(random()) * Math.abs(a * b) * 2 ** (random() * 60)
      const c = Math.fround(place)
      const value = fma.madd(a, b, c)
      if (!Object.is(value, exactFma(a, b, c))) throw new Error(`${a}·${b} + ${c}: ${value}, exact ${exactFma(a, b, c)}`)
      if (value !== mulAdd.madd(a, b, c)) differ++
    }
    expect(differ).toBeGreaterThan(3000)
  })
})

describe.each([mulAdd, fma])('functions in class $name', (rounding) => {
  const f = functions(rounding)
  const over = (low: number, high: number, steps: number) =>
    Array.from({ length: steps + 1 }, (_, i) => Math.fround(low + ((high - low) * i) / steps))

  it('tanh', () => {
    let worst = 0
    for (const x of over(-9, 9, 40000)) {
      const y = f.tanh(x)
      expect(Math.abs(y)).toBeLessThanOrEqual(1)
      expect(y).toBe(-f.tanh(-x))
      worst = Math.max(worst, Math.abs(y - Math.tanh(x)))
    }
    expect(worst).toBeLessThan(4.2e-7)
    expect(worst).toBeGreaterThan(1e-8)
    expect([f.tanh(0), f.tanh(-0), f.tanh(Infinity), f.tanh(NaN)]).toEqual([0, -0, f.tanh(9), NaN])
    expect(f.tanh(Math.fround(1e-30)) / 1e-30).toBeCloseTo(1, 6)
  })

  it('sigmoid', () => {
    for (const x of over(-30, 30, 10000)) {
      const y = f.sigmoid(x)
      expect(Math.abs(y - 1 / (1 + Math.exp(-x)))).toBeLessThan(3e-7)
      if (y < 0 || y > 1) throw new Error(`sigmoid(${x}) = ${y}`)
    }
  })

  it('exp', () => {
    let worst = 0
    for (const x of over(-87, 88, 40000)) worst = Math.max(worst, Math.abs(f.exp(x) / Math.exp(x) - 1))
    expect(worst).toBeLessThan(2e-7)
    expect(worst).toBeGreaterThan(1e-8)
    expect([f.exp(0), f.exp(NaN), f.exp(-Infinity), f.exp(1000)]).toEqual([1, NaN, f.exp(-87), f.exp(88)])
  })

  it('derivatives from the state, tiny ones flushed', () => {
    const h = 1e-6
    for (const [cell, slope] of [
      [Cell.TANH, Math.tanh],
      [Cell.SIGMOID, (x: number) => 1 / (1 + Math.exp(-x))],
      [Cell.IDENTITY, (x: number) => x],
    ] as const)
      for (const x of [-2, -0.3, 0.4, 1.7]) {
        const s = activation(cell, f)(x)
        expect(derivative(cell, rounding)(s, 3) / 3).toBeCloseTo((slope(x + h) - slope(x - h)) / (2 * h), 5)
      }
    const relu = derivative(Cell.RELU, rounding)
    expect([relu(2, -3), relu(0, -3), relu(1, NaN), relu(1, 2 ** -101), relu(1, -(2 ** -100))]).toEqual([-3, 0, NaN, 0, -(2 ** -100)])
  })
})

it('ln is within one unit in the last place of Math.log, and leaves alone what has no logarithm', () => {
  const random = randoms(5)
  for (let i = 0; i < 20000; i++) {
    const x = 2 ** (random() * (i % 2 ? 1 : 1000))
    expect(Math.abs(ln(x) - Math.log(x))).toBeLessThanOrEqual(2 ** -52 * Math.max(Math.abs(Math.log(x)), 2 ** -30))
  }
  expect([ln(1), ln(-1), ln(Infinity), ln(NaN), ln(0), ln(2)]).toEqual([0, -1, Infinity, NaN, 0, Math.LN2])
})

it('the oracle takes JavaScript’s own functions', () => {
  expect(functions(float64)).toMatchObject({ tanh: Math.tanh, exp: Math.exp, ln: Math.log })
})
