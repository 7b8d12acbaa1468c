/*
 * The one table of a network's parameters: names, shapes and places, for the plan, for files and for the weights that users see.
 * All matrices come first, then all vectors, each at a 64-byte boundary; gradients and moments are blocks of the same layout, so that
 * weight decay, clipping, optimisers and saving are flat loops.
 */
import { UNIT_FLOATS, unitsOf } from '../plan/memory.js'
import { layerInput, type Network } from './network.js'

export type ParameterName = 'U' | 'W' | 'b' | 'bh' | 'V' | 'c'

export interface Parameter {
  readonly name: ParameterName
  /** Layer, lowest first; -1 for the head (V and c). */
  readonly layer: number
  /** [N, K] of a matrix (row-major), [N] of a vector. */
  readonly shape: readonly number[]
  readonly size: number
  /** Place in the block, in units of 64 bytes. */
  readonly unit: number
}

export interface ParameterTable {
  readonly list: readonly Parameter[]
  /** Units of the whole block, and of its matrices alone. */
  readonly units: number
  readonly matrixUnits: number
  /** Number of weights. */
  readonly count: number
  get(name: ParameterName, layer?: number): Parameter | undefined
}

export function parameterTable(network: Network): ParameterTable {
  const { state, output, bias, outputBias } = network
  const top = state.at(-1)!
  const list: Parameter[] = []
  let units = 0
  const add = (name: ParameterName, layer: number, ...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1)
    list.push({ name, layer, shape, size, unit: units })
    units += unitsOf(size)
  }
  state.forEach((S, k) => {
    add('U', k, S, layerInput(network, k))
    add('W', k, S, S)
  })
  add('V', -1, output.size, top)
  const matrixUnits = units
  state.forEach((S, k) => {
    if (bias) add('b', k, S)
    if (bias === 'double') add('bh', k, S)
  })
  if (outputBias) add('c', -1, output.size)
  return {
    list,
    units,
    matrixUnits,
    count: list.reduce((sum, { size }) => sum + size, 0),
    get: (name, layer = -1) => list.find((p) => p.name === name && p.layer === layer),
  }
}

/** The elements of one parameter inside a block (a view). */
export const parameterView = (block: Float32Array, { unit, size }: Parameter) =>
  block.subarray(unit * UNIT_FLOATS, unit * UNIT_FLOATS + size)
