/* The public form of a network, for `model.config`: frozen, so that nobody can take it for a way to change the model. */
import type { Network } from '../network/network.js'
import { vocabularyOf } from '../sequences/text.js'
import type { Config } from '../types.js'
import type { Runtime } from './core.js'

export function configOf(network: Network, { backend, threads, numerics }: Runtime): Config {
  const { input, state, output, ...rest } = network
  const outputs = output.characters
    ? vocabularyOf(output.labels!)
    : (Object.freeze({ [output.head]: output.labels ?? output.size }) as unknown as Config['output'])
  return Object.freeze({
    input: input.characters ? vocabularyOf(input.characters) : input.tokens ? Object.freeze({ tokens: input.size }) : input.size,
    state: Object.freeze([...state]),
    output: outputs,
    ...rest,
    backend,
    numerics,
    ...(threads !== undefined && { threads }),
  })
}
