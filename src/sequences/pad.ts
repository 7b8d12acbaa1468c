/*
 * padSequences: lists of different lengths to one rectangle, exactly as keras.utils.pad_sequences does it. For people who have code that
 * expects padded arrays: this package itself never needs them. Exported to users; nothing else here uses it.
 */
import { LIMITS } from '../check/limits.js'
import { Options } from '../check/values.js'
import { BpttError, show } from '../errors.js'
import type { Sequence, Tensor } from '../types.js'
import { badNumber, copyNumbers, countOf, denseOf, type Flat, firstBad, flatOf, listOf, plural, shapeText } from './numbers.js'
import { allocate } from './room.js'

export interface PadOptions {
  /** Steps of the result. Default: the longest sequence. */
  maxlen?: number
  /** Where the padding goes. Default 'pre'. */
  padding?: 'pre' | 'post'
  /** Which end of a longer sequence is dropped. Default 'pre'. */
  truncating?: 'pre' | 'post'
  /** Default 0. */
  value?: number
}

interface Source {
  readonly data: Flat
  readonly steps: number
  /** Features of a step; undefined for plain numbers. */
  readonly features: number | undefined
  readonly nested: boolean
}

/**
 * [B, maxlen], or [B, maxlen, r] for sequences of vectors.
 *
 * @throws ERR_UNKNOWN_OPTION, ERR_INVALID_ARG, ERR_OUT_OF_RANGE for options; ERR_SHAPE_MISMATCH where steps differ in their features
 */
export function padSequences(xs: ArrayLike<Sequence>, options: PadOptions = {}): Tensor {
  const list = listOf(xs, () => 'xs', 'is not a list of sequences', 'an array of sequences')
  const B = countOf(list, () => 'xs')
  const sources = Array.from({ length: B }, (_, b) => sourceOf(list[b], `xs[${b}]`))
  const { maxlen = sources.reduce((most, { steps }) => Math.max(most, steps), 0), padding, truncating, value } = readOptions(options)
  // Empty lists do not say how many features they would have.
  const features = sources.find(({ steps }) => steps > 0)?.features
  const R = features ?? 1
  const data = allocate(Float32Array, B * maxlen * R, () => 'xs').fill(value)
  for (const [b, source] of sources.entries()) {
    if (source.steps === 0) continue
    if (source.features !== features)
      throw new BpttError('ERR_SHAPE_MISMATCH', `has steps of ${stepText(source.features)}; those before have ${stepText(features)}`, {
        at: `xs[${b}]`,
      })
    const n = Math.min(source.steps, maxlen)
    const from = truncating === 'pre' ? source.steps - n : 0
    const to = (b * maxlen + (padding === 'pre' ? maxlen - n : 0)) * R
    copySteps(source, R, from, data, to, n, `xs[${b}]`)
  }
  return { data, shape: features === undefined ? [B, maxlen] : [B, maxlen, R] }
}

const stepText = (features: number | undefined) => (features === undefined ? 'one number' : plural(features, 'feature'))

function sourceOf(x: unknown, at: string): Source {
  const data = flatOf(x, () => at)
  if (data) {
    const steps = countOf(data, () => at)
    const first = flatOf(data[0], () => `${at}[0]`)
    return { data, steps, features: first && countOf(first, () => `${at}[0]`), nested: first !== undefined }
  }
  const tensor = denseOf(x, () => at)
  if (!tensor)
    throw new BpttError('ERR_INVALID_ARG', 'is not a sequence', { at, expected: 'an array, or { data, shape }', received: show(x) })
  const { shape } = tensor
  if (shape.length !== 1 && shape.length !== 2)
    throw new BpttError('ERR_SHAPE_MISMATCH', 'is not the shape of one sequence', {
      at: `${at}.shape`,
      expected: '[T] or [T, r]',
      received: shapeText(shape),
    })
  return { data: tensor.data, steps: shape[0]!, features: shape[1], nested: false }
}

function copySteps({ data, nested }: Source, R: number, from: number, target: Float32Array, to: number, n: number, at: string) {
  if (!nested) copyNumbers(target, to, data, from * R, n * R, () => at)
  else
    for (let i = 0; i < n; i++) {
      const path = () => `${at}[${from + i}]`
      const step = flatOf(data[from + i], path)
      const count = step && countOf(step, path)
      if (!step || count !== R)
        throw new BpttError('ERR_SHAPE_MISMATCH', `is not a step of ${R} features`, {
          at: path(),
          received: step ? plural(count!, 'feature') : show(data[from + i]),
        })
      copyNumbers(target, to + i * R, step, 0, R, path)
    }
  const end = to + n * R
  for (let bad = firstBad(target, to, end, 0); bad >= 0; bad = firstBad(target, bad + 1, end, 0)) {
    const step = from + Math.floor((bad - to) / R)
    const feature = (bad - to) % R
    const value = nested ? (data[step] as Flat)[feature] : data[step * R + feature]
    // NaN is a reading that is missing: a network with missing: 'mask' can use it.
    if (!Number.isNaN(value)) throw badNumber(value, `${at}[${step}]${R > 1 || nested ? `[${feature}]` : ''}`)
  }
}

const SIDES = ['pre', 'post'] as const

function readOptions(options: unknown) {
  const o = new Options(options, 'options', 'padSequences')
  return {
    maxlen: o.integer('maxlen', undefined, 0, LIMITS.COUNT),
    padding: o.choice('padding', 'pre', SIDES),
    truncating: o.choice('truncating', 'pre', SIDES),
    value: o.read('value', 0, number),
  }
}

/** NaN and infinities too. */
function number(value: unknown, at: string): number {
  if (typeof value !== 'number') throw badNumber(value, at)
  return value
}
