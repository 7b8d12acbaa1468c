/*
 * Lists that go with sequences: one entry a sequence, and in it one a step. The checks that masks, targets and weights share, and the
 * walk from the rows of Sequences back to the user's steps.
 */
import { BpttError } from '../errors.js'
import type { Sequences } from './data.js'
import { countOf, type Flat, listOf, plural } from './numbers.js'

type Steps = Pick<Sequences, 'given' | 'padded'>

/** The place of what is named beside this one: 'options.validation.mask' beside 'options.validation.x'. */
export const beside = (at: string, name: string) => at.replace(/\w+$/, name)

/** A list with one entry for each sequence. */
export function sequenceList(value: unknown, at: string, B: number, x = beside(at, 'x')): Flat {
  const list = listOf(value, () => at, 'is not a list with an entry for each sequence')
  checkCount(
    countOf(list, () => at),
    B,
    at,
    x,
  )
  return list
}

export function checkCount(count: number, B: number, at: string, x: string) {
  if (count !== B)
    throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(count, 'entry', 'entries')}; ${x} has ${plural(B, 'sequence')}`, { at })
}

/** Entry b of such a list: itself a list, with one entry for each of the user's steps. */
export function stepList(value: unknown, name: string, b: number, sequences: Steps, x: string): Flat {
  const at = () => `${name}[${b}]`
  const list = listOf(value, at, 'is not a list with an entry for each step')
  checkSteps(countOf(list, at), (n) => plural(n, 'entry', 'entries'), at(), b, sequences, x)
  return list
}

/** Whether what belongs to sequence b has as many steps as it has, or as many as it is padded to. */
export function checkSteps(count: number, what: (count: number) => string, at: string, b: number, { given, padded }: Steps, x: string) {
  if (count !== given[b] && count !== padded)
    throw new BpttError('ERR_SHAPE_MISMATCH', `has ${what(count)}; ${x}[${b}] has ${plural(given[b]!, 'step')}`, { at })
}

/** Calls with each run of rows that are consecutive steps: first row, its step in the user's (whole) sequence, number of rows. */
export function eachRun({ offsets, steps, cut }: Sequences, b: number, run: (row: number, step: number, n: number) => void) {
  const skip = cut ? cut[b]! : 0
  const end = offsets[b + 1]!
  for (let row = offsets[b]!; row < end; ) {
    const step = steps ? steps[row]! : row - offsets[b]!
    let n = steps ? 1 : end - row
    while (steps && row + n < end && steps[row + n] === step + n) n++
    run(row, step + skip, n)
    row += n
  }
}
