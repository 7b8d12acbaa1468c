/* What users get wrong in x and mask: code, place and the exact words. The message begins with the place. */
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '#lib/errors.js'
import type { Network } from '#lib/network/network.js'
import { readOneSequence, readSequences } from '#lib/sequences/input.js'
import { refuses } from './support/mistakes.js'

const network = (input: Network['input'], missing: Network['missing'] = 'error') =>
  ({ input, state: [3], output: { size: 2, head: 'softmax', characters: false }, readout: 'last', missing }) as unknown as Network
const numbers = network({ size: 1, tokens: false })
const pairs = network({ size: 2, tokens: false })
const tokens = network({ size: 27, tokens: true })
const letters = network({ size: 3, tokens: true, characters: ['a', 'b', 'c'] })
const gappy = network({ size: 1, tokens: false }, 'mask')

type Mistake = [x: unknown, code: ErrorCode, at: string, rest: string]
const each = (mistakes: Mistake[], read: (value: unknown) => unknown) => {
  for (const [value, code, at, rest] of mistakes) it(`${code} ${at}: ${rest}`, () => refuses(() => read(value), code, at, rest))
}
const table = (net: Network, mistakes: Mistake[]) => each(mistakes, (x) => readSequences(net, x))

const MASK = "For missing readings use NaN and create the network with missing: 'mask'."
const MANY = 'expected an array of sequences, or { data, shape }'
const hole = [1, 2, 3]
delete hole[1]

describe('x as a whole', () => {
  table(numbers, [
    [5, 'ERR_INVALID_ARG', 'x', `is not a list of sequences: ${MANY}, received 5.`],
    [null, 'ERR_INVALID_ARG', 'x', `is not a list of sequences: ${MANY}, received null.`],
    [undefined, 'ERR_INVALID_ARG', 'x', `is not a list of sequences: ${MANY}, received undefined.`],
    ['abc', 'ERR_INVALID_ARG', 'x', `is one sequence where a list of them is expected: ${MANY}, received "abc". For a single sequence pass [x].`],
    [Float32Array.of(1), 'ERR_INVALID_ARG', 'x', `is one sequence where a list of them is expected: ${MANY}, received a Float32Array. For a single sequence pass [x].`],
    [[1, 2], 'ERR_INVALID_ARG', 'x[0]', 'is not a sequence: expected an array of numbers, received 1. If x is a single sequence, pass [x].'],
    [[], 'ERR_EMPTY', 'x', 'has no sequences.'],
    [new Array(2 ** 32 - 1), 'ERR_INVALID_ARG', 'x[0]', 'is not a sequence: expected an array of numbers, received undefined.'],
    [[new Array(2 ** 32 - 1)], 'ERR_OUT_OF_RANGE', 'x', 'has too many steps: expected at most 2147483647 in all sequences together, received 4294967295.'],
  ])
})

describe('numbers', () => {
  table(numbers, [
    [[[1, '2']], 'ERR_INVALID_ARG', 'x[0][1]', 'is not a number: expected a finite number, received "2". Convert it with Number(…) first.'],
    [[[1], [1, 2n]], 'ERR_INVALID_ARG', 'x[1][1]', 'is not a number: expected a finite number, received 2n. Convert it with Number(…) first.'],
    [[[true]], 'ERR_INVALID_ARG', 'x[0][0]', 'is not a number: expected a finite number, received true.'],
    [[[null]], 'ERR_INVALID_ARG', 'x[0][0]', `is not a number: expected a finite number, received null. ${MASK}`],
    [[hole], 'ERR_INVALID_ARG', 'x[0][1]', `is not a number: expected a finite number, received undefined. ${MASK}`],
    [[[1], [2, Number.NaN]], 'ERR_NONFINITE', 'x[1][1]', `is NaN: expected a finite number. ${MASK}`],
    [[Float32Array.of(1, Infinity)], 'ERR_NONFINITE', 'x[0][1]', 'is Infinity: expected a finite number.'],
    [[Float64Array.of(1e300)], 'ERR_NONFINITE', 'x[0][0]', 'is too large for a float32: received 1e+300. Scale the data first: networks learn best from numbers around 0 and of size 1.'],
    [['ab'], 'ERR_INVALID_ARG', 'x[0]', 'is a string: expected an array of numbers, received "ab". Strings need a network whose input is a vocabulary: input: text.chars(corpus).'],
    [[[[1], [2, 3]]], 'ERR_SHAPE_MISMATCH', 'x[0][1]', 'has 2 features; the network takes 1.'],
  ])
  it('with missing: mask only NaN is a gap', () => {
    refuses(() => readSequences(gappy, [[1, Number.NaN, -Infinity]]), 'ERR_NONFINITE', 'x[0][2]', 'is -Infinity: expected a finite number.')
    refuses(() => readSequences(gappy, [[null]]), 'ERR_INVALID_ARG', 'x[0][0]', 'is not a number: expected a finite number, received null. A missing reading is NaN.')
  })
})

describe('steps of several features', () => {
  const FLAT = 'is a flat list of numbers; a step of this network has 2: expected an array of steps of 2 numbers, received'
  table(pairs, [
    [[[1, 2]], 'ERR_SHAPE_MISMATCH', 'x[0]', `${FLAT} 2 numbers. If x is a single sequence, pass [x]. Flat data needs its shape: { data, shape: [1, 2] }.`],
    [[new Float32Array(24)], 'ERR_SHAPE_MISMATCH', 'x[0]', `${FLAT} 24 numbers. Flat data needs its shape: { data, shape: [12, 2] }.`],
    [[new Float32Array(7)], 'ERR_SHAPE_MISMATCH', 'x[0]', `${FLAT} 7 numbers. Flat data needs its shape: { data, shape: [steps, 2] }.`],
    [[[[1, 2], [3]]], 'ERR_SHAPE_MISMATCH', 'x[0][1]', 'has 1 feature; the network takes 2.'],
    [[[[1, 2], 5]], 'ERR_INVALID_ARG', 'x[0][1]', 'is not a step: expected an array of 2 numbers, received 5.'],
    [[[[1, 2], [3, Number.NaN]]], 'ERR_NONFINITE', 'x[0][1][1]', `is NaN: expected a finite number. ${MASK}`],
  ])
  it('are named in tensors as in lists', () => {
    const data = new Float32Array(2 * 3 * 2)
    data[2 * 3 + 5] = Number.NaN
    refuses(() => readSequences(pairs, { data, shape: [2, 3, 2] }), 'ERR_NONFINITE', 'x[1][2][1]', `is NaN: expected a finite number. ${MASK}`)
  })
  it('are named by their place before the cut', () => {
    refuses(() => readSequences(pairs, [[[1, 2], [3, 4], [5, Infinity]]], { maxLength: 1 }), 'ERR_NONFINITE', 'x[0][2][1]', 'is Infinity: expected a finite number.')
  })
})

describe('tensors', () => {
  table(numbers, [
    [{ data: [1, 2], shape: [2] }, 'ERR_SHAPE_MISMATCH', 'x.shape', 'does not fit the input: expected [B, T], received [2].'],
    [{ data: [1, 2], shape: [3, 1] }, 'ERR_SHAPE_MISMATCH', 'x.data', 'has 2 values; shape [3, 1] needs 3 = 3 × 1.'],
    [{ data: [1, 2], shape: [1, 2], lengths: [3] }, 'ERR_OUT_OF_RANGE', 'x.lengths[0]', 'is out of range: expected from 0 to 2, received 3.'],
    [{ data: [1, 2], shape: [1, 2], lengths: [1, 1] }, 'ERR_SHAPE_MISMATCH', 'x.lengths', 'has 2 entries; x has 1 sequence.'],
    [{ data: [1, 2], shape: [1, 2], lengths: [1.5] }, 'ERR_INVALID_ARG', 'x.lengths[0]', 'is not an integer: expected an integer, received 1.5.'],
    [{ data: [], shape: [2 ** 40, 0] }, 'ERR_OUT_OF_RANGE', 'x.shape[0]', 'is too many sequences: expected at most 16777216, received 1099511627776.'],
    [{ data: [1], shape: 1 }, 'ERR_INVALID_ARG', 'x.shape', 'is not a list of integers: expected an array, received 1.'],
    [{ data: [1], shape: [-1, 1] }, 'ERR_OUT_OF_RANGE', 'x.shape[0]', 'is out of range: expected at least 0, received -1.'],
    [{ data: 'a', shape: [1, 1] }, 'ERR_INVALID_ARG', 'x.data', 'is not a list of numbers: expected a typed array or an array, received "a".'],
    [[{ data: [1], shape: [1], lengths: [1] }], 'ERR_INVALID_ARG', 'x[0].lengths', 'belongs to a tensor of many sequences. Leave it out: the length of this one is shape[0].'],
  ])
  it('of several features have them last', () => {
    refuses(() => readSequences(pairs, { data: [1, 2, 3, 4], shape: [2, 2] }), 'ERR_SHAPE_MISMATCH', 'x.shape', 'does not fit the input: expected [B, T, 2], received [2, 2].')
    refuses(() => readOneSequence(pairs, { data: [1, 2, 3], shape: [1, 3] }), 'ERR_SHAPE_MISMATCH', 'x.shape', 'does not fit the input: expected [T, 2], received [1, 3].')
  })
})

describe('tokens', () => {
  const TOKEN = 'is not a token of this network: expected an integer from 0 to 26, received'
  table(tokens, [
    [[[27]], 'ERR_OUT_OF_RANGE', 'x[0][0]', `${TOKEN} 27.`],
    [[[0, -1]], 'ERR_OUT_OF_RANGE', 'x[0][1]', `${TOKEN} -1.`],
    [[[2 ** 32 + 1]], 'ERR_OUT_OF_RANGE', 'x[0][0]', `${TOKEN} 4294967297.`],
    [[Uint32Array.of(2 ** 32 - 1)], 'ERR_OUT_OF_RANGE', 'x[0][0]', `${TOKEN} 4294967295.`],
    [[[1.5]], 'ERR_INVALID_ARG', 'x[0][0]', 'is not a token: expected an integer from 0 to 26, received 1.5. For real numbers create the network with input: 1.'],
    [[Float32Array.of(2.5)], 'ERR_INVALID_ARG', 'x[0][0]', 'is not a token: expected an integer from 0 to 26, received 2.5. For real numbers create the network with input: 1.'],
    [[[Number.NaN]], 'ERR_NONFINITE', 'x[0][0]', `is NaN: expected a finite number. ${MASK}`],
    [[[[1]]], 'ERR_INVALID_ARG', 'x[0][0]', 'is not a token: expected an integer from 0 to 26, received an array of 1.'],
    [['abc'], 'ERR_INVALID_ARG', 'x[0]', 'is a string: expected an array of tokens, received "abc". Strings need a network whose input is a vocabulary: input: text.chars(corpus).'],
  ])
})

describe('strings', () => {
  const LABEL = 'is not in the vocabulary: expected one of its 3 characters, received'
  const HINT = 'Make the vocabulary from all the text that will be read, or leave this character out.'
  table(letters, [
    [['abd'], 'ERR_LABEL', 'x[0][2]', `${LABEL} "d". ${HINT}`],
    [['a', 'b😀'], 'ERR_LABEL', 'x[1][1]', `${LABEL} "😀". ${HINT}`],
    [[['a']], 'ERR_INVALID_ARG', 'x[0][0]', 'is not a token: expected an integer from 0 to 2, received "a". Pass the characters of a sequence as one string.'],
    [[5], 'ERR_INVALID_ARG', 'x[0]', 'is not a sequence: expected a string or an array of tokens, received 5. If x is a single sequence, pass [x].'],
  ])
})

describe('one sequence', () => {
  it('is named without an index', () => {
    refuses(() => readOneSequence(numbers, [1, Number.NaN]), 'ERR_NONFINITE', 'x[1]', `is NaN: expected a finite number. ${MASK}`)
    refuses(() => readOneSequence(numbers, 5), 'ERR_INVALID_ARG', 'x', 'is not a sequence: expected an array of numbers, received 5.')
    refuses(() => readOneSequence(pairs, [[1, 'a']]), 'ERR_INVALID_ARG', 'x[0][1]', 'is not a number: expected a finite number, received "a". Convert it with Number(…) first.')
  })
})

describe('a mask', () => {
  each([
    [5, 'ERR_INVALID_ARG', 'mask', 'is not a list with an entry for each sequence: expected an array, received 5.'],
    [null, 'ERR_INVALID_ARG', 'mask', 'is not a list with an entry for each sequence: expected an array, received null.'],
    [[[1, 1]], 'ERR_SHAPE_MISMATCH', 'mask', 'has 1 entry; x has 2 sequences.'],
    [[[1, 1], [1]], 'ERR_SHAPE_MISMATCH', 'mask[1]', 'has 1 entry; x[1] has 2 steps.'],
    [[1, 1], 'ERR_INVALID_ARG', 'mask[0]', 'is not a list with an entry for each step: expected an array, received 1.'],
    [[[1, 2], [1, 1]], 'ERR_INVALID_ARG', 'mask[0][1]', 'is neither true nor false: expected true (use the step) or false, received 2.'],
  ], (mask) => readSequences(numbers, [[1, 2], [3, 4]], { mask }))
})

describe('hostile arrays', () => {
  const resizable = new (ArrayBuffer as any)(64, { maxByteLength: 128 })
  const shrunk = new Float32Array(resizable, 16, 4)
  resizable.resize(8)
  const gone = new Float32Array(8)
  structuredClone(gone.buffer, { transfer: [gone.buffer] })
  const OBJECT = 'is not a sequence: expected an array of numbers, received an object.'
  it.each<[string, unknown, ErrorCode, string]>([
    ['detached', gone, 'ERR_DETACHED', 'has no memory any more: its buffer was transferred. Pass a copy, or transfer it after the call.'],
    ['outside of its buffer', shrunk, 'ERR_SHAPE_MISMATCH', 'lies outside of its buffer, which was made smaller.'],
    ['of bigints', new BigInt64Array(2), 'ERR_INVALID_ARG', 'is a BigInt64Array. Copy it into a Float64Array or an array of numbers.'],
    ['a DataView', new DataView(new ArrayBuffer(8)), 'ERR_INVALID_ARG', 'is not a sequence: expected an array of numbers, received a DataView.'],
    ['an object with the prototype', Object.create(Float32Array.prototype), 'ERR_INVALID_ARG', OBJECT],
    ['a Proxy of a typed array', new Proxy(new Float32Array(2), {}), 'ERR_INVALID_ARG', OBJECT],
    ['an object with length', { length: 1, 0: 1 }, 'ERR_INVALID_ARG', OBJECT],
    ['a Proxy with a false length', new Proxy([1, 2], { get: (list, key) => (key === 'length' ? -5 : Reflect.get(list, key)) }), 'ERR_INVALID_ARG', 'has no length: expected an integer, received -5.'],
  ])('%s', (_, x, code, rest) => refuses(() => readSequences(numbers, [x]), code, 'x[0]', rest))

  it('a list too long for int32 is refused before it is cut', () => {
    const rest = 'has too many steps: expected at most 2147483647 in all sequences together, received 4294967295.'
    refuses(() => readSequences(numbers, [new Array(2 ** 32 - 1)], { maxLength: 2 }), 'ERR_OUT_OF_RANGE', 'x', rest)
  })
  it('an empty typed array is an empty sequence', () => {
    expect(readSequences(numbers, [new Float32Array(0)])).toMatchObject({ count: 1, empty: 1 })
  })
  it('an array that goes while x is read is noticed', () => {
    const data = new Float32Array(4)
    const xs = [data, [1]]
    Object.defineProperty(xs, 1, { get: () => (structuredClone(data.buffer, { transfer: [data.buffer] }), [1]) })
    refuses(() => readSequences(numbers, xs), 'ERR_DETACHED', 'x[0]', 'has no memory any more: its buffer was transferred. Pass a copy, or transfer it after the call.')
  })
  it('an exception of the user’s own passes through', () => {
    const xs = [[1]]
    Object.defineProperty(xs, 0, { get: () => { throw new RangeError('mine') } })
    expect(() => readSequences(numbers, xs)).toThrow(RangeError('mine'))
  })
})
