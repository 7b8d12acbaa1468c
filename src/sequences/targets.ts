/*
 * From what users pass as y to Targets: class numbers, labels, probabilities, numbers, null for what does not count; and the weights of
 * the loss from sampleWeights, stepWeights and classWeight. What one target may be is heads.ts.
 */
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import type { Sequences, TargetOptions, Targets } from './data.js'
import { ClassTargets, NumberTargets, type TargetReader } from './heads.js'
import { badNumber, countOf, type Dense, denseOf, flatOf, integersOf, isView, type Path, plural, shapeText, type View } from './numbers.js'
import { allocate } from './room.js'
import { beside, checkCount, checkSteps, eachRun, sequenceList, stepList } from './steps.js'
import { tokensOf } from './text.js'

/**
 * Targets of these sequences. What belongs to steps that were cut off or masked is not looked at.
 *
 * @throws BpttError whose `at` is the place in y or in the weights
 */
export function readTargets(network: Network, sequences: Sequences, y: unknown, options: TargetOptions = {}): Targets {
  const { at = 'y' } = options
  const { output, readout } = network
  const N = readout === 'last' ? sequences.count : sequences.offsets[sequences.count]!
  const reader = output.head === 'softmax' ? new ClassTargets(output, N, at) : new NumberTargets(output, N, at)
  const tensor = flatOf(y, () => at) ? undefined : denseOf(y, () => at)
  if (tensor) readTensor(network, sequences, tensor, reader, at)
  else if (readout === 'last') readLast(sequences, y, reader, at)
  else readAll(network, sequences, y, reader, at)
  weigh(network, sequences, reader, { ...options, at })
  return { values: reader.values, weights: reader.weights }
}

/** [B] */
function readLast(sequences: Sequences, y: unknown, reader: TargetReader, at: string) {
  const list = sequenceList(y, at, sequences.count)
  if (isView(list)) return reader.many(list, 0, 0, sequences.count, (b) => `${at}[${b}]`)
  let b = 0
  const path = () => `${at}[${b}]`
  for (; b < sequences.count; b++) reader.one(list[b], b, path)
}

/** [B][T] */
function readAll({ output }: Network, sequences: Sequences, y: unknown, reader: TargetReader, at: string) {
  const x = beside(at, 'x')
  const list = sequenceList(y, at, sequences.count)
  for (let b = 0; b < sequences.count; b++) {
    const path = () => `${at}[${b}]`
    const entry: unknown = list[b]
    const spelled = typeof entry === 'string' && output.characters
    const steps = spelled ? tokensOf(output.labels!, entry, path) : flatOf(entry, path)
    if (!steps) {
      const expected = output.characters ? 'a string, or an array with a target for each step' : 'an array with a target for each step'
      throw new BpttError('ERR_INVALID_ARG', "is not a list of targets, which readout: 'all' needs", {
        at: path(),
        expected,
        received: show(entry),
      })
    }
    checkSteps(countOf(steps, path), (n) => plural(n, 'target'), path(), b, sequences, x)
    eachRun(sequences, b, (row, step, n) => {
      if (isView(steps)) reader.many(steps, step, row, n, (i) => `${path()}[${step + i}]`)
      else for (let i = 0; i < n; i++) reader.one(steps[step + i], row + i, () => `${path()}[${step + i}]`)
    })
  }
}

/** [B], [B, t], [B, T], [B, T, t]; for one output a last dimension of 1 may be left out. */
function readTensor({ output, readout }: Network, sequences: Sequences, tensor: Dense, reader: TargetReader, at: string) {
  const { count: B, given, padded } = sequences
  const { shape } = tensor
  const T = padded ?? given.reduce((most, steps) => Math.max(most, steps), 0)
  const leading = readout === 'last' ? [B] : [B, T]
  const { width } = reader
  const scalar = width === 1 && shape.length === leading.length
  const vector = output.head !== 'softmax' && shape.length === leading.length + 1 && shape.at(-1) === width
  if (!(scalar || vector) || leading.some((size, i) => shape[i] !== size))
    throw new BpttError('ERR_SHAPE_MISMATCH', 'does not fit the sequences and the output', {
      at: `${at}.shape`,
      expected: shapeText(width === 1 ? leading : [...leading, width]),
      received: shapeText(shape),
      hint: output.head === 'softmax' && shape.length > leading.length ? 'Pass class numbers, not one-hot rows.' : undefined,
    })
  if (tensor.lengths !== undefined) checkLengths(sequences, tensor.lengths, T, at)
  const data = viewOfNumbers(tensor, at)
  const number = (j: number) => (scalar ? '' : `[${j}]`)
  if (readout === 'last') reader.many(data, 0, 0, B, (b, j) => `${at}[${b}]${number(j)}`, true)
  else
    for (let b = 0; b < B; b++)
      eachRun(sequences, b, (row, step, n) =>
        reader.many(data, (b * T + step) * width, row, n, (i, j) => `${at}[${b}][${step + i}]${number(j)}`, true),
      )
}

function checkLengths({ count, given }: Sequences, lengths: unknown, T: number, at: string) {
  const list = integersOf(lengths, () => `${at}.lengths`, T)
  const x = beside(at, 'x')
  checkCount(list.length, count, `${at}.lengths`, x)
  for (const [b, length] of list.entries())
    if (length !== given[b])
      throw new BpttError('ERR_SHAPE_MISMATCH', `is ${length}; ${x}[${b}] has ${plural(given[b]!, 'step')}`, { at: `${at}.lengths[${b}]` })
}

/** A tensor's numbers as a view: whole numbers in a plain array are an integer array. */
function viewOfNumbers({ data }: Dense, at: string): View {
  if (isView(data)) return data
  const wrong = data.findIndex((value) => typeof value !== 'number')
  if (wrong >= 0) throw badNumber(data[wrong], `${at}.data[${wrong}]`)
  const whole = data.every((value) => (value as number) === ((value as number) | 0))
  return whole ? Int32Array.from(data as number[]) : Float64Array.from(data as number[])
}

/** Turns the 1 of what counts into its weight. */
function weigh(
  network: Network,
  sequences: Sequences,
  reader: TargetReader,
  { at: y, sampleWeights, stepWeights, classWeight }: TargetOptions & { at: string },
) {
  const { count: B, offsets } = sequences
  const last = network.readout === 'last'
  if (last) for (let b = 0; b < B; b++) if (offsets[b] === offsets[b + 1]) scale(reader, b, 0)
  if (sampleWeights !== undefined) {
    const at = beside(y, 'sampleWeights')
    const list = sequenceList(sampleWeights, at, B)
    for (let b = 0; b < B; b++) {
      const weight = readWeight(list[b], () => `${at}[${b}]`)
      if (last) scale(reader, b, weight)
      else for (let row = offsets[b]!; row < offsets[b + 1]!; row++) scale(reader, row, weight)
    }
  }
  if (stepWeights !== undefined) {
    const at = beside(y, 'stepWeights')
    if (last)
      throw new BpttError('ERR_INVALID_ARG', "needs a network with readout: 'all'", {
        at,
        hint: 'With one output a sequence use sampleWeights.',
      })
    const list = sequenceList(stepWeights, at, B)
    const x = beside(at, 'x')
    for (let b = 0; b < B; b++) {
      const steps = stepList(list[b], at, b, sequences, x)
      eachRun(sequences, b, (row, step, n) => {
        for (let i = 0; i < n; i++)
          scale(
            reader,
            row + i,
            readWeight(steps[step + i], () => `${at}[${b}][${step + i}]`),
          )
      })
    }
  }
  // check/options.ts refuses it for other heads, and where it does not have a factor for each class.
  if (classWeight !== undefined && reader instanceof ClassTargets) {
    const factors = classWeight === 'balanced' ? balanced(reader, network.output.size) : classWeight
    for (let row = 0; row < reader.weights.length; row++) scale(reader, row, factors[reader.values[row]!]!)
  }
}

function scale({ weights, width }: TargetReader, row: number, factor: number) {
  for (let k = row * width; k < (row + 1) * width; k++) weights[k]! *= factor
}

function readWeight(value: unknown, at: Path): number {
  if (typeof value !== 'number' || !Number.isFinite(Math.fround(value))) throw badNumber(value, at())
  if (value < 0)
    throw new BpttError('ERR_OUT_OF_RANGE', 'is negative', { at: at(), expected: 'a weight of at least 0', received: show(value) })
  return value
}

/** n / (classes present · rows of the class), over the rows that count. */
function balanced({ values, weights }: ClassTargets, classes: number): Float64Array {
  const rows = allocate(Int32Array, classes, () => 'options.classWeight')
  let n = 0
  for (let row = 0; row < values.length; row++)
    if (weights[row]! > 0) {
      rows[values[row]!]!++
      n++
    }
  const present = rows.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0)
  return Float64Array.from(rows, (count) => (count > 0 ? n / (present * count) : 0))
}
