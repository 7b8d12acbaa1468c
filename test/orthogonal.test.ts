/* The orthogonal start: orthogonal for every size, and to the last bit what one reflection after the other gives. */
import { expect, it } from 'vitest'
import { orthogonal } from '#lib/network/orthogonal.js'
import { Random } from '#lib/network/random.js'

function drawn(S: number): Float32Array {
  const W = new Float32Array(S * S)
  for (const _ of orthogonal(new Random(7, 'W', 0), S, W));
  return W
}

/** Stewart's algorithm as it is written down: the last n rows and columns are reflected from the left, for n = 1, 2, …, S. */
function textbook(S: number): Float32Array {
  const random = new Random(7, 'W', 0)
  const Q = Array.from({ length: S }, () => new Float64Array(S))
  for (let from = S - 1; from >= 0; from--) {
    const rows = Array.from({ length: S - from }, (_, i) => from + i)
    const v = new Map(rows.map((i) => [i, random.normal()]))
    const norm = Math.sqrt(rows.reduce((sum, i) => sum + v.get(i)! ** 2, 0))
    const sign = v.get(from)! < 0 ? -1 : 1
    v.set(from, v.get(from)! + sign * norm)
    const scale = 1 / (norm * (norm + Math.abs(v.get(from)! - sign * norm)))
    Q[from]![from] = -sign
    for (const j of rows) {
      const product = rows.reduce((sum, i) => sum + v.get(i)! * scale * Q[i]![j]!, 0)
      for (const i of rows) Q[i]![j]! -= v.get(i)! * product
    }
  }
  return Float32Array.from(Q.flatMap((row) => [...row]))
}

it.each([1, 2, 3, 4, 15, 16, 17, 31, 33, 70])('of size %i', (S) => {
  const W = drawn(S)
  for (let i = 0; i < S; i++)
    for (let j = 0; j <= i; j++) {
      let product = 0
      for (let k = 0; k < S; k++) product += W[i * S + k]! * W[j * S + k]!
      expect(product).toBeCloseTo(i === j ? 1 : 0, 6)
    }
  expect(W).toEqual(textbook(S))
})

it('gives way now and then while a large one is drawn', () => {
  const pauses = [...orthogonal(new Random(7, 'W', 0), 300, new Float32Array(300 * 300))]
  expect(pauses.length).toBeGreaterThan(10)
})
