/* Initial states and upstream gradients: accepted forms, and what users get wrong. */
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '#lib/errors.js'
import type { Network } from '#lib/network/network.js'
import { readInitialState, readUpstream } from '#lib/sequences/state.js'
import { refuses } from './support/mistakes.js'

const network = (state: number[], readout: Network['readout'] = 'last') =>
  ({ input: { size: 1, tokens: false }, state, output: { size: 2, head: 'linear', characters: false }, readout }) as unknown as Network
const one = network([3])
const two = network([3, 1])
const zeros = (...shape: number[]) => ({ data: new Float32Array(shape.reduce((a, b) => a * b, 1)), shape })

describe('an initial state', () => {
  it('is rows, or what finalState gave', () => {
    expect(readInitialState(one, undefined, 2)).toBeUndefined()
    expect(readInitialState(one, [[1, 2, 3], Float64Array.of(4, 5, 6)], 2)).toEqual([Float32Array.of(1, 2, 3, 4, 5, 6)])
    const layers = [{ s: { data: Float32Array.of(1, 2, 3, 4, 5, 6), shape: [2, 3] } }, { s: { data: Float32Array.of(7, 8), shape: [2, 1] } }]
    expect(readInitialState(two, { layers }, 2)).toEqual([Float32Array.of(1, 2, 3, 4, 5, 6), Float32Array.of(7, 8)])
  })
  it('is a copy', () => {
    const s = { data: Float32Array.of(1, 2, 3), shape: [1, 3] }
    const [copy] = readInitialState(one, { layers: [{ s }] }, 1)!
    s.data.fill(9)
    expect([...copy!]).toEqual([1, 2, 3])
  })
  const AT = 'options.initialState'
  it.each<[string, Network, unknown, ErrorCode, string, string]>([
    ['rows', one, [[1, 2, 3]], 'ERR_SHAPE_MISMATCH', AT, 'has 1 row; there are 2 sequences.'],
    ['units', one, [[1, 2, 3], [1, 2]], 'ERR_SHAPE_MISMATCH', `${AT}[1]`, 'has 2 numbers; the state has 3.'],
    ['a flat array', one, [1, 2], 'ERR_INVALID_ARG', `${AT}[0]`, 'is not the state of a sequence: expected an array of 3 numbers, received 1.'],
    ['NaN', one, [[1, 2, 3], [1, Number.NaN, 3]], 'ERR_NONFINITE', `${AT}[1][1]`, 'is NaN: expected a finite number.'],
    ['rows for two layers', two, [[1, 2, 3]], 'ERR_SHAPE_MISMATCH', AT, 'is an array; a network of 2 layers has a state for each. Pass { layers: [{ s: { data, shape } }, …] }, as finalState has it.'],
    ['layers', two, { layers: [{ s: zeros(2, 3) }] }, 'ERR_SHAPE_MISMATCH', `${AT}.layers`, 'has 1 layer; the network has 2 layers.'],
    ['batch', one, { layers: [{ s: zeros(1, 3) }] }, 'ERR_SHAPE_MISMATCH', `${AT}.layers[0].s.shape`, 'has another shape than the network and the data: expected [2, 3], received [1, 3].'],
    ['no tensor', one, { layers: [null] }, 'ERR_INVALID_ARG', `${AT}.layers[0].s`, 'is not a tensor: expected { data, shape: [2, 3] }, received undefined.'],
    ['kind', one, 5, 'ERR_INVALID_ARG', AT, 'is not a state: expected { layers: [{ s }, …] }, or an array [B][s], received 5.'],
    ['null', one, null, 'ERR_INVALID_ARG', AT, 'is not a state: expected { layers: [{ s }, …] }, or an array [B][s], received null.'],
  ])('with the wrong %s', (_, net, value, code, at, rest) => refuses(() => readInitialState(net, value as never, 2), code, at, rest))
})

describe('upstream gradients', () => {
  it('are for logits, states, or both', () => {
    const logits = { data: [1, 2, 3, 4], shape: [2, 2] }
    expect(readUpstream(one, { logits }, 2, 4)).toEqual({ logits: Float32Array.of(1, 2, 3, 4), states: undefined })
    const both = readUpstream(network([3, 1], 'all'), { logits: zeros(2, 4, 2), states: [zeros(2, 4, 3), zeros(2, 4, 1)] }, 2, 4)
    expect([both.logits!.length, ...both.states!.map((s) => s.length)]).toEqual([16, 24, 8])
  })
  const SHAPE = 'has another shape than the network and the data: expected'
  it.each<[string, unknown, ErrorCode, string, string]>([
    ['nothing', {}, 'ERR_EMPTY', 'upstream', 'has no gradients: expected { logits }, { states } or both, received an object.'],
    ['null', null, 'ERR_EMPTY', 'upstream', 'has no gradients: expected { logits }, { states } or both, received null.'],
    ['a misspelt name', { logit: 1 }, 'ERR_UNKNOWN_OPTION', 'upstream.logit', 'is not known here: expected logits or states.'],
    ['a step too many', { logits: zeros(2, 1, 2) }, 'ERR_SHAPE_MISMATCH', 'upstream.logits.shape', `${SHAPE} [2, 2], received [2, 1, 2].`],
    ['layers', { states: [] }, 'ERR_SHAPE_MISMATCH', 'upstream.states', 'has 0 layers; the network has 1 layer.'],
    ['one tensor for a list', { states: zeros(2, 4, 3) }, 'ERR_INVALID_ARG', 'upstream.states', 'is not a list of tensors: expected an array with { data, shape } for each layer, received an object.'],
    ['a transposed state', { states: [zeros(4, 2, 3)] }, 'ERR_SHAPE_MISMATCH', 'upstream.states[0].shape', `${SHAPE} [2, 4, 3], received [4, 2, 3].`],
    ['Infinity', { logits: { data: [0, 0, Infinity, 0], shape: [2, 2] } }, 'ERR_NONFINITE', 'upstream.logits.data[2]', 'is Infinity: expected a finite number.'],
  ])('with the mistake: %s', (_, value, code, at, rest) => refuses(() => readUpstream(one, value, 2, 4), code, at, rest))
})
