/* From outputs to answers: labels, probabilities, values. */
import type { Core } from '../model/core.js'
import type { Network } from '../network/network.js'
import type { Sequences } from '../sequences/data.js'
import { assistant } from '../sequences/numbers.js'
import { answersOf } from './forward.js'

type Output = Network['output']
export type AnyStep =
  | { kind: 'linear'; value: number; values: Float32Array }
  | { kind: 'sigmoid'; labels: (string | number)[]; probabilities: Float32Array }
  | { kind: 'softmax'; label: string | number; index: number; probability: number; probabilities: Float32Array }

/** One answer a sequence, or with readout 'all' a list of one a step. */
export async function predictions(core: Core, sequences: Sequences): Promise<(AnyStep | AnyStep[])[]> {
  if (sequences.count === 0) return []
  const { output, readout } = core.network
  const { size } = output
  // The steps of a sequence share its memory: an array of its own for each of thousands would take longer than to compute them.
  return answersOf(core, sequences, (values) => {
    if (readout === 'last') return answer(output, values, values, 0)
    const steps: AnyStep[] = []
    const places = output.head === 'softmax' ? assistant.largest?.(values, size) : undefined
    const { buffer } = values // asked for at every step it would take as long as the answer
    // subarray() would ask first what kind of array to make, which takes several times as long.
    for (let i = 0, at = 0; at < values.length; i++, at += size)
      steps.push(answer(output, new Float32Array(buffer, 4 * at, size), values, at, places?.[i]))
    return steps
  })
}

/** `own`: list[at … at + t), with the place of its largest number, where that is known. */
function answer({ head, size, labels }: Output, own: Float32Array, list: Float32Array, at: number, place?: number): AnyStep {
  const label = (j: number) => labels?.[j] ?? j
  switch (head) {
    case 'linear':
      return { kind: 'linear', value: list[at]!, values: own }
    case 'sigmoid':
      return {
        kind: 'sigmoid',
        labels: Array.from(own.keys())
          .filter((j) => own[j]! >= 0.5)
          .map(label),
        probabilities: own,
      }
    case 'softmax': {
      const index = place ?? largest(list, at, size)
      return { kind: 'softmax', label: label(index), index, probability: list[at + index]!, probabilities: own }
    }
  }
}

/** The first place of the largest of `size` numbers, or 0 where all are NaN. */
function largest(list: Float32Array, at: number, size: number): number {
  let index = 0
  let most = Number.NEGATIVE_INFINITY
  for (let j = 0; j < size; j++) {
    const p = list[at + j]!
    if (p > most) {
      most = p
      index = j
    }
  }
  return index
}
