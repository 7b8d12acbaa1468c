/* Targets and weights in every accepted form, down to their flat arrays, and what users get wrong: code, place and the exact words. */
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '#lib/errors.js'
import type { Network } from '#lib/network/network.js'
import { readSequences } from '#lib/sequences/input.js'
import { readTargets } from '#lib/sequences/targets.js'
import { refuses } from './support/mistakes.js'

type Output = Partial<Network['output']>
const network = (output: Output, readout: Network['readout'] = 'last') =>
  ({ input: { size: 1, tokens: false }, state: [3], output: { size: 3, head: 'softmax', characters: false, ...output }, readout, missing: 'error' }) as unknown as Network
const SITES = ['EI', 'IE', 'N']
const sites: Output = { labels: SITES }
const flags: Output = { size: 2, head: 'sigmoid', labels: ['spam', 'ham'] }
const yes: Output = { size: 1, head: 'sigmoid' }
const line: Output = { size: 1, head: 'linear' }
const plane: Output = { size: 2, head: 'linear' }
const letters: Output = { labels: ['a', 'b', 'c'], characters: true }

// Three steps and one: B = 2, N = 4, longest 3.
const x = readSequences(network({}), [[1, 2, 3], [4]])
const read = (net: Network, y: unknown, options = {}, of = x) => {
  const { values, weights } = readTargets(net, of, y, options)
  return [[...values], [...weights]]
}
type Mistake = [y: unknown, code: ErrorCode, at: string, rest: string]
const mistakes = (net: Network, list: Mistake[]) => {
  for (const [y, code, at, rest] of list) it(`${code} ${at}: ${rest}`, () => refuses(() => readTargets(net, x, y), code, at, rest))
}

describe('classes, one a sequence', () => {
  it.each<[string, unknown, number[], number[]]>([
    ['labels', ['N', 'IE'], [2, 1], [1, 1]],
    ['numbers, and numbers beside labels', [2, 'IE'], [2, 1], [1, 1]],
    ['null for what does not count', [null, 1], [0, 1], [0, 1]],
    ['an integer array with -100', Int32Array.of(-100, 1), [0, 1], [0, 1]],
    ['floats that are whole', Float32Array.of(2, 1), [2, 1], [1, 1]],
    ['a tensor [B]', { data: [2, -100], shape: [2] }, [2, 0], [1, 0]],
  ])('may be %s', (_, y, values, weights) => expect(read(network(sites), y)).toEqual([values, weights]))

  it('labels win over numbers where both would do', () => {
    const digits = network({ labels: ['2', '1', '0'] })
    expect(read(digits, ['2', 2])).toEqual([[0, 2], [1, 1]])
  })

  const CLASS = 'is not a class of this network: expected an integer from 0 to 2, received'
  const EITHER = 'is neither a label nor a class number: expected "EI", "IE" or "N", or an integer from 0 to 2, received'
  const LABEL = 'is not a label of this network: expected "EI", "IE" or "N", received'
  mistakes(network(sites), [
    [['X', 0], 'ERR_LABEL', 'y[0]', `${LABEL} "X".`],
    [[0, ' ei'], 'ERR_LABEL', 'y[1]', `${LABEL} " ei". Did you mean "EI"?`],
    [[3, 0], 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} 3. Classes are counted from 0.`],
    [[0, -1], 'ERR_OUT_OF_RANGE', 'y[1]', `${CLASS} -1.`],
    [[Number.NaN, 0], 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} NaN.`],
    [[2 ** 31, 0], 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} 2147483648.`],
    [[2 ** 32 + 1, 0], 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} 4294967297.`],
    [[-100, 0], 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} -100. For a target that does not count use null, or -100 in an integer array.`],
    [Float32Array.of(-100, 0), 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} -100. For a target that does not count use null, or -100 in an integer array.`],
    [Float32Array.of(0, 1.5), 'ERR_INVALID_ARG', 'y[1]', 'is not a class number: expected an integer from 0 to 2, received 1.5. To predict numbers create the network with output: { linear: 1 }.'],
    [[[0, 1, 0], 0], 'ERR_INVALID_ARG', 'y[0]', `${EITHER} an array of 3. Pass the class itself, not a one-hot row; for a target at each step create the network with readout: 'all'.`],
    [[true, 0], 'ERR_INVALID_ARG', 'y[0]', `${EITHER} true. For yes or no create the network with output: { sigmoid: 1 }.`],
    [[0, undefined], 'ERR_INVALID_ARG', 'y[1]', `${EITHER} undefined. For a target that does not count use null.`],
    [[0], 'ERR_SHAPE_MISMATCH', 'y', 'has 1 entry; x has 2 sequences.'],
    [5, 'ERR_INVALID_ARG', 'y', 'is not a list with an entry for each sequence: expected an array, received 5.'],
    [{ data: [0, 1, 0, 1, 1, 1], shape: [2, 3] }, 'ERR_SHAPE_MISMATCH', 'y.shape', 'does not fit the sequences and the output: expected [2], received [2, 3]. Pass class numbers, not one-hot rows.'],
  ])
  mistakes(network({}), [
    [['a', 0], 'ERR_INVALID_ARG', 'y[0]', 'is a string, and this network has no labels: expected an integer from 0 to 2, received "a". Create it with a list of them: output: [...new Set(y)].sort().'],
  ])
  mistakes(network(letters), [
    [['ab', 'c'], 'ERR_LABEL', 'y[0]', `is not a label of this network: expected "a", "b" or "c", received "ab". Several characters are a target each with readout: 'all'.`],
  ])
  it('lists only some of many labels', () => {
    const many = network({ size: 9, labels: [...'abcdefghi'] })
    refuses(() => readTargets(many, x, ['z', 'a']), 'ERR_LABEL', 'y[0]', 'is not a label of this network: expected one of "a", "b", "c", "d", "e" … (9 labels), received "z".')
  })
  it('does not count a sequence without a step, but reads its target', () => {
    const some = readSequences(network({}), [[], [1]])
    expect(read(network(sites), ['EI', 'IE'], {}, some)).toEqual([[0, 1], [0, 1]])
    refuses(() => readTargets(network({}), some, [7, 0]), 'ERR_OUT_OF_RANGE', 'y[0]', `${CLASS} 7.`)
  })
})

describe('classes, one a step', () => {
  it.each<[string, Output, unknown]>([
    ['lists', sites, [['EI', null, 2], ['IE']]],
    ['integer arrays', {}, [Int8Array.of(0, -100, 2), [1]]],
    ['a tensor [B, T]', {}, { data: [0, -100, 2, 1, 9, 9], shape: [2, 3] }],
    ['a tensor with lengths', {}, { data: Int32Array.of(0, -100, 2, 1, 9, 9), shape: [2, 3], lengths: [3, 1] }],
  ])('may be %s', (_, output, y) => expect(read(network(output, 'all'), y)).toEqual([[0, 0, 2, 1], [1, 0, 1, 1]]))

  it('may be strings where the output is a vocabulary', () => {
    expect(read(network(letters, 'all'), ['abc', ['b']])).toEqual([[0, 1, 2, 1], [1, 1, 1, 1]])
  })

  mistakes(network(sites, 'all'), [
    [[['EI', 'N'], ['N']], 'ERR_SHAPE_MISMATCH', 'y[0]', 'has 2 targets; x[0] has 3 steps.'],
    [[[0, 1, 2], [1, 1]], 'ERR_SHAPE_MISMATCH', 'y[1]', 'has 2 targets; x[1] has 1 step.'],
    [['EI', 'N'], 'ERR_INVALID_ARG', 'y[0]', `is not a list of targets, which readout: 'all' needs: expected an array with a target for each step, received "EI".`],
    [[[0, 1, 'I'], [0]], 'ERR_LABEL', 'y[0][2]', 'is not a label of this network: expected "EI", "IE" or "N", received "I".'],
    [{ data: [0, 1, 2, 0], shape: [2, 2] }, 'ERR_SHAPE_MISMATCH', 'y.shape', 'does not fit the sequences and the output: expected [2, 3], received [2, 2].'],
    [{ data: [0, 0, 0, 3, 0, 0], shape: [2, 3] }, 'ERR_OUT_OF_RANGE', 'y[1][0]', 'is not a class of this network: expected an integer from 0 to 2, received 3. Classes are counted from 0.'],
    [{ data: [0, 0, 0, 0, 0, 0], shape: [2, 3], lengths: [3, 2] }, 'ERR_SHAPE_MISMATCH', 'y.lengths[1]', 'is 2; x[1] has 1 step.'],
    [{ data: [0, 0, 0, 0, 0, '1'], shape: [2, 3] }, 'ERR_INVALID_ARG', 'y.data[5]', 'is not a number: expected a finite number, received "1". Convert it with Number(…) first.'],
  ])
  mistakes(network(letters, 'all'), [
    [['abcc', 'a'], 'ERR_SHAPE_MISMATCH', 'y[0]', 'has 4 targets; x[0] has 3 steps.'],
    [['azc', 'a'], 'ERR_LABEL', 'y[0][1]', 'is not in the vocabulary: expected one of its 3 characters, received "z". Make the vocabulary from all the text that will be read, or leave this character out.'],
  ])

  it('are cut with their sequences, and what is cut or masked is not looked at', () => {
    const cut = readSequences(network({}), [[1, 2, 3], [4]], { maxLength: 2 })
    expect(read(network({}, 'all'), [['?', 1, 2], [0]], {}, cut)).toEqual([[1, 2, 0], [1, 1, 1]])
    const start = readSequences(network({}), [[1, 2, 3], [4]], { maxLength: 2, keep: 'start' })
    expect(read(network({}, 'all'), { data: [0, 1, 2, 1, 9, 9], shape: [2, 3] }, {}, start)).toEqual([[0, 1, 1], [1, 1, 1]])
    const masked = readSequences(network({}), [[1, 2, 3], [4]], { mask: [[1, 0, 1], [1]] })
    expect(read(network({}, 'all'), [Int32Array.of(0, 77, 2), [1]], {}, masked)).toEqual([[0, 2, 1], [1, 1, 1]])
    refuses(() => readTargets(network({}, 'all'), cut, [[1, 2], [0]]), 'ERR_SHAPE_MISMATCH', 'y[0]', 'has 2 targets; x[0] has 3 steps.')
  })
  it('may be padded like x', () => {
    const padded = readSequences(network({}), { data: new Float32Array(8), shape: [2, 4], lengths: [3, 1] })
    const wanted = [[0, 1, 2, 1], [1, 1, 1, 1]]
    expect(read(network({}, 'all'), { data: [0, 1, 2, -1, 1, 9, 9, 9], shape: [2, 4] }, {}, padded)).toEqual(wanted)
    expect(read(network({}, 'all'), [[0, 1, 2, '?'], [1]], {}, padded)).toEqual(wanted)
  })
})

describe('yes or no', () => {
  it.each<[string, Output, unknown, number[], number[]]>([
    ['booleans and probabilities', yes, [true, 0.5], [1, 0.5], [1, 1]],
    ['lists of one', yes, [[1], [false]], [1, 0], [1, 1]],
    ['a typed array', yes, Uint8Array.of(1, 0), [1, 0], [1, 1]],
    ['lists of labels', flags, [['ham'], []], [0, 1, 0, 0], [1, 1, 1, 1]],
    ['lists of numbers', flags, [[1, 0], Float32Array.of(0.25, 1)], [1, 0, 0.25, 1], [1, 1, 1, 1]],
    ['null for a whole row', flags, [null, [0, 1]], [0, 0, 0, 1], [0, 0, 1, 1]],
    ['a tensor [B, t]', flags, { data: [1, 0, 0, 1], shape: [2, 2] }, [1, 0, 0, 1], [1, 1, 1, 1]],
  ])('may be %s', (_, output, y, values, weights) => expect(read(network(output), y)).toEqual([values, weights]))

  const PROBABILITY = 'is not a probability: expected a number from 0 to 1, received'
  const LINEAR = 'To predict numbers create the network with output: { linear: … }.'
  mistakes(network(yes), [
    [[1, 2], 'ERR_OUT_OF_RANGE', 'y[1]', `${PROBABILITY} 2. ${LINEAR}`],
    [Float32Array.of(0, -1), 'ERR_OUT_OF_RANGE', 'y[1]', `${PROBABILITY} -1. ${LINEAR}`],
    [Float32Array.of(Number.NaN, 7), 'ERR_NONFINITE', 'y[0]', 'is NaN: expected a finite number. For a target that does not count use null.'],
    [['spam', 1], 'ERR_INVALID_ARG', 'y[0]', 'is not a target of this network: expected true, false, or a number from 0 to 1, received "spam".'],
    [[[1, 0], 1], 'ERR_SHAPE_MISMATCH', 'y[0]', 'has 2 numbers; the network has 1 output.'],
    [[0, undefined], 'ERR_INVALID_ARG', 'y[1]', 'is not a target of this network: expected true, false, or a number from 0 to 1, received undefined. For a target that does not count use null.'],
  ])
  const KIND = 'is not a target of this network: expected an array of 2 numbers, or of labels, received'
  mistakes(network(flags), [
    [[['Spam'], []], 'ERR_LABEL', 'y[0][0]', 'is not a label of this network: expected "spam" or "ham", received "Spam". Did you mean "spam"?'],
    [[['spam', 3], []], 'ERR_LABEL', 'y[0][1]', 'is not a label of this network: expected "spam" or "ham", received 3.'],
    [['spam', []], 'ERR_INVALID_ARG', 'y[0]', `${KIND} "spam". Several labels may be right at once: pass them as an array.`],
    [[1, 0], 'ERR_INVALID_ARG', 'y[0]', `${KIND} 1. Numbers laid end to end need a shape: pass all targets as { data, shape }.`],
    [[[1], [1, 0]], 'ERR_SHAPE_MISMATCH', 'y[0]', 'has 1 number; the network has 2 outputs.'],
    [[[null, 1], []], 'ERR_INVALID_ARG', 'y[0][0]', 'is not a number: expected a finite number, received null. For a target that does not count use null in place of the whole row.'],
    [{ data: [1, 0, 0, 7], shape: [2, 2] }, 'ERR_OUT_OF_RANGE', 'y[1][1]', `${PROBABILITY} 7. ${LINEAR}`],
  ])
})

describe('numbers', () => {
  it.each<[string, Output, Network['readout'], unknown, number[]]>([
    ['one a sequence', line, 'last', [1.5, -2], [1.5, -2]],
    ['a typed array', line, 'last', Float64Array.of(1.5, -2), [1.5, -2]],
    ['a tensor [B, 1]', line, 'last', { data: [1.5, -2], shape: [2, 1] }, [1.5, -2]],
    ['several a sequence', plane, 'last', [[1, 2], Float32Array.of(3, 4)], [1, 2, 3, 4]],
    ['a tensor [B, t]', plane, 'last', { data: [1, 2, 3, 4], shape: [2, 2] }, [1, 2, 3, 4]],
    ['one a step', line, 'all', [[1, 2, 3], Float32Array.of(4)], [1, 2, 3, 4]],
    ['lists of one a step', line, 'all', [[[1], [2], [3]], [[4]]], [1, 2, 3, 4]],
    ['a tensor [B, T]', line, 'all', { data: [1, 2, 3, 4, 9, 9], shape: [2, 3] }, [1, 2, 3, 4]],
    ['several a step', plane, 'all', [[[1, 2], [3, 4], [5, 6]], [[7, 8]]], [1, 2, 3, 4, 5, 6, 7, 8]],
    ['a tensor [B, T, t]', plane, 'all', { data: [1, 2, 3, 4, 5, 6, 7, 8, Number.NaN, 9, 9, 9], shape: [2, 3, 2] }, [1, 2, 3, 4, 5, 6, 7, 8]],
  ])('may be %s', (_, output, readout, y, values) => {
    expect(read(network(output, readout), y)).toEqual([values, values.map(() => 1)])
  })
  it('are left out by null', () => {
    expect(read(network(plane, 'all'), [[null, [3, 4], null], [[7, 8]]])).toEqual([[0, 0, 3, 4, 0, 0, 7, 8], [0, 0, 1, 1, 0, 0, 1, 1]])
  })
  it('of a tensor follow the mask', () => {
    const masked = readSequences(network({}), [[1, 2, 3], [4]], { mask: [[0, 1, 1], [1]] })
    const data = [Number.NaN, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9]
    expect(read(network(plane, 'all'), { data, shape: [2, 3, 2] }, {}, masked)).toEqual([[3, 4, 5, 6, 7, 8], [1, 1, 1, 1, 1, 1]])
  })
  mistakes(network(line), [
    [[1, Number.NaN], 'ERR_NONFINITE', 'y[1]', 'is NaN: expected a finite number. For a target that does not count use null.'],
    [Float64Array.of(1, 1e39), 'ERR_NONFINITE', 'y[1]', 'is too large for a float32: received 1e+39. Scale the data first: networks learn best from numbers around 0 and of size 1.'],
    [[true, 1], 'ERR_INVALID_ARG', 'y[0]', 'is not a target of this network: expected a number, received true.'],
    [['1', 1], 'ERR_INVALID_ARG', 'y[0]', 'is not a target of this network: expected a number, received "1".'],
  ])
  mistakes(network(plane, 'all'), [
    [[[1, 2, 3], [4]], 'ERR_INVALID_ARG', 'y[0][0]', 'is not a target of this network: expected an array of 2 numbers, received 1. Numbers laid end to end need a shape: pass all targets as { data, shape }.'],
    [[new Float32Array(6), [[1, 2]]], 'ERR_SHAPE_MISMATCH', 'y[0]', 'has 6 targets; x[0] has 3 steps.'],
    [{ data: [1, 2, 3, 4, 5, 6, 7, Infinity, 0, 0, 0, 0], shape: [2, 3, 2] }, 'ERR_NONFINITE', 'y[1][0][1]', 'is Infinity: expected a finite number.'],
  ])
})

describe('weights', () => {
  const weights = (net: Network, y: unknown, options: object, of = x) => read(net, y, options, of)[1]
  it('of sequences', () => {
    expect(weights(network({}), [0, null], { sampleWeights: [0.5, 2] })).toEqual([0.5, 0])
    expect(weights(network(plane), [[1, 2], [3, 4]], { sampleWeights: Float32Array.of(0.5, 2) })).toEqual([0.5, 0.5, 2, 2])
    expect(weights(network({}, 'all'), [[0, 1, null], [1]], { sampleWeights: [0.5, 2] })).toEqual([0.5, 0.5, 0, 2])
  })
  it('of steps, cut and masked with them', () => {
    const stepWeights = [[1, 2, 3], [4]]
    const y = [[0, 1, 2], [1]]
    expect(weights(network({}, 'all'), y, { stepWeights, sampleWeights: [2, 1] })).toEqual([2, 4, 6, 4])
    const some = readSequences(network({}), [[1, 2, 3], [4]], { maxLength: 2, mask: [[1, 0, 1], [1]] })
    expect(weights(network({}, 'all'), y, { stepWeights }, some)).toEqual([3, 4])
  })
  it('of classes', () => {
    expect(weights(network({}), [2, 0], { classWeight: [1, 5, 7], sampleWeights: [2, 3] })).toEqual([14, 3])
  })
  it("of classes 'balanced': n / (classes present · rows), over what counts", () => {
    const y = [[0, 2, 2], [null]]
    // Three rows count, of two classes: 3 / (2 · 1) and 3 / (2 · 2).
    expect(weights(network({}, 'all'), y, { classWeight: 'balanced' })).toEqual([1.5, 0.75, 0.75, 0])
    expect(weights(network({}, 'all'), y, { classWeight: 'balanced', stepWeights: [[0, 1, 2], [1]] })).toEqual([0, 1, 2, 0])
  })
  it('may all be 0: what that means is for the caller', () => {
    expect(weights(network({}), [null, null], { classWeight: 'balanced' })).toEqual([0, 0])
  })
  const NEGATIVE = 'is negative: expected a weight of at least 0, received'
  it.each<[string, Network['readout'], object, ErrorCode, string, string]>([
    ['too few', 'last', { sampleWeights: [1] }, 'ERR_SHAPE_MISMATCH', 'sampleWeights', 'has 1 entry; x has 2 sequences.'],
    ['negative', 'last', { sampleWeights: [1, -2] }, 'ERR_OUT_OF_RANGE', 'sampleWeights[1]', `${NEGATIVE} -2.`],
    ['NaN', 'last', { sampleWeights: Float32Array.of(1, Number.NaN) }, 'ERR_NONFINITE', 'sampleWeights[1]', 'is NaN: expected a finite number.'],
    ['a string', 'last', { sampleWeights: ['1', 1] }, 'ERR_INVALID_ARG', 'sampleWeights[0]', 'is not a number: expected a finite number, received "1". Convert it with Number(…) first.'],
    ['no list', 'last', { sampleWeights: 2 }, 'ERR_INVALID_ARG', 'sampleWeights', 'is not a list with an entry for each sequence: expected an array, received 2.'],
    ['steps without readout all', 'last', { stepWeights: [[1, 1, 1], [1]] }, 'ERR_INVALID_ARG', 'stepWeights', "needs a network with readout: 'all'. With one output a sequence use sampleWeights."],
    ['too few steps', 'all', { stepWeights: [[1, 1], [1]] }, 'ERR_SHAPE_MISMATCH', 'stepWeights[0]', 'has 2 entries; x[0] has 3 steps.'],
    ['a negative step', 'all', { stepWeights: [[1, 1, -1], [1]] }, 'ERR_OUT_OF_RANGE', 'stepWeights[0][2]', `${NEGATIVE} -1.`],
    ['numbers for lists', 'all', { stepWeights: [1, 1] }, 'ERR_INVALID_ARG', 'stepWeights[0]', 'is not a list with an entry for each step: expected an array, received 1.'],
  ])('that are wrong: %s', (_, readout, options, code, at, rest) => {
    refuses(() => readTargets(network({}, readout), x, readout === 'last' ? [0, 1] : [[0, 1, 2], [1]], options), code, at, rest)
  })
})
