/* Vocabularies: which characters, in which order, there and back, and what is not in them. */
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '#lib/errors.js'
import { text, vocabularyOf } from '#lib/sequences/text.js'
import { refuses } from './support/mistakes.js'

describe('text.chars', () => {
  it('has the distinct characters, sorted by code point', () => {
    // By UTF-16 unit the emoji (U+1F600, from D83D) would stand before the fullwidth letter (U+FF21).
    expect(text.chars('b😀aA\n😀ａＡab').labels).toEqual(['\n', 'A', 'a', 'b', 'Ａ', 'ａ', '😀'])
  })
  it('goes there and back', () => {
    const v = text.chars('To be, or not 😀 to be')
    for (const s of ['to be', '', '😀😀', 'not']) expect(v.decode(v.encode(s))).toBe(s)
    expect(text.chars('abc').encode('cab')).toEqual(Int32Array.of(2, 0, 1))
    expect(text.chars('a😀').encode('😀a')).toEqual(Int32Array.of(1, 0))
    expect(text.chars('abc').decode([2, 0, 1])).toBe('cab')
  })
  it('keeps lone surrogates apart from pairs', () => {
    const v = text.chars('\ud83d😀')
    expect([...v.encode('😀\ud83d')]).toEqual([1, 0])
  })
  it('cannot be changed', () => {
    const v = text.chars('ab')
    expect(Object.isFrozen(v) && Object.isFrozen(v.labels)).toBe(true)
  })
  it('is the same when made from its labels', () => {
    const again = vocabularyOf(text.chars('cab').labels)
    expect([again.labels, [...again.encode('cab')]]).toEqual([
      ['a', 'b', 'c'],
      [2, 0, 1],
    ])
  })

  const v = text.chars('ab')
  const HINT = 'Make the vocabulary from all the text that will be read, or leave this character out.'
  it.each<[string, () => unknown, ErrorCode, string, string]>([
    [
      'a list',
      () => text.chars(['a'] as never),
      'ERR_INVALID_ARG',
      'corpus',
      "is not a string: received an array of 1. Join the strings first: text.chars(strings.join('')).",
    ],
    ['a number', () => text.chars(5 as never), 'ERR_INVALID_ARG', 'corpus', 'is not a string: received 5.'],
    ['an empty text', () => text.chars(''), 'ERR_EMPTY', 'corpus', 'has no characters.'],
    [
      'an unknown character',
      () => v.encode('abaabx'),
      'ERR_LABEL',
      'text[5]',
      `is not in the vocabulary: expected one of its 2 characters, received "x". ${HINT}`,
    ],
    [
      'a place counted in characters',
      () => text.chars('😀').encode('😀x'),
      'ERR_LABEL',
      'text[1]',
      `is not in the vocabulary: expected its 1 character, received "x". ${HINT}`,
    ],
    ['no string to encode', () => v.encode(null as never), 'ERR_INVALID_ARG', 'text', 'is not a string: received null.'],
    [
      'no list to decode',
      () => v.decode('ab' as never),
      'ERR_INVALID_ARG',
      'ids',
      'is not a list of tokens: expected an array or a typed array, received "ab".',
    ],
    [
      'an unknown token',
      () => v.decode([0, 2]),
      'ERR_OUT_OF_RANGE',
      'ids[1]',
      'is not a token of this vocabulary: expected an integer from 0 to 1, received 2.',
    ],
    [
      'half a token',
      () => v.decode(Float32Array.of(0.5)),
      'ERR_OUT_OF_RANGE',
      'ids[0]',
      'is not a token of this vocabulary: expected an integer from 0 to 1, received 0.5.',
    ],
  ])('refuses %s', (_, f, code, at, rest) => refuses(f, code, at, rest))
})
