/* From outputs to answers: labels, probabilities, values. */
import type { Core } from '../model/core.js'
import type { Sequences } from '../sequences/data.js'
import { outputsOf } from './forward.js'

export type AnyStep =
  | { kind: 'linear'; value: number; values: Float32Array }
  | { kind: 'sigmoid'; labels: (string | number)[]; probabilities: Float32Array }
  | { kind: 'softmax'; label: string | number; index: number; probability: number; probabilities: Float32Array }

/** One answer a sequence, or with readout 'all' a list of one a step. */
export async function predictions(core: Core, sequences: Sequences): Promise<(AnyStep | AnyStep[])[]> {
  if (sequences.count === 0) return []
  const { output, readout } = core.network
  const outputs = await outputsOf(core, sequences)
  const O = output.size
  // The steps of a sequence share its memory: an array of its own for each of thousands would take longer than to compute them.
  return outputs.map((values) => {
    if (readout === 'last') return answer(core, values)
    const steps: AnyStep[] = []
    for (let at = 0; at < values.length; at += O) steps.push(answer(core, values.subarray(at, at + O)))
    return steps
  })
}

function answer({ network: { output } }: Core, values: Float32Array): AnyStep {
  const label = (j: number) => output.labels?.[j] ?? j
  switch (output.head) {
    case 'linear':
      return { kind: 'linear', value: values[0]!, values }
    case 'sigmoid':
      return {
        kind: 'sigmoid',
        labels: Array.from(values.keys())
          .filter((j) => values[j]! >= 0.5)
          .map(label),
        probabilities: values,
      }
    case 'softmax': {
      let index = 0
      let most = values[0]!
      for (let j = 1; j < output.size; j++) {
        const p = values[j]!
        if (p > most) {
          most = p
          index = j
        }
      }
      return { kind: 'softmax', label: label(index), index, probability: most, probabilities: values }
    }
  }
}
