/*
 * Numbers that other libraries computed (PyTorch, Keras, ONNX Runtime): the files of ../shared/vectors where they are, else the subset in
 * test/fixtures/vectors, which pick.mjs chose from them. Their layout and the rule "how near is near enough" are in their README.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'

export interface Numbers {
  readonly shape: readonly number[]
  readonly data: readonly number[]
  readonly dtype?: string
}
/** The files are read as they are: their layout is what the tests prove. */
export type Case = {
  name: string
  config: any
  inputs: any
  expected: any
  float32: { rtol: number; atol?: number; norms_between?: [number, number] }
}

const root = join(import.meta.dirname, '..', '..')
const shared = join(root, '..', 'shared', 'vectors')
const fixtures = join(root, 'test', 'fixtures', 'vectors')

/** The cases of a file. Where only a subset of it is committed, or nothing, a skipped test says so. */
export function casesOf(file: string): Case[] {
  const read = (path: string) => (JSON.parse(readFileSync(path, 'utf8')) as { cases: Case[] }).cases
  const whole = join(shared, `${file}.json`)
  if (existsSync(whole)) return read(whole)
  const subset = join(fixtures, `${file}.json`)
  const cases = existsSync(subset) ? read(subset) : []
  it.skip(`${cases.length ? `only ${cases.length} cases of ${file}` : `nothing of ${file}`}: ../shared/vectors is not here`, () => {})
  return cases
}

/** The generator that large inputs come from. */
export function mulberry32(seed: number): () => number {
  let a = seed >>> 0
  return () => {
    a = (a + 0x6d2b79f5) >>> 0
    let t = Math.imul(a ^ (a >>> 15), a | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
}

interface Generate {
  readonly shape: readonly number[]
  readonly seed: number
  readonly exp?: number
  readonly mod?: number
}

/** A tensor as it stands in a file, or generated. */
export function numbersOf(entry: Numbers | { generate: Generate }): Numbers {
  if (!('generate' in entry)) return entry
  const { shape, seed, exp, mod } = entry.generate
  const next = mulberry32(seed)
  const size = shape.reduce((a, b) => a * b, 1)
  const data = Array.from({ length: size }, () => (mod === undefined ? ((next() >>> 16) - 32768) * 2 ** exp! : next() % mod))
  return mod === undefined ? { shape, data } : { shape, data, dtype: 'int32' }
}

/** Nested lists of a tensor's shape. */
export function nested({ shape, data }: Numbers): any {
  const at = (axis: number, offset: number): unknown => {
    if (axis === shape.length) return data[offset]
    const size = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
    return Array.from({ length: shape[axis]! }, (_, i) => at(axis + 1, offset + i * size))
  }
  return at(0, 0)
}

export const transposed = ({ shape: [rows, columns], data }: Numbers): Numbers => ({
  shape: [columns!, rows!],
  data: Array.from({ length: data.length }, (_, i) => data[(i % rows!) * columns! + Math.floor(i / rows!)]!),
})

/** Part of the second axis of [B, T, …]. */
export function stepsOf(tensor: Numbers, from: number, to: number): Numbers {
  const [B, T, ...rest] = tensor.shape as [number, number, ...number[]]
  const size = rest.reduce((a, b) => a * b, 1)
  const data: number[] = []
  for (let b = 0; b < B; b++) data.push(...tensor.data.slice((b * T + from) * size, (b * T + Math.min(to, T)) * size))
  return { ...tensor, shape: [B, Math.min(to, T) - from, ...rest], data }
}

type Got = number | { readonly shape?: readonly number[]; readonly data: ArrayLike<number> }

/** max|got - want| / max(max|want|, 1e-6): NaN is as wrong as can be. */
export function errorOf(got: ArrayLike<number>, want: ArrayLike<number>): number {
  if (got.length !== want.length) return Number.POSITIVE_INFINITY
  let scale = 1e-6
  let worst = 0
  for (let i = 0; i < want.length; i++) {
    scale = Math.max(scale, Math.abs(want[i]!))
    const difference = Math.abs(got[i]! - want[i]!)
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
  }
  return worst / scale
}

/** Shape and numbers. */
export function expectNear(what: string, got: Got, want: Numbers | number, rtol: number): void {
  const wanted = typeof want === 'number' ? [want] : want.data
  if (typeof want !== 'number' && typeof got !== 'number' && got.shape) expect(got.shape, `shape of ${what}`).toEqual(want.shape)
  const error = errorOf(typeof got === 'number' ? [got] : got.data, wanted)
  expect(error, `${what}: |got - want| / |want|`).toBeLessThanOrEqual(rtol)
}

interface Digest {
  readonly shape: readonly number[]
  readonly l2: number
  readonly max_abs: number
  readonly probe: { seed: number; exp: number }
  readonly probe_dot: number
  readonly samples: readonly [number, number][]
}

const l2 = (data: ArrayLike<number>) => Math.sqrt(Array.from(data).reduce((sum, v) => sum + v * v, 0))

/** A large tensor against its norm, largest element, some samples, and its product with a generated one. */
export function expectDigest(what: string, got: { shape: readonly number[]; data: ArrayLike<number> }, want: Digest, rtol: number): void {
  expect(got.shape, `shape of ${what}`).toEqual(want.shape)
  const { data } = got
  const probe = numbersOf({ generate: { shape: want.shape, ...want.probe } }).data
  let dot = 0
  let largest = 0
  for (let i = 0; i < data.length; i++) {
    dot += data[i]! * probe[i]!
    largest = Math.max(largest, Math.abs(data[i]!))
  }
  const norm = Math.max(want.l2, 1e-6)
  const scale = Math.max(want.max_abs, 1e-6)
  const errors = {
    l2: Math.abs(l2(data) - want.l2) / norm,
    largest: Math.abs(largest - want.max_abs) / scale,
    probe: Math.abs(dot - want.probe_dot) / (norm * l2(probe)),
    samples: Math.max(...want.samples.map(([i, v]) => Math.abs(data[i]! - v))) / scale,
  }
  for (const [name, error] of Object.entries(errors)) expect(error, `${what}: ${name}`).toBeLessThanOrEqual(rtol)
}
