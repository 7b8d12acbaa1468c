/* padSequences against Keras, element by element, and its mistakes. fixtures/keras_pad_sequences.json was made by Keras 3.15.1. */
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '#lib/errors.js'
import { padSequences } from '#lib/sequences/pad.js'
import { refuses } from './support/mistakes.js'

interface Case {
  name: string
  config: { maxlen: number | null; padding: 'pre' | 'post'; truncating: 'pre' | 'post'; value: number }
  inputs: { sequences: any[] }
  expected: { output: { shape: number[]; data: number[] } }
}
const load = (url: URL): Case[] => JSON.parse(readFileSync(url, 'utf8')).cases
const run = ({ config: { maxlen, padding, truncating, value }, inputs, expected: { output } }: Case) => {
  const { data, shape } = padSequences(inputs.sequences, { maxlen: maxlen ?? undefined, padding, truncating, value })
  expect(shape).toEqual(output.shape)
  expect([...data]).toEqual(output.data.map(Math.fround))
}

const own = load(new URL('fixtures/keras_pad_sequences.json', import.meta.url))
describe('results of Keras', () => {
  it('are all there', () => expect(own.length).toBe(51))
  it.each(own.map((c) => [c.name, c] as const))('%s', (_, c) => run(c))
})

const theirs = new URL('../../shared/vectors/peer_keras_pad_sequences.json', import.meta.url)
if (existsSync(theirs)) describe('Keras’s own tests', () => it.each(load(theirs).map((c) => [c.name, c] as const))('%s', (_, c) => run(c)))
else
  describe('Keras’s own tests', () =>
    it.skip('SKIPPED: ../shared/vectors/peer_keras_pad_sequences.json is not beside this project', () => {}))

describe('padSequences', () => {
  it('pads before and cuts before, with 0, to the longest', () => {
    expect(padSequences([[1, 2, 3], [4]])).toEqual({ data: Float32Array.of(1, 2, 3, 0, 0, 4), shape: [2, 3] })
    expect(padSequences([[1, 2, 3], [4]], { maxlen: 2 })).toEqual({ data: Float32Array.of(2, 3, 0, 4), shape: [2, 2] })
  })
  it('takes every form of a sequence', () => {
    const xs = [{ data: [1, 2, 3, 4], shape: [2, 2] }, [Float32Array.of(5, 6)], []]
    expect(padSequences(xs, { padding: 'post', value: -1 })).toEqual({
      data: Float32Array.of(1, 2, 3, 4, 5, 6, -1, -1, -1, -1, -1, -1),
      shape: [3, 2, 2],
    })
    expect(padSequences([Uint8Array.of(1), { data: [2, 3], shape: [2] }])).toEqual({ data: Float32Array.of(0, 1, 2, 3), shape: [2, 2] })
  })
  it('keeps NaN, in the data and as padding', () => {
    expect(padSequences([[1, Number.NaN], [2]], { value: Number.NaN, padding: 'post' }).data).toEqual(
      Float32Array.of(1, Number.NaN, 2, Number.NaN),
    )
  })
  it('makes an empty rectangle of nothing', () => {
    expect(padSequences([])).toEqual({ data: new Float32Array(0), shape: [0, 0] })
    expect(padSequences([[], []])).toEqual({ data: new Float32Array(0), shape: [2, 0] })
  })

  it.each<[string, unknown[], ErrorCode, string, string]>([
    ['no list', [5], 'ERR_INVALID_ARG', 'xs', 'is not a list of sequences: expected an array of sequences, received 5.'],
    ['no sequence', [[1]], 'ERR_INVALID_ARG', 'xs[0]', 'is not a sequence: expected an array, or { data, shape }, received 1.'],
    [
      'a string inside',
      [[[1, 'a']]],
      'ERR_INVALID_ARG',
      'xs[0][1]',
      'is not a number: expected a finite number, received "a". Convert it with Number(…) first.',
    ],
    [
      'a string behind NaN',
      [[[Number.NaN, 'a']]],
      'ERR_INVALID_ARG',
      'xs[0][1]',
      'is not a number: expected a finite number, received "a". Convert it with Number(…) first.',
    ],
    ['uneven steps', [[[[1, 2], [3]]]], 'ERR_SHAPE_MISMATCH', 'xs[0][1]', 'is not a step of 2 features: received 1 feature.'],
    ['numbers beside vectors', [[[1], [[1, 2]]]], 'ERR_SHAPE_MISMATCH', 'xs[1]', 'has steps of 2 features; those before have one number.'],
    [
      'a batch as sequence',
      [[{ data: [1], shape: [1, 1, 1] }]],
      'ERR_SHAPE_MISMATCH',
      'xs[0].shape',
      'is not the shape of one sequence: expected [T] or [T, r], received [1, 1, 1].',
    ],
    [
      'a negative length',
      [[[1]], { maxlen: -1 }],
      'ERR_OUT_OF_RANGE',
      'options.maxlen',
      'is out of range: expected an integer at least 0 and at most 2147483647, received -1.',
    ],
    [
      'a length in words',
      [[[1]], { maxlen: '3' }],
      'ERR_INVALID_ARG',
      'options.maxlen',
      'cannot be used: expected an integer from 0 to 2147483647, received "3".',
    ],
    [
      'an unknown side',
      [[[1]], { padding: 'left' }],
      'ERR_INVALID_ARG',
      'options.padding',
      'cannot be used: expected one of "pre", "post", received "left".',
    ],
    ['an unknown option', [[[1]], { maxLen: 3 }], 'ERR_UNKNOWN_OPTION', 'options.maxLen', 'there is no such option. Here it is maxlen.'],
    [
      'a padding of text',
      [[[1]], { value: '0' }],
      'ERR_INVALID_ARG',
      'options.value',
      'is not a number: expected a finite number, received "0". Convert it with Number(…) first.',
    ],
  ])('refuses %s', (_, args, code, at, rest) => refuses(() => padSequences(...(args as [any])), code, at, rest))
})
