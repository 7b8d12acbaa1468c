/*
 * What users pass as x, before anything of it is copied: a list of sequences, or a tensor of them, and how many steps each has. There is
 * no object for each of perhaps hundreds of thousands of sequences. Called by input.ts, which copies and checks the numbers.
 */
import { LIMITS } from '../check/limits.js'
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import { countOf, type Dense, denseOf, type Flat, flatOf, integersOf, isView, type Path, plural, shapeText } from './numbers.js'
import { checkCount } from './steps.js'
import { tokensOf } from './text.js'

export interface Sources {
  /** [B] steps of each. */
  readonly given: Int32Array
  /** A tensor's numbers: those of each sequence, `padded` steps of them, after those of the one before. */
  readonly dense: Flat | undefined
  /** T of a tensor [B, T] or [B, T, r]. */
  readonly padded: number | undefined
  /** Where there is no tensor: the numbers of each sequence, or a list of its steps, each a list of numbers. */
  readonly each: readonly Flat[]
  readonly nested: readonly boolean[]
}

/** Many sequences, with the checks of readSequences() that need no look at their numbers. */
export function sourcesOf(network: Network, xs: unknown, at: string): Sources {
  const list = flatOf(xs, () => at)
  if (list && !isView(list)) return listSources(network, list, at)
  const tensor = list ? undefined : denseOf(xs, () => at)
  if (!tensor)
    throw new BpttError(
      'ERR_INVALID_ARG',
      list || typeof xs === 'string' ? 'is one sequence where a list of them is expected' : 'is not a list of sequences',
      {
        at,
        expected: 'an array of sequences, or { data, shape }',
        received: show(xs),
        hint: list || typeof xs === 'string' ? `For a single sequence pass [${at}].` : undefined,
      },
    )
  return tensorSources(network, tensor, at)
}

/** One sequence. */
export function oneSource(network: Network, x: unknown, at: string): Sources {
  const found = new Found(1)
  found.add(network, x, () => at)
  return found.sources(at)
}

function listSources(network: Network, list: readonly unknown[], at: string): Sources {
  const count = countOf(list, () => at)
  const found = new Found(count)
  let b = 0
  const path = () => `${at}[${b}]`
  for (; b < count; b++) found.add(network, list[b], path, b === 0 ? at : undefined)
  return found.sources(at)
}

function tensorSources(network: Network, { data, shape, lengths }: Dense, at: string): Sources {
  checkShape(network, shape, ['B', 'T'], () => at)
  const [B, T] = shape as [number, number]
  // With T = 0 no amount of data bounds B.
  if (B > LIMITS.SIZE)
    throw new BpttError('ERR_OUT_OF_RANGE', 'is too many sequences', {
      at: `${at}.shape[0]`,
      expected: `at most ${LIMITS.SIZE}`,
      received: String(B),
    })
  const steps = lengths === undefined ? new Float64Array(B).fill(T) : integersOf(lengths, () => `${at}.lengths`, T)
  checkCount(steps.length, B, `${at}.lengths`, at)
  return { given: checkedSteps(steps, at), dense: data, padded: T, each: [], nested: [] }
}

function checkedSteps(steps: readonly number[] | Float64Array, at: string): Int32Array {
  let total = 0
  for (let b = 0; b < steps.length; b++) total += steps[b]!
  if (total > LIMITS.COUNT)
    throw new BpttError('ERR_OUT_OF_RANGE', 'has too many steps', {
      at,
      expected: `at most ${LIMITS.COUNT} in all sequences together`,
      received: String(total),
    })
  return new Int32Array(steps)
}

/** A step of a tensor has r features; of one the last dimension may be left out. */
function checkShape({ input }: Network, shape: readonly number[], leading: readonly string[], at: Path) {
  const flat = input.tokens || input.size === 1
  const n = leading.length
  if (flat && shape.length === n) return
  if (!input.tokens && shape.length === n + 1 && shape[n] === input.size) return
  const expected = shapeText(flat ? leading : [...leading, input.size])
  throw new BpttError('ERR_SHAPE_MISMATCH', 'does not fit the input', { at: `${at()}.shape`, expected, received: shapeText(shape) })
}

/** Sequences for which there is room at once: lists that grow take ten times as long, but a user's list can be as long and have nothing in it. */
const MOST_ROOM = 2 ** 20

/** What was found in a list so far. */
class Found {
  private count = 0
  private readonly steps: number[]
  private readonly each: Flat[]
  private readonly nested: boolean[]

  /** @param count of the list */
  constructor(count: number) {
    const room = Math.min(count, MOST_ROOM)
    this.steps = new Array(room)
    this.each = new Array(room)
    this.nested = new Array(room)
  }

  sources(at: string): Sources {
    const { steps, each, nested } = this
    return { given: checkedSteps(steps, at), dense: undefined, padded: undefined, each, nested }
  }

  private push(steps: number, data: Flat, nested = false) {
    const b = this.count++
    this.steps[b] = steps
    this.each[b] = data
    this.nested[b] = nested
  }

  /** `whole`: what holds the list, where this is its first sequence, for the hint that the list may be one sequence itself. */
  add(network: Network, x: unknown, at: Path, whole?: string) {
    const { size: R, tokens, characters } = network.input
    if (typeof x === 'string') {
      if (!characters)
        throw new BpttError('ERR_INVALID_ARG', 'is a string', {
          at: at(),
          expected: expectedSequence(network),
          received: show(x),
          hint: 'Strings need a network whose input is a vocabulary: input: text.chars(corpus).',
        })
      const data = tokensOf(characters, x, at)
      return this.push(data.length, data)
    }
    const data = flatOf(x, at)
    if (data) {
      const count = countOf(data, at)
      if (tokens || count === 0) return this.push(count, data)
      const first: unknown = data[0]
      if (R === 1 && flatOf(first, at) === undefined) return this.push(count, data)
      if (typeof first === 'number') throw flatError(R, count, at(), whole)
      return this.push(count, data, true)
    }
    const tensor = denseOf(x, at)
    if (!tensor)
      throw new BpttError('ERR_INVALID_ARG', 'is not a sequence', {
        at: at(),
        expected: expectedSequence(network),
        received: show(x),
        hint: whole !== undefined && typeof x === 'number' ? `If ${whole} is a single sequence, pass [${whole}].` : undefined,
      })
    checkShape(network, tensor.shape, ['T'], at)
    if (tensor.lengths !== undefined)
      throw new BpttError('ERR_INVALID_ARG', 'belongs to a tensor of many sequences', {
        at: `${at()}.lengths`,
        hint: 'Leave it out: the length of this one is shape[0].',
      })
    this.push(tensor.shape[0]!, tensor.data)
  }
}

function expectedSequence({ input: { size, tokens, characters } }: Network): string {
  if (characters) return 'a string or an array of tokens'
  if (tokens) return 'an array of tokens'
  return size === 1 ? 'an array of numbers' : `an array of steps of ${size} numbers`
}

function flatError(R: number, count: number, at: string, whole: string | undefined) {
  const one = whole !== undefined && count === R ? `If ${whole} is a single sequence, pass [${whole}]. ` : ''
  const shape = count % R === 0 ? `[${count / R}, ${R}]` : `[steps, ${R}]`
  return new BpttError('ERR_SHAPE_MISMATCH', `is a flat list of numbers; a step of this network has ${R}`, {
    at,
    expected: `an array of steps of ${R} numbers`,
    received: plural(count, 'number'),
    hint: `${one}Flat data needs its shape: { data, shape: ${shape} }.`,
  })
}
