/*
 * From what users pass as x to Sequences: one sequence or many, strings, arrays, typed arrays or tensors, ragged or padded, masked or cut.
 * Two passes: the first finds out how long everything is, the second copies and checks it. Targets are targets.ts.
 */
import { LIMITS } from '../check/limits.js'
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import type { SequenceOptions, Sequences } from './data.js'
import {
  allocate,
  badNumber,
  borrow,
  copyNumbers,
  countOf,
  type Dense,
  denseOf,
  type Flat,
  firstBad,
  flatOf,
  integersOf,
  isView,
  listOf,
  type Path,
  plural,
  shapeText,
} from './numbers.js'
import { checkCount, sequenceList, stepList } from './steps.js'
import { tokensOf } from './text.js'

/** One sequence as the user gave it. */
interface Source {
  readonly steps: number
  readonly data: Flat
  /** Element of data where it begins. */
  readonly start: number
  /** data is a list of steps, each a list of numbers. */
  readonly nested: boolean
}

/**
 * Many sequences: a list of any lengths, or a tensor [B, T] or [B, T, r] with its lengths.
 *
 * @throws BpttError whose `at` is the place in x: a wrong kind, a wrong number of features, a token or a character that the network does
 *   not know, NaN where it is not masked, Infinity
 */
export function readSequences(network: Network, xs: unknown, options: SequenceOptions = {}): Sequences {
  const { at = 'x', allowNone = false } = options
  const { sources, padded } = sourcesOf(network, xs, at)
  if (sources.length === 0 && !allowNone) throw new BpttError('ERR_EMPTY', 'has no sequences', { at })
  return gather(network, sources, padded, (b) => `${at}[${b}]`, options)
}

/** One sequence: a string, an array, a typed array, or a tensor [T] or [T, r]. */
export function readOneSequence(network: Network, x: unknown, options: SequenceOptions = {}): Sequences {
  const { at = 'x' } = options
  return gather(network, [sourceOf(network, x, () => at)], undefined, () => at, options)
}

function sourcesOf(network: Network, xs: unknown, at: string): { sources: Source[]; padded: number | undefined } {
  const list = flatOf(xs, () => at)
  if (list && !isView(list)) {
    const count = countOf(list, () => at)
    const sources: Source[] = []
    for (let b = 0; b < count; b++) sources.push(sourceOf(network, list[b], () => `${at}[${b}]`, b === 0 ? at : undefined))
    return { sources, padded: undefined }
  }
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

function tensorSources(network: Network, { data, shape, lengths }: Dense, at: string) {
  const R = checkShape(network, shape, ['B', 'T'], at)
  const [B, T] = shape as [number, number]
  // With T = 0 no amount of data bounds B.
  if (B > LIMITS.SIZE)
    throw new BpttError('ERR_OUT_OF_RANGE', 'is too many sequences', {
      at: `${at}.shape[0]`,
      expected: `at most ${LIMITS.SIZE}`,
      received: String(B),
    })
  let steps: number[] | undefined
  if (lengths !== undefined) {
    steps = integersOf(lengths, () => `${at}.lengths`, T)
    checkCount(steps.length, B, `${at}.lengths`, at)
  }
  const sources: Source[] = []
  for (let b = 0; b < B; b++) sources.push({ steps: steps ? steps[b]! : T, data, start: b * T * R, nested: false })
  return { sources, padded: T }
}

/** The features of a tensor's step: r, or 1 where there is no last dimension. */
function checkShape({ input }: Network, shape: readonly number[], leading: readonly string[], at: string): number {
  const flat = input.tokens || input.size === 1
  const n = leading.length
  if (flat && shape.length === n) return 1
  if (!input.tokens && shape.length === n + 1 && shape[n] === input.size) return input.size
  const expected = shapeText(flat ? leading : [...leading, input.size])
  throw new BpttError('ERR_SHAPE_MISMATCH', 'does not fit the input', { at: `${at}.shape`, expected, received: shapeText(shape) })
}

/** `whole`: what holds the list, where this is its first sequence, for the hint that the list may be one sequence itself. */
function sourceOf(network: Network, x: unknown, at: Path, whole?: string): Source {
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
    return { steps: data.length, data, start: 0, nested: false }
  }
  const data = flatOf(x, at)
  if (data) {
    const count = countOf(data, at)
    const first: unknown = data[0]
    if (tokens || count === 0 || (R === 1 && flatOf(first, at) === undefined)) return { steps: count, data, start: 0, nested: false }
    if (typeof first === 'number') throw flatError(R, count, at(), whole)
    return { steps: count, data, start: 0, nested: true }
  }
  const tensor = denseOf(x, at)
  if (!tensor)
    throw new BpttError('ERR_INVALID_ARG', 'is not a sequence', {
      at: at(),
      expected: expectedSequence(network),
      received: show(x),
      hint: whole !== undefined && typeof x === 'number' ? `If ${whole} is a single sequence, pass [${whole}].` : undefined,
    })
  checkShape(network, tensor.shape, ['T'], at())
  if (tensor.lengths !== undefined)
    throw new BpttError('ERR_INVALID_ARG', 'belongs to a tensor of many sequences', {
      at: `${at()}.lengths`,
      hint: 'Leave it out: the length of this one is shape[0].',
    })
  return { steps: tensor.shape[0]!, data: tensor.data, start: 0, nested: false }
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

function gather(
  network: Network,
  sources: readonly Source[],
  padded: number | undefined,
  place: (b: number) => string,
  options: SequenceOptions,
): Sequences {
  const { maxLength = Number.POSITIVE_INFINITY, keep = 'end', at = 'x' } = options
  const { size, tokens } = network.input
  const R = tokens ? 1 : size
  const B = sources.length
  const total = sources.reduce((sum, { steps }) => sum + steps, 0)
  if (total > LIMITS.COUNT)
    throw new BpttError('ERR_OUT_OF_RANGE', 'has too many steps', {
      at,
      expected: `at most ${LIMITS.COUNT} in all sequences together`,
      received: String(total),
    })
  const given = Int32Array.from(sources, ({ steps }) => steps)
  const lengths = given.map((steps) => Math.min(steps, maxLength))
  const truncated = lengths.reduce((n, length, b) => n + (length < given[b]! ? 1 : 0), 0)
  const cut = truncated === 0 ? undefined : given.map((steps, b) => (keep === 'end' ? steps - lengths[b]! : 0))
  const offsets = new Int32Array(B + 1)
  for (let b = 0; b < B; b++) offsets[b + 1] = offsets[b]! + lengths[b]!
  const N = offsets[B]!

  const lent = options.lend === true && options.mask === undefined && !cut ? lentRows(sources, tokens, N * R) : undefined
  const rows = lent ?? (tokens ? borrow(Int32Array, N * R, () => at) : borrow(Float32Array, N * R, () => at))
  const all: Sequences = {
    count: B,
    rows,
    offsets,
    lengths,
    given: cut ? given : lengths,
    padded,
    steps: undefined,
    cut,
    truncated,
    empty: emptyOf(offsets),
    lent: lent !== undefined,
  }
  let used = options.mask === undefined ? undefined : readMask(all, options.mask, at)
  const skipped = (b: number) => (cut ? cut[b]! : 0)
  if (!lent) for (let b = 0; b < B; b++) copySource(sources[b]!, R, skipped(b), rows, offsets[b]! * R, lengths[b]!, () => place(b))
  const fine = firstBad(rows, 0, rows.length, size) < 0
  for (let b = 0; b < B && !fine; b++) {
    const source = sources[b]!
    const skip = skipped(b)
    const from = offsets[b]! * R
    const to = offsets[b + 1]! * R
    for (let k = firstBad(rows, from, to, size); k >= 0; k = firstBad(rows, k, to, size)) {
      const row = Math.floor(k / R)
      if (!used || used[row] === 1) {
        const step = skip + row - offsets[b]!
        const value = valueOf(source, R, step, k % R)
        if (network.missing !== 'mask' || !Number.isNaN(value))
          throw badValue(network, value, `${place(b)}[${step}]${R > 1 || source.nested ? `[${k % R}]` : ''}`)
        used ??= new Uint8Array(N).fill(1)
        used[row] = 0
      }
      k = (row + 1) * R
    }
  }
  if (!used?.includes(0)) return all
  return compact(lent ? { ...all, rows: rows.slice(), lent: false } : all, used, R, at)
}

/** The rows of a tensor, if they are what they have to be already, in memory that only this thread can change. */
function lentRows([first]: readonly Source[], tokens: boolean, length: number): Float32Array | undefined {
  const data = first?.data
  if (tokens || !(data instanceof Float32Array) || data.length !== length || first?.start !== 0) return undefined
  return data.buffer instanceof ArrayBuffer ? data : undefined
}

/** Steps [skip, skip + n) of a sequence, to rows[to …). */
function copySource(
  { data, start, nested }: Source,
  R: number,
  skip: number,
  rows: Int32Array | Float32Array,
  to: number,
  n: number,
  at: Path,
) {
  if (!nested) {
    copyNumbers(rows, to, data, start + skip * R, n * R, at)
    return
  }
  for (let i = 0; i < n; i++) {
    const path = () => `${at()}[${skip + i}]`
    const step = listOf(data[skip + i], path, 'is not a step', `an array of ${R} numbers`)
    const count = countOf(step, path)
    if (count !== R) throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(count, 'feature')}; the network takes ${R}`, { at: path() })
    copyNumbers(rows, to + i * R, step, 0, R, path)
  }
}

function valueOf({ data, start, nested }: Source, R: number, step: number, feature: number): unknown {
  return nested ? (data[step] as Flat)[feature] : data[start + step * R + feature]
}

function badValue({ input: { size, tokens, characters }, missing }: Network, value: unknown, at: string): BpttError {
  const advice =
    missing === 'mask' ? 'A missing reading is NaN.' : "For missing readings use NaN and create the network with missing: 'mask'."
  if (!tokens || (typeof value === 'number' && !Number.isFinite(value))) return badNumber(value, at, advice)
  const expected = `an integer from 0 to ${size - 1}`
  if (typeof value === 'string')
    return new BpttError('ERR_INVALID_ARG', 'is not a token', {
      at,
      expected,
      received: show(value),
      hint: characters ? 'Pass the characters of a sequence as one string.' : undefined,
    })
  if (Number.isInteger(value))
    return new BpttError('ERR_OUT_OF_RANGE', 'is not a token of this network', { at, expected, received: show(value) })
  return new BpttError('ERR_INVALID_ARG', 'is not a token', {
    at,
    expected,
    received: show(value),
    hint: typeof value === 'number' ? 'For real numbers create the network with input: 1.' : undefined,
  })
}

/** [N] 1 where a step is used. */
function readMask(sequences: Sequences, mask: unknown, x: string): Uint8Array {
  const { count, offsets, cut } = sequences
  const used = new Uint8Array(offsets[count]!)
  const list = sequenceList(mask, 'mask', count, x)
  for (let b = 0; b < count; b++) {
    const steps = stepList(list[b], 'mask', b, sequences, x)
    const skip = cut ? cut[b]! : 0
    for (let row = offsets[b]!, step = skip; row < offsets[b + 1]!; row++, step++) {
      const use = steps[step]
      if (use !== true && use !== false && use !== 1 && use !== 0)
        throw new BpttError('ERR_INVALID_ARG', 'is neither true nor false', {
          at: `mask[${b}][${step}]`,
          expected: 'true (use the step) or false',
          received: show(use),
        })
      used[row] = Number(use)
    }
  }
  return used
}

/** Leaves out the rows that are not used. */
function compact(all: Sequences, used: Uint8Array, R: number, at: string): Sequences {
  const { count, rows, offsets } = all
  const left = new Int32Array(count + 1)
  const steps = allocate(
    Int32Array,
    used.reduce((n, use) => n + use, 0),
    () => at,
  )
  let next = 0
  for (let b = 0; b < count; b++) {
    for (let row = offsets[b]!; row < offsets[b + 1]!; row++)
      if (used[row] === 1) {
        rows.copyWithin(next * R, row * R, (row + 1) * R)
        steps[next++] = row - offsets[b]!
      }
    left[b + 1] = next
  }
  return { ...all, rows: rows.slice(0, next * R), offsets: left, steps, empty: emptyOf(left) }
}

function emptyOf(offsets: Int32Array): number {
  let empty = 0
  for (let b = 1; b < offsets.length; b++) if (offsets[b - 1] === offsets[b]) empty++
  return empty
}
