/*
 * From what users pass as x to Sequences: one sequence or many, strings, arrays, typed arrays or tensors, ragged or padded, masked or cut.
 * Two passes: the first (sources.ts) finds out how long everything is, the second copies and checks it. Targets are targets.ts.
 */
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import type { SequenceOptions, Sequences } from './data.js'
import { badNumber, copyNumbers, countOf, type Flat, firstBad, listOf, type Path, partOf, plural } from './numbers.js'
import { allocate, borrow } from './room.js'
import { oneSource, type Sources, sourcesOf } from './sources.js'
import { beside, sequenceList, stepList } from './steps.js'

/**
 * Many sequences: a list of any lengths, or a tensor [B, T] or [B, T, r] with its lengths.
 *
 * @throws BpttError whose `at` is the place in x: a wrong kind, a wrong number of features, a token or a character that the network does
 *   not know, NaN where it is not masked, Infinity
 */
export function readSequences(network: Network, xs: unknown, options: SequenceOptions = {}): Sequences {
  const { at = 'x', allowNone = false } = options
  const sources = sourcesOf(network, xs, at)
  if (sources.given.length === 0 && !allowNone) throw new BpttError('ERR_EMPTY', 'has no sequences', { at })
  return gather(network, sources, (b) => `${at}[${b}]`, options)
}

/** One sequence: a string, an array, a typed array, or a tensor [T] or [T, r]. */
export function readOneSequence(network: Network, x: unknown, options: SequenceOptions = {}): Sequences {
  const { at = 'x' } = options
  return gather(network, oneSource(network, x, at), () => at, options)
}

function gather(network: Network, sources: Sources, place: (b: number) => string, options: SequenceOptions): Sequences {
  const { maxLength = Number.POSITIVE_INFINITY, keep = 'end', at = 'x' } = options
  const { size, tokens } = network.input
  const { given, padded } = sources
  const R = tokens ? 1 : size
  const B = given.length
  const lengths = maxLength === Number.POSITIVE_INFINITY ? given : given.map((steps) => Math.min(steps, maxLength))
  const offsets = new Int32Array(B + 1)
  let truncated = 0
  for (let b = 0; b < B; b++) {
    if (lengths[b]! < given[b]!) truncated++
    offsets[b + 1] = offsets[b]! + lengths[b]!
  }
  const cut = truncated === 0 ? undefined : given.map((steps, b) => (keep === 'end' ? steps - lengths[b]! : 0))
  const N = offsets[B]!

  const lent = options.lend === true && options.mask === undefined && !cut ? lentRows(sources, tokens, N * R) : undefined
  const rows = lent ?? (tokens ? borrow(Int32Array, N * R, () => at) : borrow(Float32Array, N * R, () => at))
  const all: Sequences = {
    count: B,
    rows,
    offsets,
    lengths,
    given,
    padded,
    steps: undefined,
    cut,
    truncated,
    empty: emptyOf(offsets),
    lent: lent !== undefined,
  }
  let used = options.mask === undefined ? undefined : readMask(all, options.mask, at)
  if (!lent) copyRows(sources, all, R, place)
  const fine = firstBad(rows, 0, rows.length, size) < 0
  for (let b = 0; b < B && !fine; b++) {
    const skip = cut ? cut[b]! : 0
    const from = offsets[b]! * R
    const to = offsets[b + 1]! * R
    for (let k = firstBad(rows, from, to, size); k >= 0; k = firstBad(rows, k, to, size)) {
      const row = Math.floor(k / R)
      if (!used || used[row] === 1) {
        const step = skip + row - offsets[b]!
        const value = valueOf(sources, b, R, step, k % R)
        if (network.missing !== 'mask' || !Number.isNaN(value))
          throw badValue(network, value, `${place(b)}[${step}]${R > 1 || sources.nested[b] ? `[${k % R}]` : ''}`)
        used ??= new Uint8Array(N).fill(1)
        used[row] = 0
      }
      k = (row + 1) * R
    }
  }
  if (!used?.includes(0)) return all
  return compact(lent ? { ...all, rows: rows.slice(), lent: false } : all, used, R, at)
}

/** The rows of a tensor, or of a single sequence, if they are what they have to be already, in memory that only this thread can change. */
function lentRows({ dense, each, nested, given }: Sources, tokens: boolean, length: number): Float32Array | undefined {
  const data = dense ?? (given.length === 1 && !nested[0] ? each[0] : undefined)
  if (tokens || !(data instanceof Float32Array) || countOf(data, String) !== length) return undefined
  const own = partOf(data, 0, length)
  return own instanceof Float32Array && own.buffer instanceof ArrayBuffer ? own : undefined
}

/** The steps of all sequences that are kept, to their rows. */
function copyRows(
  { dense, padded = 0, each, nested }: Sources,
  { count, rows, offsets, lengths, cut }: Sequences,
  R: number,
  place: (b: number) => string,
) {
  let b = 0
  const path = () => place(b)
  // Nothing is left out between one sequence and the next.
  if (dense && offsets[count] === count * padded) return copyNumbers(rows, 0, dense, 0, rows.length, path)
  for (; b < count; b++) {
    const skip = cut ? cut[b]! : 0
    const to = offsets[b]! * R
    if (dense) copyNumbers(rows, to, dense, (b * padded + skip) * R, lengths[b]! * R, path)
    else if (nested[b]) copySteps(each[b]!, R, skip, rows, to, lengths[b]!, path)
    else copyNumbers(rows, to, each[b]!, skip * R, lengths[b]! * R, path)
  }
}

/** Steps [skip, skip + n) of a list of them, to rows[to …). */
function copySteps(data: Flat, R: number, skip: number, rows: Int32Array | Float32Array, to: number, n: number, at: Path) {
  let i = 0
  const path = () => `${at()}[${skip + i}]`
  for (; i < n; i++) {
    const step = listOf(data[skip + i], path, 'is not a step', `an array of ${R} numbers`)
    const count = countOf(step, path)
    if (count !== R) throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(count, 'feature')}; the network takes ${R}`, { at: path() })
    copyNumbers(rows, to + i * R, step, 0, R, path)
  }
}

function valueOf({ dense, padded = 0, each, nested }: Sources, b: number, R: number, step: number, feature: number): unknown {
  if (dense) return dense[(b * padded + step) * R + feature]
  const data = each[b]!
  return nested[b] ? (data[step] as Flat)[feature] : data[step * R + feature]
}

/** Says what is wrong with a number, or token, of a sequence. */
export function badValue({ input: { size, tokens, characters }, missing }: Network, value: unknown, at: string): BpttError {
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
  const at = beside(x, 'mask')
  const list = sequenceList(mask, at, count, x)
  for (let b = 0; b < count; b++) {
    const steps = stepList(list[b], at, b, sequences, x)
    const skip = cut ? cut[b]! : 0
    for (let row = offsets[b]!, step = skip; row < offsets[b + 1]!; row++, step++) {
      const use = steps[step]
      if (use !== true && use !== false && use !== 1 && use !== 0)
        throw new BpttError('ERR_INVALID_ARG', 'is neither true nor false', {
          at: `${at}[${b}][${step}]`,
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
