/* What the page does with the package: makes the network, measures how far the error reaches, trains. Nothing here knows of the page. */
import { type AnyRNN, RNN } from 'bptt'
import { answers, readings, STEPS } from '../line/factory.mjs'
import type { Shifts } from './data.js'

export interface Choices {
  readonly state: number
  readonly nonlinearity: 'tanh' | 'relu' | 'sigmoid' | 'identity'
  readonly init: 'orthogonal' | 'pytorch' | 'keras' | 'identity'
  readonly backend: 'auto' | 'wasm' | 'reference'
  readonly numerics: 'fast' | 'portable'
}

export type Network = AnyRNN

export const make = (choices: Choices): Network => new RNN({ input: readings, output: answers, ...choices }) as AnyRNN

export const EPOCHS = 14

/** As `npm start` trains, with the shifts that judge as validation. */
export const settings = (validation: Shifts) => ({
  epochs: EPOCHS,
  optimizer: { adam: { lr: 0.0015 } },
  schedule: { cosine: {} },
  validation: { x: validation.x, y: validation.y },
})

/** Mean ‖dL/ds‖ over these shifts, by steps before the end, for as many steps as all of them have. */
export async function reach(network: Network, { x, y, count }: Shifts): Promise<number[]> {
  const { stateGradientNorms } = await network.gradients({ x, y })
  const { data, shape } = stateGradientNorms[0]!
  const slots = shape[1]!
  const mean = (back: number) => {
    let sum = 0
    for (let n = 0; n < count; n++) sum += data[n * slots + x.lengths[n]! - back]!
    return sum // the loss is a mean over them already
  }
  return Array.from({ length: STEPS.from + 1 }, (_, back) => mean(back))
}

export interface Answer {
  readonly label: string
  /** Of each answer, in their order. */
  readonly probabilities: Float32Array
}

export async function ask(network: Network, shift: Float32Array[]): Promise<Answer> {
  const { label, probabilities } = (await network.predict(shift)) as unknown as Answer
  return { label, probabilities }
}
