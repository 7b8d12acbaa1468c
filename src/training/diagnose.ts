/*
 * The errors where numbers are not finite any more: a loss or a gradient, for which the batch that did it is run once more, and searched
 * (search.ts); or the weights themselves.
 */
import { BpttError } from '../errors.js'
import type { Core } from '../model/core.js'
import type { Examples } from './dataset.js'

export async function nonfinite(
  core: Core,
  examples: Examples,
  { epoch, batch, ids }: { epoch: number; batch: number; ids: Int32Array },
  what: 'loss' | 'gradient',
) {
  // It looks at all steps at once, which a run in little memory may not have had room for, and by a module that may not be had any more:
  // then the batch is all that can be said.
  const place = await import('./search.js')
    .then(({ search }) => search(core, examples, ids, what))
    .catch((error) => {
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

/**
 * Of an update that overflowed, from a loss and a gradient that were finite: the model keeps the weights that were read last.
 * @param which those are
 * @returns undefined where all are finite
 */
export function overflow(core: Core, at: string, which: string): BpttError | undefined {
  if (!core.recover()) return undefined
  return new BpttError('ERR_NONFINITE', `weights were not finite any more; the model has ${which}`, {
    at,
    hint: 'Lower the learning rate, or set clipNorm.',
  })
}
