/*
 * Random numbers: Threefry-2x32-20 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). Counter-based: a number
 * depends only on (seed, purpose, layer, step, index), so every backend, order and thread draws the same, and a run can be resumed.
 */
import { ln } from '../reference/functions.js'

/** What numbers are drawn for; with the layer, the second word of the key. */
export const Purpose = { U: 1, W: 2, V: 3, b: 4, bh: 5, c: 6, SHUFFLE: 7, SPLIT: 8, DEMO: 9, CHECK: 10 } as const
export type PurposeName = keyof typeof Purpose

const PARITY = 0x1bd11bda

/** One stream of numbers: index 0, 1, 2, … of its key and step. */
export class Random {
  private readonly key0: number
  private readonly key1: number
  private readonly pair = new Uint32Array(2)
  private index = 0
  private spare: number | undefined

  /** @param seed an integer from 0 to 2^53 - 1 */
  constructor(
    seed: number,
    purpose: PurposeName,
    layer = 0,
    private readonly step = 0,
  ) {
    const high = Math.floor(seed / 2 ** 32)
    this.key0 = seed >>> 0
    this.key1 = (((Purpose[purpose] << 16) | layer) + Math.imul(high, 0x9e3779b9)) >>> 0
  }

  /** 32 random bits. */
  bits(): number {
    const half = this.index & 1
    if (half === 0) threefry(this.pair, this.key0, this.key1, this.step, this.index >>> 1)
    this.index++
    return this.pair[half]!
  }

  /** Uniform in [0, 1): a multiple of 2^-24. */
  uniform(): number {
    return (this.bits() >>> 8) * 2 ** -24
  }

  /** Uniform integer in [0, n), n up to 2^32, without bias. */
  below(n: number): number {
    for (;;) {
      const bits = this.bits()
      const rest = bits % n
      // Otherwise it is one of the last, which are no whole n any more.
      if (bits - rest <= 2 ** 32 - n) return rest
    }
  }

  /** Standard normal, by Marsaglia's polar method. */
  normal(): number {
    if (this.spare !== undefined) {
      const value = this.spare
      this.spare = undefined
      return value
    }
    let x: number, y: number, r: number
    do {
      x = 2 * this.uniform() - 1
      y = 2 * this.uniform() - 1
      r = x * x + y * y
    } while (r >= 1 || r === 0)
    const scale = Math.sqrt((-2 * ln(r)) / r)
    this.spare = y * scale
    return x * scale
  }

  /** Puts `items` in random order (Fisher and Yates), in place. */
  shuffle(items: Int32Array): Int32Array {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1)
      const item = items[i]!
      items[i] = items[j]!
      items[j] = item
    }
    return items
  }
}

const rotated = (x: number, by: number) => (x << by) | (x >>> (32 - by))

/** Without tables of rotations and keys, which take twice as long: of a small net, drawing an epoch's order costs as much as making its frames. */
function threefry(out: Uint32Array, key0: number, key1: number, counter0: number, counter1: number): void {
  let [a, b, c] = [key0, key1, PARITY ^ key0 ^ key1]
  let x = (counter0 + a) | 0
  let y = (counter1 + b) | 0
  for (let fourth = 1; fourth <= 5; fourth++) {
    const odd = fourth % 2 === 1
    x = (x + y) | 0
    y = rotated(y, odd ? 13 : 17) ^ x
    x = (x + y) | 0
    y = rotated(y, odd ? 15 : 29) ^ x
    x = (x + y) | 0
    y = rotated(y, odd ? 26 : 16) ^ x
    x = (x + y) | 0
    y = rotated(y, odd ? 6 : 24) ^ x
    const last = a
    a = b
    b = c
    c = last
    x = (x + a) | 0
    y = (y + b + fourth) | 0
  }
  out[0] = x
  out[1] = y
}
