/* Where a loss or a gradient stopped being a number: the batch that did it is run once more, and searched. The weights are still whole. */
import { BpttError } from '../errors.js'
import { pick } from '../inference/chunks.js'
import { forward } from '../inference/forward.js'
import type { Core } from '../model/core.js'
import type { Examples } from './dataset.js'

type Place = { sequence: number; step: number; layer?: number }

export async function nonfinite(
  core: Core,
  examples: Examples,
  { epoch, batch, ids }: { epoch: number; batch: number; ids: Int32Array },
  what: 'loss' | 'gradient',
) {
  // It looks at all steps at once, which a run in little memory may not have had room for, and by a module that may not be had any more:
  // then the batch is all that can be said.
  const place = await find(core, examples, ids, what).catch((error) => {
    if (error instanceof BpttError && error.code !== 'ERR_OUT_OF_MEMORY') throw error
    return undefined
  })
  const where = place
    ? `, first in sequence ${place.sequence}, step ${place.step}${place.layer === undefined ? '' : `, layer ${place.layer}`}`
    : ''
  return new BpttError('ERR_NONFINITE', `the ${what} is not finite${where}; the weights are those before this update`, {
    at: epoch > 0 ? `epoch ${epoch}, batch ${batch}` : 'step',
    hint:
      what === 'loss'
        ? 'Scale the inputs and targets to about -1 to 1, or lower the learning rate.'
        : 'The gradient explodes: lower the learning rate, set clipNorm, or shorten the window with bptt.',
  })
}

async function find(core: Core, { sequences, targets }: Examples, ids: Int32Array, what: 'loss' | 'gradient'): Promise<Place | undefined> {
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
  const { stateGradientNorms } = await core.inTurn(async () =>
    (await import('../inference/gradients.js')).gradients(core, part.sequences, part.targets!, options),
  )
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
