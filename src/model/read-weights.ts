/* setWeights(): what users pass as U, W, b, V, c, checked and laid into a copy of the block. What is left out stays. */
import { fieldsOf } from '../check/values.js'
import { BpttError, show } from '../errors.js'
import { type Parameter, type ParameterName, type ParameterTable, parameterView } from '../network/parameters.js'
import { copyFinite, countOf, denseOf, flatOf, listOf, plural, shapeText } from '../sequences/numbers.js'

const LAYER_NAMES = ['U', 'W', 'b', 'bh'] as const
const HEAD_NAMES = ['V', 'c'] as const

/** @returns a new block. @throws ERR_SHAPE_MISMATCH, ERR_NONFINITE, ERR_UNKNOWN_OPTION, ERR_INVALID_ARG; `now` is never touched. */
export function readWeights(table: ParameterTable, now: Float32Array, given: unknown): Float32Array {
  const block = now.slice()
  const layers = table.list.filter(({ name }) => name === 'W').length
  const fields = weightFields(given, 'weights')
  const set = (name: ParameterName, layer: number, value: unknown, at: string) => {
    const parameter = table.get(name, layer)
    if (!parameter) throw new BpttError('ERR_SHAPE_MISMATCH', 'is not a weight of this network', { at, expected: `only ${namesOf(table)}` })
    if (value !== undefined) readValues(value, parameter, parameterView(block, parameter), at)
  }
  const expected = `layers, ${[...LAYER_NAMES, ...HEAD_NAMES].join(', ')}`
  if (fields.size === 0) throw new BpttError('ERR_INVALID_ARG', 'has no weights', { at: 'weights', expected })
  // First the layers: a U, W, b beside them is meant to replace theirs.
  if (fields.has('layers')) readLayers(fields.get('layers'), layers, set)
  for (const [key, value] of fields) {
    const at = `weights.${key}`
    if (isIn(HEAD_NAMES, key)) set(key, -1, value, at)
    else if (isIn(LAYER_NAMES, key)) {
      if (layers > 1) throw stacked(at, key)
      set(key, 0, value, at)
    } else if (key !== 'layers') throw new BpttError('ERR_UNKNOWN_OPTION', 'is not known here', { at, expected })
  }
  return block
}

type Set = (name: ParameterName, layer: number, value: unknown, at: string) => void

function readLayers(value: unknown, layers: number, set: Set): void {
  const list = listOf(value, () => 'weights.layers', 'cannot be used', 'an array with { U, W, b } for each layer')
  if (list.length !== layers)
    throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(list.length, 'layer')}; the network has ${plural(layers, 'layer')}`, {
      at: 'weights.layers',
    })
  for (let k = 0; k < layers; k++)
    for (const [key, weights] of weightFields(list[k], `weights.layers[${k}]`)) {
      const at = `weights.layers[${k}].${key}`
      if (!isIn(LAYER_NAMES, key)) throw new BpttError('ERR_UNKNOWN_OPTION', 'is not known here', { at, expected: LAYER_NAMES.join(', ') })
      set(key, k, weights, at)
    }
}

/** The error of U, W or b of a stacked network. */
export const stacked = (at: string, name: string) =>
  new BpttError('ERR_SHAPE_MISMATCH', `there is a ${name} for each layer of a stacked network`, { at, hint: `Use layers[k].${name}.` })

const isIn = <N extends string>(names: readonly N[], key: string): key is N => names.includes(key as N)
const namesOf = ({ list }: ParameterTable) => [...new Set(list.map(({ name }) => name))].join(', ')

function weightFields(value: unknown, at: string): Map<string, unknown> {
  const fields = fieldsOf(value)
  if (fields) return fields
  throw new BpttError('ERR_INVALID_ARG', 'cannot be used', { at, expected: 'an object with U, W, b, V or c', received: show(value) })
}

/** { data, shape }, flat numbers, or for a matrix an array of its rows. */
function readValues(value: unknown, { shape, size }: Parameter, out: Float32Array, at: string): void {
  const tensor = denseOf(value, () => at)
  const list = tensor?.data ?? flatOf(value, () => at)
  if (!list)
    throw new BpttError('ERR_INVALID_ARG', 'is not a weight', {
      at,
      expected: `numbers of shape ${shapeText(shape)}`,
      received: show(value),
    })
  if (tensor && shapeText(tensor.shape) !== shapeText(shape)) throw mismatch(at, shape, shapeText(tensor.shape))
  const [N, K] = shape as [number, number | undefined]
  const count = countOf(list, () => at)
  if (K !== undefined && !tensor && count === N && flatOf(list[0], () => `${at}[0]`)) {
    for (let n = 0; n < N; n++) {
      const row = flatOf(list[n], () => `${at}[${n}]`)
      const length = row && countOf(row, () => `${at}[${n}]`)
      if (!row || length !== K) throw mismatch(`${at}[${n}]`, [K], row ? String(length) : show(list[n]))
      copyFinite(out, n * K, row, K, () => `${at}[${n}]`)
    }
    return
  }
  if (count !== size) throw mismatch(at, shape, plural(count, flatOf(list[0], () => `${at}[0]`) ? 'row' : 'value'))
  copyFinite(out, 0, list, size, () => (tensor ? `${at}.data` : at))
}

const mismatch = (at: string, shape: readonly number[], received: string) =>
  new BpttError('ERR_SHAPE_MISMATCH', 'has another shape than the network', { at, expected: shapeText(shape), received })
