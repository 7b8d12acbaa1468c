/*
 * What users pass as states and as gradients that come from above, dense and checked: initialState of forward(), trainer().step() and
 * gradients(); logits and states of backward().
 */
import { fieldsOf } from '../check/values.js'
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import type { Num, State } from '../types.js'
import type { Upstream } from './data.js'
import { copyFinite, countOf, type Dense, denseOf, flatOf, listOf, plural, shapeText, sizeOf } from './numbers.js'
import { allocate } from './room.js'

type Given = State | ArrayLike<Num> | undefined

/** Where sequences start; undefined stays undefined (zero). */
export const readInitialState = (network: Network, value: Given, B: number) =>
  value === undefined ? undefined : readState(network, value, B, 'options.initialState')

/**
 * States, [B, s_k] for each layer.
 *
 * @throws ERR_SHAPE_MISMATCH where layers, sequences or units are not those of the network and the data
 */
export function readState(network: Network, value: Given, B: number, at: string): Float32Array[] {
  const rows = flatOf(value, () => at)
  if (rows) {
    if (network.state.length > 1)
      throw new BpttError('ERR_SHAPE_MISMATCH', `is an array; a network of ${network.state.length} layers has a state for each`, {
        at,
        hint: 'Pass { layers: [{ s: { data, shape } }, …] }, as finalState has it.',
      })
    return [nestedRows(rows, B, network.state[0]!, at)]
  }
  const layers = (value as { layers?: unknown } | null | undefined)?.layers
  const list = flatOf(layers, () => `${at}.layers`)
  if (!list)
    throw new BpttError('ERR_INVALID_ARG', 'is not a state', {
      at,
      expected: '{ layers: [{ s }, …] }, or an array [B][s]',
      received: show(value),
    })
  checkLayers(
    countOf(list, () => `${at}.layers`),
    network,
    `${at}.layers`,
  )
  return network.state.map((S, k) => {
    const s: unknown = (list[k] as { s?: unknown } | null | undefined)?.s
    return denseNumbers(s, [B, S], `${at}.layers[${k}].s`)
  })
}

/** [B][s] */
function nestedRows(rows: ArrayLike<unknown>, B: number, S: number, at: string): Float32Array {
  const list = rows as readonly unknown[]
  const count = countOf(list, () => at)
  if (count !== B)
    throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(count, 'row')}; there ${B === 1 ? 'is' : 'are'} ${plural(B, 'sequence')}`, {
      at,
    })
  const target = allocate(Float32Array, B * S, () => at)
  for (let b = 0; b < B; b++) {
    const path = () => `${at}[${b}]`
    const row = listOf(list[b], path, 'is not the state of a sequence', `an array of ${S} numbers`)
    const units = countOf(row, path)
    if (units !== S) throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(units, 'number')}; the state has ${S}`, { at: path() })
    copyFinite(target, b * S, row, S, path)
  }
  return target
}

/**
 * Gradients of the user's own loss, for B sequences of at most T steps.
 *
 * @throws ERR_EMPTY where there is neither, ERR_SHAPE_MISMATCH, ERR_NONFINITE
 */
export function readUpstream(network: Network, value: unknown, B: number, T: number, at = 'upstream'): Upstream {
  const { logits, states, ...others } = Object.fromEntries(fieldsOf(value) ?? [])
  for (const key of Object.keys(others))
    throw new BpttError('ERR_UNKNOWN_OPTION', 'is not known here', { at: `${at}.${key}`, expected: 'logits or states' })
  if (logits === undefined && states === undefined)
    throw new BpttError('ERR_EMPTY', 'has no gradients', { at, expected: '{ logits }, { states } or both', received: show(value) })
  const { output, readout, state } = network
  return {
    logits:
      logits === undefined ? undefined : denseNumbers(logits, readout === 'last' ? [B, output.size] : [B, T, output.size], `${at}.logits`),
    states: states === undefined ? undefined : upstreamStates(states, state, network, B, T, `${at}.states`),
  }
}

function upstreamStates(states: unknown, sizes: readonly number[], network: Network, B: number, T: number, at: string): Float32Array[] {
  const list = listOf(states, () => at, 'is not a list of tensors', 'an array with { data, shape } for each layer')
  checkLayers(
    countOf(list, () => at),
    network,
    at,
  )
  return sizes.map((S, k) => denseNumbers(list[k], [B, T, S], `${at}[${k}]`))
}

function checkLayers(count: number, { state }: Network, at: string) {
  if (count !== state.length)
    throw new BpttError('ERR_SHAPE_MISMATCH', `has ${plural(count, 'layer')}; the network has ${plural(state.length, 'layer')}`, { at })
}

/** The numbers of a { data, shape } of exactly this shape, all finite. */
function denseNumbers(value: unknown, shape: readonly number[], at: string): Float32Array {
  const tensor = denseOf(value, () => at)
  if (!tensor)
    throw new BpttError('ERR_INVALID_ARG', 'is not a tensor', {
      at,
      expected: `{ data, shape: ${shapeText(shape)} }`,
      received: show(value),
    })
  if (!sameShape(tensor, shape))
    throw new BpttError('ERR_SHAPE_MISMATCH', 'has another shape than the network and the data', {
      at: `${at}.shape`,
      expected: shapeText(shape),
      received: shapeText(tensor.shape),
    })
  const size = sizeOf(shape)
  const target = allocate(Float32Array, size, () => at)
  copyFinite(target, 0, tensor.data, size, () => `${at}.data`)
  return target
}

const sameShape = (tensor: Dense, shape: readonly number[]) =>
  tensor.shape.length === shape.length && shape.every((size, i) => tensor.shape[i] === size)
