/*
 * What one target may be, by head: a class (softmax), or t numbers (sigmoid, linear). Each reader fills values and weights row by row;
 * weight 1 means counted, 0 not. Which row a target belongs to is targets.ts.
 */
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import type { Targets } from './data.js'
import { badNumber, copyNumbers, countOf, firstBad, flatOf, isFloat, type Path, plural, type View } from './numbers.js'
import { allocate } from './room.js'

type Output = Network['output']
/** Place of target i of a run, and of its number j where it has several. */
type PlaceOf = (i: number, j: number) => string

export interface TargetReader extends Targets {
  /** Numbers (and weights) of a row. */
  readonly width: number
  /** One target as an element of an array: null does not count. */
  one(target: unknown, row: number, at: Path): void
  /** n targets, end to end in a typed array from `start` on. `dense`: from a tensor, so that a target may have several numbers. */
  many(data: View, start: number, row: number, n: number, at: PlaceOf, dense?: boolean): void
}

const isIndex = (target: number, size: number) => target >>> 0 === target && target < size

/** What a class number of -100 means to PyTorch, in arrays that cannot hold null. */
const IGNORED = -100

export class ClassTargets implements TargetReader {
  readonly width = 1
  readonly values: Int32Array
  readonly weights: Float32Array
  constructor(
    private readonly output: Output,
    rows: number,
    at: string,
  ) {
    this.values = allocate(Int32Array, rows, () => at)
    this.weights = allocate(Float32Array, rows, () => at)
  }

  one(target: unknown, row: number, at: Path) {
    if (target === null) return
    if (typeof target !== 'number') this.values[row] = this.labelNumber(target, at)
    else if (isIndex(target, this.output.size)) this.values[row] = target
    else throw this.wrongNumber(target, at())
    this.weights[row] = 1
  }

  many(data: View, start: number, row: number, n: number, at: PlaceOf) {
    const { values, weights, output } = this
    const integers = !isFloat(data)
    for (let i = 0; i < n; i++) {
      const target = data[start + i]!
      if (target === IGNORED && integers) continue
      if (!isIndex(target, output.size)) throw this.wrongNumber(target, at(i, 0))
      values[row + i] = target
      weights[row + i] = 1
    }
  }

  private wrongNumber(target: number, at: string): BpttError {
    const { size } = this.output
    const fraction = Number.isFinite(target) && !Number.isInteger(target)
    return new BpttError(
      fraction ? 'ERR_INVALID_ARG' : 'ERR_OUT_OF_RANGE',
      fraction ? 'is not a class number' : 'is not a class of this network',
      {
        at,
        expected: `an integer from 0 to ${size - 1}`,
        received: show(target),
        hint:
          target === IGNORED
            ? 'For a target that does not count use null, or -100 in an integer array.'
            : fraction
              ? 'To predict numbers create the network with output: { linear: 1 }.'
              : target === size
                ? 'Classes are counted from 0.'
                : undefined,
      },
    )
  }

  private labelNumber(target: unknown, at: Path): number {
    const { labels, size, characters } = this.output
    const numbers = `an integer from 0 to ${size - 1}`
    if (typeof target !== 'string') {
      const list = flatOf(target, at)
      throw new BpttError('ERR_INVALID_ARG', labels ? 'is neither a label nor a class number' : 'is not a class number', {
        at: at(),
        expected: labels ? `${listed(labels)}, or ${numbers}` : numbers,
        received: show(target),
        hint: list
          ? "Pass the class itself, not a one-hot row; for a target at each step create the network with readout: 'all'."
          : typeof target === 'boolean'
            ? 'For yes or no create the network with output: { sigmoid: 1 }.'
            : target === undefined
              ? 'For a target that does not count use null.'
              : undefined,
      })
    }
    if (!labels)
      throw new BpttError('ERR_INVALID_ARG', 'is a string, and this network has no labels', {
        at: at(),
        expected: numbers,
        received: show(target),
        hint: 'Create it with a list of them: output: [...new Set(y)].sort().',
      })
    const index = numbersOf(labels).get(target)
    if (index !== undefined) return index
    throw unknownLabel(labels, target, at(), characters ? "Several characters are a target each with readout: 'all'." : undefined)
  }
}

/** t numbers a row: any for linear, 0 to 1 for sigmoid. */
export class NumberTargets implements TargetReader {
  readonly width: number
  readonly values: Float32Array
  readonly weights: Float32Array
  constructor(
    private readonly output: Output,
    rows: number,
    at: string,
  ) {
    this.width = output.size
    this.values = allocate(Float32Array, rows * this.width, () => at)
    this.weights = allocate(Float32Array, rows * this.width, () => at)
  }

  one(target: unknown, row: number, at: Path) {
    if (target === null) return
    const { width, values, output } = this
    const place = row * width
    this.weights.fill(1, place, place + width)
    if (width === 1 && isScalar(target, output)) {
      values[place] = this.number(target, at)
      return
    }
    const list = flatOf(target, at)
    if (!list) throw this.wrongKind(target, at())
    const count = countOf(list, at)
    if (output.head === 'sigmoid' && output.labels && (count === 0 || typeof list[0] === 'string')) {
      for (let i = 0; i < count; i++) values[place + labelIndex(output.labels, list[i], `${at()}[${i}]`)] = 1
      return
    }
    if (count !== width)
      throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(count, 'number')}; the network has ${plural(width, 'output')}`, { at: at() })
    for (let j = 0; j < width; j++) values[place + j] = this.number(list[j], () => `${at()}[${j}]`)
  }

  many(data: View, start: number, row: number, n: number, at: PlaceOf, dense = false) {
    const { width, values, weights, output } = this
    if (n === 0) return
    if (width > 1 && !dense) throw this.wrongKind(data[start], at(0, 0))
    const from = row * width
    const to = from + n * width
    copyNumbers(values, from, data, start, n * width, () => at(0, 0))
    weights.fill(1, from, to)
    const bad = output.head === 'sigmoid' ? firstOutside(values, from, to) : firstBad(values, from, to, 0)
    if (bad < 0) return
    const path = () => at(Math.floor((bad - from) / width), (bad - from) % width)
    this.number(data[start + bad - from], path)
    // The typed array is shared and was changed meanwhile: what counts is the copy.
    this.number(values[bad], path)
  }

  private number(value: unknown, at: Path): number {
    if (typeof value === 'boolean' && this.output.head === 'sigmoid') return Number(value)
    if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)))
      throw badNumber(
        value,
        at(),
        this.width === 1
          ? 'For a target that does not count use null.'
          : 'For a target that does not count use null in place of the whole row.',
      )
    if (this.output.head === 'sigmoid' && (value < 0 || value > 1))
      throw new BpttError('ERR_OUT_OF_RANGE', 'is not a probability', {
        at: at(),
        expected: 'a number from 0 to 1',
        received: show(value),
        hint: 'To predict numbers create the network with output: { linear: … }.',
      })
    return value
  }

  private wrongKind(target: unknown, at: string): BpttError {
    const { width, output } = this
    const boolean = output.head === 'sigmoid'
    const scalar = boolean ? 'true, false, or a number from 0 to 1' : 'a number'
    const vector = boolean && output.labels ? `an array of ${width} numbers, or of labels` : `an array of ${width} numbers`
    return new BpttError('ERR_INVALID_ARG', 'is not a target of this network', {
      at,
      expected: width === 1 ? scalar : vector,
      received: show(target),
      hint:
        target === undefined
          ? 'For a target that does not count use null.'
          : typeof target === 'string' && output.labels && boolean
            ? 'Several labels may be right at once: pass them as an array.'
            : width > 1 && typeof target === 'number'
              ? 'Numbers laid end to end need a shape: pass all targets as { data, shape }.'
              : undefined,
    })
  }
}

/** First of list[from … to) that is not in 0 … 1; -1 where all are. */
function firstOutside(list: Float32Array, from: number, to: number): number {
  for (let k = from; k < to; k++) if (!(list[k]! >= 0 && list[k]! <= 1)) return k
  return -1
}

const isScalar = (target: unknown, { head }: Output) => typeof target === 'number' || (head === 'sigmoid' && typeof target === 'boolean')

const known = new WeakMap<readonly string[], Map<string, number>>()

/** Number of each label. */
function numbersOf(labels: readonly string[]): Map<string, number> {
  let numbers = known.get(labels)
  if (!numbers) known.set(labels, (numbers = new Map(labels.map((label, index) => [label, index]))))
  return numbers
}

function labelIndex(labels: readonly string[], label: unknown, at: string): number {
  const index = typeof label === 'string' ? numbersOf(labels).get(label) : undefined
  if (index === undefined) throw unknownLabel(labels, label, at)
  return index
}

function unknownLabel(labels: readonly string[], label: unknown, at: string, otherwise?: string): BpttError {
  const plain = (text: string) => text.trim().toLowerCase()
  const near = typeof label === 'string' ? labels.find((known) => plain(known) === plain(label)) : undefined
  const hint = near === undefined ? otherwise : `Did you mean ${show(near)}?`
  return new BpttError('ERR_LABEL', 'is not a label of this network', { at, expected: listed(labels), received: show(label), hint })
}

/** "a", "b" or "c"; the first few of many. */
function listed(labels: readonly string[]): string {
  const few = labels.slice(0, labels.length > 6 ? 5 : 6).map((label) => show(label))
  if (labels.length > 6) return `one of ${few.join(', ')} … (${labels.length} labels)`
  return few.length === 1 ? few[0]! : `${few.slice(0, -1).join(', ')} or ${few.at(-1)}`
}
