/* evaluate(): loss and metrics over data, with the naive baseline beside each. */
import type { Core } from '../model/core.js'
import type { Sequences, Targets } from '../sequences/data.js'
import type { Scores } from '../types.js'
import { forEachChunk } from './chunks.js'
import { type Baseline, baselineOf, scoresOf, Tally } from './metrics.js'

/** @param baseline where it is known already */
export async function evaluate(
  core: Core,
  sequences: Sequences,
  targets: Targets,
  baseline: Baseline = baselineOf(core, sequences, targets),
): Promise<Scores> {
  const tally = new Tally()
  await forEachChunk(
    core,
    sequences,
    targets,
    { wants: { loss: true }, budget: 'full', reads: () => ({}) },
    ({ result: { loss, score, frame } }) => {
      tally.add(loss, frame.weight, score, frame.counted)
    },
  )
  return scoresOf(core.network, tally, baseline)
}
