/* Small tasks with random data of no particular meaning, the same in every run, and what tests ask of a model's weights. */
import { createHash } from 'node:crypto'
import type { Tensor } from 'bptt'
import { mulberry32 } from './vectors.js'

/** Numbers in [-1, 1). */
export function randoms(seed: number): () => number {
  const next = mulberry32(seed)
  return () => (next() >>> 8) / 2 ** 23 - 1
}

/** Sequences of these lengths, each step of r numbers. */
export function sequencesOf(lengths: readonly number[], r: number, seed = 1): number[][][] {
  const random = randoms(seed)
  return lengths.map((length) => Array.from({ length }, () => Array.from({ length: r }, random)))
}

export function tokensOf(lengths: readonly number[], size: number, seed = 1): number[][] {
  const next = mulberry32(seed)
  return lengths.map((length) => Array.from({ length }, () => next() % size))
}

/** A class for each sequence that its content decides: something can be learned. */
export const signs = (x: number[][][]) => x.map((steps) => (steps.reduce((sum, step) => sum + step[0]!, 0) > 0 ? 1 : 0))

/** `count` lengths from 1 to `most`, all different kinds. */
export const lengthsOf = (count: number, most: number) => Array.from({ length: count }, (_, b) => 1 + ((b * 7 + 3) % most))

interface Weighted {
  readonly layers: readonly { readonly [name: string]: Tensor | undefined }[]
  readonly V: Tensor
  readonly c?: Tensor | undefined
}

/** Every weight, end to end. */
export function weightsOf(model: unknown): Float32Array {
  const { layers, V, c } = model as Weighted
  const tensors = [...layers.flatMap((layer) => ['U', 'W', 'b', 'bh'].map((name) => layer[name])), V, c]
  return Float32Array.from(tensors.flatMap((tensor) => (tensor ? Array.from(tensor.data) : [])))
}

export const hashOf = (model: unknown) => createHash('sha256').update(weightsOf(model)).digest('hex').slice(0, 16)
