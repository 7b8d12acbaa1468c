/* Between the block in which weights are kept (network/parameters.ts) and the form in which users see them: U, W, b, V, c by layer. */
import { type Parameter, type ParameterName, type ParameterTable, parameterView } from '../network/parameters.js'
import type { Layer, Tensor } from '../types.js'

/** `layers` always, and U, W, b of a one-layer network beside V and c. */
export interface WeightTensors extends Partial<Layer<Tensor>> {
  layers: Layer<Tensor>[]
  V: Tensor
  c?: Tensor
}

export const tensorOf = (block: Float32Array, parameter: Parameter): Tensor => ({
  shape: [...parameter.shape],
  data: parameterView(block, parameter).slice(),
})

/** Copies of all parameters of a block. */
export function weightTensors(table: ParameterTable, block: Float32Array): WeightTensors {
  const get = (name: ParameterName, layer?: number) => {
    const parameter = table.get(name, layer)
    return parameter && tensorOf(block, parameter)
  }
  const layers: Layer<Tensor>[] = []
  for (let k = 0; table.get('W', k); k++) {
    const [b, bh] = [get('b', k), get('bh', k)]
    layers.push({ U: get('U', k)!, W: get('W', k)!, ...(b && { b }), ...(bh && { bh }) })
  }
  const c = get('c')
  return { layers, ...(layers.length === 1 && layers[0]), V: get('V')!, ...(c && { c }) }
}
