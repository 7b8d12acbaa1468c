/* Where in a batch a number stopped being one: the batch is run once more, by the weights before its update. Loaded when that happens. */
import { pick } from '../inference/chunks.js'
import { forward } from '../inference/forward.js'
import { gradients } from '../inference/gradients.js'
import type { Core } from '../model/core.js'
import type { Examples } from './dataset.js'

type Place = { sequence: number; step: number; layer?: number }

/** @returns the first place that is not finite: of a loss on the way forward, of a gradient on the way back */
export async function search(
  core: Core,
  { sequences, targets }: Examples,
  ids: Int32Array,
  what: 'loss' | 'gradient',
): Promise<Place | undefined> {
  const part = pick(core, sequences, targets, ids)
  const { states, logits } = await forward(core, part.sequences, undefined)
  for (const [layer, { data, shape }] of states.entries()) {
    const at = data.findIndex((x) => !Number.isFinite(x))
    if (at >= 0) return place(ids, at, shape[1]!, shape[2]!, layer)
  }
  if (what === 'loss') {
    const at = logits.data.findIndex((x) => !Number.isFinite(x))
    if (at < 0) return undefined
    if (logits.shape.length === 3) return place(ids, at, logits.shape[1]!, logits.shape[2]!)
    const b = Math.floor(at / logits.shape[1]!)
    return { sequence: ids[b]!, step: part.sequences.lengths[b]! - 1 }
  }
  const options = { initial: undefined, reduction: 'mean', bptt: undefined } as const
  const { stateGradientNorms } = await core.inTurn(() => gradients(core, part.sequences, part.targets!, options))
  for (const [layer, { data, shape }] of [...stateGradientNorms.entries()].reverse()) {
    // The gradient runs backwards: the last step that is not finite is where it began.
    const at = data.findLastIndex((x) => !Number.isFinite(x))
    if (at >= 0) return { sequence: ids[Math.floor(at / shape[1]!)]!, step: Math.max(0, (at % shape[1]!) - 1), layer }
  }
  return undefined
}

function place(ids: Int32Array, at: number, T: number, size: number, layer?: number): Place {
  return { sequence: ids[Math.floor(at / (T * size))]!, step: Math.floor(at / size) % T, ...(layer !== undefined && { layer }) }
}
