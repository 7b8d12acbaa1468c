/*
 * Characters and their numbers: `text.chars(corpus)`, and the look-up that the readers of this folder share. A character is a code point,
 * so that a surrogate pair is one. Vocabularies are recognised by their three fields, not by who made them: a loaded one is like a fresh one.
 */
import { BpttError, show } from '../errors.js'
import type { Num, Vocabulary } from '../types.js'
import { countOf, listOf, type Path, plural } from './numbers.js'

/** Tokens of a string. An unknown character is ERR_LABEL at `<at>[position]`, counted in characters. */
export function tokensOf(characters: readonly string[], text: string, at: Path): Int32Array {
  const numbers = numbersOf(characters)
  const tokens = new Int32Array(text.length)
  let count = 0
  for (let i = 0; i < text.length; ) {
    const point = text.codePointAt(i)!
    const token = numbers.get(point)
    if (token === undefined)
      throw new BpttError('ERR_LABEL', 'is not in the vocabulary', {
        at: `${at()}[${count}]`,
        expected: `${characters.length > 1 ? 'one of ' : ''}its ${plural(characters.length, 'character')}`,
        received: show(String.fromCodePoint(point)),
        hint: 'Make the vocabulary from all the text that will be read, or leave this character out.',
      })
    tokens[count++] = token
    i += point > 0xffff ? 2 : 1
  }
  return count === tokens.length ? tokens : tokens.slice(0, count)
}

const known = new WeakMap<readonly string[], Map<number, number>>()

/** Token of each code point. */
function numbersOf(characters: readonly string[]): Map<number, number> {
  let numbers = known.get(characters)
  if (!numbers) known.set(characters, (numbers = new Map(characters.map((character, token) => [character.codePointAt(0)!, token]))))
  return numbers
}

/** A vocabulary of these characters, in this order. */
export function vocabularyOf(characters: readonly string[]): Vocabulary {
  const labels = Object.freeze([...characters])
  return Object.freeze({
    labels,
    encode(text: string): Int32Array {
      if (typeof text !== 'string') throw new BpttError('ERR_INVALID_ARG', 'is not a string', { at: 'text', received: show(text) })
      return tokensOf(labels, text, () => 'text')
    },
    decode(ids: Num): string {
      const list = listOf(ids, () => 'ids', 'is not a list of tokens', 'an array or a typed array')
      const count = countOf(list, () => 'ids')
      const parts: string[] = []
      for (let i = 0; i < count; i++) {
        const character = labels[list[i] as number]
        if (typeof list[i] !== 'number' || character === undefined)
          throw new BpttError('ERR_OUT_OF_RANGE', 'is not a token of this vocabulary', {
            at: `ids[${i}]`,
            expected: `an integer from 0 to ${labels.length - 1}`,
            received: show(list[i]),
          })
        parts.push(character)
      }
      return parts.join('')
    },
  })
}

export const text = {
  /**
   * The vocabulary of a text: its distinct characters, sorted by code point.
   *
   * @throws ERR_EMPTY for an empty string: nothing could be encoded with it.
   */
  chars(corpus: string): Vocabulary {
    if (typeof corpus !== 'string')
      throw new BpttError('ERR_INVALID_ARG', 'is not a string', {
        at: 'corpus',
        received: show(corpus),
        hint: Array.isArray(corpus) ? "Join the strings first: text.chars(strings.join(''))." : undefined,
      })
    if (corpus === '') throw new BpttError('ERR_EMPTY', 'has no characters', { at: 'corpus' })
    return vocabularyOf([...new Set(corpus)].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!))
  },
}
