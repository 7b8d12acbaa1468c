/*
 * SHA-256 (FIPS 180-4). By the platform where it offers one (Node: about three times as fast), else our own, since browsers have crypto.subtle on
 * secure pages only and a model must load everywhere. It guards against damage, not against forgery. Long inputs are hashed in slices, so
 * that the event loop goes on.
 */
import { platform } from '../platform/platform.js'
import type { Digest } from '../platform/seam.js'

/** Bytes between two turns of the event loop: of our own about 10 ms. */
const SLICE = 2 ** 19
const BLOCK = 64

/** The first 32 bits of the fractional part of `root(prime)`, of the first primes: the standard's constants from its own definition. */
function constants(count: number, root: (n: number) => number): Int32Array {
  const values: number[] = []
  for (let n = 2; values.length < count; n++) {
    let prime = true
    for (let d = 2; d * d <= n; d++) if (n % d === 0) prime = false
    if (prime) values.push(((root(n) % 1) * 2 ** 32) | 0)
  }
  return Int32Array.from(values)
}
const K = constants(64, Math.cbrt)

/** Hexadecimal digest of the bytes of `parts`, one after the other. */
export async function sha256(parts: readonly Uint8Array[]): Promise<string> {
  const hash = (await platform().sha256?.()) ?? new Sha256()
  for (const part of parts)
    for (let from = 0; from < part.length; from += SLICE) {
      if (from > 0) await platform().pause()
      hash.update(part.subarray(from, from + SLICE))
    }
  return hash.hex()
}

export class Sha256 implements Digest {
  private readonly hash = constants(8, Math.sqrt)
  /** The last bytes, which make no block yet. */
  private readonly rest = new Uint8Array(2 * BLOCK)
  private held = 0
  private total = 0

  update(bytes: Uint8Array): void {
    const { hash, rest } = this
    this.total += bytes.length
    let from = 0
    if (this.held) {
      from = Math.min(BLOCK - this.held, bytes.length)
      rest.set(bytes.subarray(0, from), this.held)
      this.held += from
      if (this.held < BLOCK) return
      blocks(hash, rest, 0, BLOCK)
    }
    const end = bytes.length - ((bytes.length - from) % BLOCK)
    blocks(hash, bytes, from, end)
    rest.set(bytes.subarray(end))
    this.held = bytes.length - end
  }

  hex(): string {
    const { hash, rest, held, total } = this
    const length = held + 9 <= BLOCK ? BLOCK : 2 * BLOCK
    rest.fill(0, held)
    rest[held] = 0x80
    const view = new DataView(rest.buffer)
    view.setUint32(length - 8, Math.floor(total / 2 ** 29))
    view.setUint32(length - 4, (total * 8) >>> 0)
    blocks(hash, rest, 0, length)
    return Array.from(hash, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('')
  }
}

const W = new Int32Array(64)
const rotate = (x: number, n: number) => (x >>> n) | (x << (32 - n))

/** Takes whole blocks of `bytes` into the hash: a to h, and Σ, σ, Ch, Maj as in the standard. */
function blocks(hash: Int32Array, bytes: Uint8Array, from: number, to: number): void {
  for (let at = from; at < to; at += BLOCK) {
    for (let i = 0; i < 16; i++)
      W[i] = (bytes[at + 4 * i]! << 24) | (bytes[at + 4 * i + 1]! << 16) | (bytes[at + 4 * i + 2]! << 8) | bytes[at + 4 * i + 3]!
    for (let i = 16; i < 64; i++) {
      const x = W[i - 15]!
      const y = W[i - 2]!
      const s0 = rotate(x, 7) ^ rotate(x, 18) ^ (x >>> 3)
      const s1 = rotate(y, 17) ^ rotate(y, 19) ^ (y >>> 10)
      W[i] = (W[i - 16]! + s0 + W[i - 7]! + s1) | 0
    }
    let a = hash[0]!, b = hash[1]!, c = hash[2]!, d = hash[3]!, e = hash[4]!, f = hash[5]!, g = hash[6]!, h = hash[7]! // biome-ignore format: eight of a kind
    for (let i = 0; i < 64; i++) {
      const t1 = (h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) + K[i]! + W[i]!) | 0
      const t2 = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + t1) | 0
      d = c
      c = b
      b = a
      a = (t1 + t2) | 0
    }
    hash[0]! += a
    hash[1]! += b
    hash[2]! += c
    hash[3]! += d
    hash[4]! += e
    hash[5]! += f
    hash[6]! += g
    hash[7]! += h
  }
}
