/* Every form of x that is accepted, down to the flat rows that it becomes: ragged, padded, cut, masked. Mistakes are sequences-mistakes.test.ts. */
import vm from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { Network } from '#lib/network/network.js'
import { readOneSequence, readSequences } from '#lib/sequences/input.js'
import { eachRun } from '#lib/sequences/steps.js'

const network = (input: Network['input'], missing: Network['missing'] = 'error') =>
  ({ input, state: [3], output: { size: 2, head: 'softmax', characters: false }, readout: 'last', missing }) as unknown as Network
const features = (size: number, missing?: Network['missing']) => network({ size, tokens: false }, missing)
const tokens = network({ size: 27, tokens: true })
const letters = network({ size: 4, tokens: true, characters: ['a', 'b', 'c', '😀'] })

const ragged = [
  [1, 2],
  [3, 4],
  [5, 6],
]
const wanted = { count: 2, rows: Float32Array.of(1, 2, 3, 4, 5, 6), offsets: Int32Array.of(0, 2, 3), lengths: Int32Array.of(2, 1) }

describe('many sequences of r features', () => {
  it.each<[string, unknown]>([
    ['lists of lists', [ragged.slice(0, 2), ragged.slice(2)]],
    ['lists of typed arrays', [[new Float32Array([1, 2]), new Float64Array([3, 4])], [new Uint8Array([5, 6])]]],
    [
      'a list of tensors',
      [
        { data: [1, 2, 3, 4], shape: [2, 2] },
        { data: Float32Array.of(5, 6), shape: Int32Array.of(1, 2) },
      ],
    ],
    ['mixed forms', [{ data: Int16Array.of(1, 2, 3, 4), shape: [2, 2] }, [[5, 6]]]],
  ])('are %s', (_, xs) => {
    expect(readSequences(features(2), xs)).toEqual({
      ...wanted,
      given: wanted.lengths,
      padded: undefined,
      steps: undefined,
      cut: undefined,
      truncated: 0,
      empty: 0,
      lent: false,
    })
  })

  it('are a padded tensor with lengths, whose padding is never looked at', () => {
    const data = [1, 2, 3, 4, 5, 6, Number.NaN, Infinity]
    expect(readSequences(features(2), { data, shape: [2, 2, 2], lengths: [2, 1] })).toMatchObject({ ...wanted, padded: 2 })
  })

  it('are a tensor without lengths, all as long as it is', () => {
    const s = readSequences(features(2), { data: new Float32Array(12).fill(7), shape: [2, 3, 2] })
    expect(s).toMatchObject({ lengths: Int32Array.of(3, 3), rows: new Float32Array(12).fill(7), padded: 3 })
  })
})

describe('one number a step', () => {
  it.each<[string, unknown]>([
    ['numbers', [[1, 2], [3]]],
    ['typed arrays', [Float64Array.of(1, 2), Uint8Array.of(3)]],
    ['steps of one', [[[1], [2]], [[3]]]],
    [
      'tensors [T]',
      [
        { data: [1, 2], shape: [2] },
        { data: [3], shape: [1] },
      ],
    ],
    [
      'tensors [T, 1]',
      [
        { data: [1, 2], shape: [2, 1] },
        { data: [3], shape: [1, 1] },
      ],
    ],
    ['a tensor [B, T]', { data: [1, 2, 3, 0], shape: [2, 2], lengths: [2, 1] }],
    ['a tensor [B, T, 1]', { data: [1, 2, 3, 0], shape: [2, 2, 1], lengths: Int32Array.of(2, 1) }],
  ])('may be %s', (_, xs) => {
    const { rows, offsets } = readSequences(features(1), xs)
    expect({ rows, offsets }).toEqual({ rows: Float32Array.of(1, 2, 3), offsets: Int32Array.of(0, 2, 3) })
  })
})

describe('tokens', () => {
  it.each<[string, unknown]>([
    ['arrays', [[0, 26], [3]]],
    ['integer arrays', [Uint8Array.of(0, 26), Uint32Array.of(3)]],
    ['float arrays of whole numbers', [Float32Array.of(0, 26), Float64Array.of(3)]],
    ['a tensor [B, T]', { data: [0, 26, 3, 99], shape: [2, 2], lengths: [2, 1] }],
  ])('may be %s', (_, xs) => {
    const { rows, offsets } = readSequences(tokens, xs)
    expect({ rows, offsets }).toEqual({ rows: Int32Array.of(0, 26, 3), offsets: Int32Array.of(0, 2, 3) })
  })

  it('may be strings where the input is a vocabulary, beside numbers', () => {
    const { rows, lengths } = readSequences(letters, ['ca😀', '', [1, 3]])
    expect({ rows, lengths }).toEqual({ rows: Int32Array.of(2, 0, 3, 1, 3), lengths: Int32Array.of(3, 0, 2) })
  })
})

describe('one sequence', () => {
  it.each<[string, Network, unknown, number[]]>([
    ['a typed array', features(1), Float32Array.of(1, 2), [1, 2]],
    ['an array', features(1), [1, 2], [1, 2]],
    [
      'steps',
      features(2),
      [
        [1, 2],
        [3, 4],
      ],
      [1, 2, 3, 4],
    ],
    ['a tensor [T, r]', features(2), { data: [1, 2, 3, 4], shape: [2, 2] }, [1, 2, 3, 4]],
    ['a string', letters, 'cab', [2, 0, 1]],
    ['tokens', tokens, [5, 4], [5, 4]],
  ])('may be %s', (_, net, x, rows) => {
    const one = readOneSequence(net, x)
    expect(one.count).toBe(1)
    expect([...one.rows]).toEqual(rows)
  })
})

describe('maxLength', () => {
  const xs = [[1, 2, 3, 4], [5], [], [6, 7, 8]]
  it('keeps the end, and says where that begins and how many were cut', () => {
    expect(readSequences(features(1), xs, { maxLength: 2 })).toEqual({
      count: 4,
      rows: Float32Array.of(3, 4, 5, 7, 8),
      offsets: Int32Array.of(0, 2, 3, 3, 5),
      lengths: Int32Array.of(2, 1, 0, 2),
      given: Int32Array.of(4, 1, 0, 3),
      padded: undefined,
      steps: undefined,
      cut: Int32Array.of(2, 0, 0, 1),
      truncated: 2,
      empty: 1,
      lent: false,
    })
  })
  it('keeps the start when asked', () => {
    const s = readSequences(features(1), xs, { maxLength: 2, keep: 'start' })
    expect(s).toMatchObject({ rows: Float32Array.of(1, 2, 5, 6, 7), cut: new Int32Array(4), truncated: 2 })
  })
  it('does not look at what it cuts', () => {
    expect(readSequences(features(1), [[Number.NaN, 1, 2]], { maxLength: 2 }).rows).toEqual(Float32Array.of(1, 2))
  })
  it('cuts steps of several features and tensors at whole steps', () => {
    const rows = Float32Array.of(3, 4, 5, 6)
    expect(readSequences(features(2), [ragged], { maxLength: 2 }).rows).toEqual(rows)
    expect(readSequences(features(2), { data: [1, 2, 3, 4, 5, 6], shape: [1, 3, 2] }, { maxLength: 2 }).rows).toEqual(rows)
  })
})

describe('steps that do not count', () => {
  it('are left out, and the others say where they stood', () => {
    const s = readSequences(features(2), [ragged, ragged], {
      mask: [
        [true, false, true],
        [0, 0, 0],
      ],
    })
    expect(s).toMatchObject({
      rows: Float32Array.of(1, 2, 5, 6),
      offsets: Int32Array.of(0, 2, 2),
      lengths: Int32Array.of(3, 3),
      steps: Int32Array.of(0, 2),
      truncated: 0,
      empty: 1,
    })
  })
  it('may hold anything finite or not', () => {
    const s = readSequences(features(1), [[Number.NaN, 2, Infinity]], { mask: [[0, 1, 0]] })
    expect([...s.rows]).toEqual([2])
  })
  it('are cut with their sequence: steps count from the first that is kept', () => {
    const s = readSequences(features(1), [[1, 2, 3, 4]], { mask: [Uint8Array.of(1, 1, 0, 1)], maxLength: 3 })
    expect(s).toMatchObject({ rows: Float32Array.of(2, 4), steps: Int32Array.of(0, 2), cut: Int32Array.of(1) })
  })
  it('are those with any NaN where the network says so', () => {
    const s = readSequences(features(2, 'mask'), [
      [
        [1, 2],
        [Number.NaN, 4],
        [5, Number.NaN],
        [7, 8],
      ],
      [[Number.NaN, Number.NaN]],
    ])
    expect(s).toMatchObject({ rows: Float32Array.of(1, 2, 7, 8), offsets: Int32Array.of(0, 2, 2), steps: Int32Array.of(0, 3), empty: 1 })
  })
  it('leave no trace where all count', () => {
    expect(readSequences(features(1), [[1, 2]], { mask: [[true, 1]] }).steps).toBeUndefined()
  })
  it('may be said in rows as wide as a padded tensor', () => {
    const s = readSequences(
      features(1),
      { data: [1, 2, 3, 4, 5, 6], shape: [2, 3], lengths: [3, 2] },
      {
        mask: [
          [1, 1, 0],
          [0, 1, 0],
        ],
      },
    )
    expect(s).toMatchObject({ rows: Float32Array.of(1, 2, 5), steps: Int32Array.of(0, 1, 1) })
  })
})

describe('the walk from rows to the user’s steps', () => {
  const runs = (s: ReturnType<typeof readSequences>, b: number) => {
    const list: number[][] = []
    eachRun(s, b, (row, step, n) => list.push([row, step, n]))
    return list
  }
  it('is one run where nothing is left out', () => {
    const s = readSequences(
      features(1),
      [
        [1, 2],
        [3, 4, 5],
      ],
      { maxLength: 2 },
    )
    expect([runs(s, 0), runs(s, 1)]).toEqual([[[0, 0, 2]], [[2, 1, 2]]])
  })
  it('breaks at each gap', () => {
    const s = readSequences(features(1), [[9], [1, 2, 3, 4, 5]], { mask: [[1], [1, 0, 1, 1, 0]], maxLength: 4 })
    expect(runs(s, 1)).toEqual([[1, 2, 2]])
    const all = readSequences(features(1), [[1, 2, 3, 4]], { mask: [[1, 0, 1, 1]] })
    expect(runs(all, 0)).toEqual([
      [0, 0, 1],
      [1, 2, 2],
    ])
  })
})

describe('what is passed', () => {
  it('is copied', () => {
    const x = Float32Array.of(1, 2)
    const { rows } = readSequences(features(1), [x])
    x.fill(9)
    expect([...rows]).toEqual([1, 2])
  })
  it('may begin anywhere in its buffer, and come from another realm', () => {
    const part = new Float32Array(new Float32Array(20).fill(3).buffer, 28, 2)
    const other = vm.runInNewContext('new Float32Array([4, 5])')
    expect([...readSequences(features(1), [part, other, vm.runInNewContext('[6, 7]')]).rows]).toEqual([3, 3, 4, 5, 6, 7])
  })
  it('may be shared between threads, or of a resizable buffer', () => {
    const shared = new Float32Array(new SharedArrayBuffer(8)).fill(2)
    const growing = new Float32Array(new (ArrayBuffer as any)(8, { maxByteLength: 64 })).fill(3)
    expect([...readSequences(features(1), [shared, growing]).rows]).toEqual([2, 2, 3, 3])
  })
  it('has the length that the engine knows, whatever a subclass says', () => {
    class Liar extends Float32Array {
      override get length() {
        return 1e9
      }
      override subarray(): never {
        throw new Error('called into the user’s code')
      }
    }
    const own = Object.defineProperty(Float32Array.of(3, 4), 'length', { value: 1e9 })
    expect([...readSequences(features(1), [new Liar([1, 2]), own]).rows]).toEqual([1, 2, 3, 4])
  })
  it('may be no sequences where the caller allows it', () => {
    expect(readSequences(features(1), [], { allowNone: true })).toMatchObject({ count: 0, offsets: Int32Array.of(0), empty: 0 })
  })
})
