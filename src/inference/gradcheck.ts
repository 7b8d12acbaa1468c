/*
 * gradCheck(): the backend's gradients against central differences of the float64 reference. Small networks are checked in every weight,
 * large ones in as many as LIMIT, drawn the same way each time.
 */
import type { Core } from '../model/core.js'
import { Random } from '../network/random.js'
import { compile } from '../plan/compile.js'
import { REGIONS, Region, UNIT_BYTES, UNIT_FLOATS } from '../plan/memory.js'
import { Result } from '../plan/operations.js'
import { platform } from '../platform/platform.js'
import { createOracle } from '../reference/engine.js'
import type { Sequences, Targets } from '../sequences/data.js'
import { gradients } from './gradients.js'
import { batcherOf, everyId, placeData } from './pass.js'

/** Weights that are looked at. */
const LIMIT = 400
/** Half a difference: its error is about EPS² of the third derivative, and 1e-16 / EPS of the loss. */
const EPS = 1e-5

/** `maxRelativeError`: the largest |analytic - numeric| of a tensor over the largest |numeric| of that tensor; `at` says where. */
export async function gradCheck(core: Core, sequences: Sequences, targets: Targets): Promise<{ maxRelativeError: number; at: string }> {
  const { layout } = core
  const weights = Float64Array.from(core.weights()) // now: others may be set while the gradients are on their way
  const options = { initial: undefined, reduction: 'mean', bptt: undefined, weights: core.held() } as const
  const { gradients: analytic } = await core.inTurn(() => gradients(core, sequences, targets, options))
  const layers = (analytic as unknown as { layers: readonly Record<string, { data: Float32Array }>[] }).layers
  const lossAt = lossOracle(core, sequences, targets)
  const random = new Random(0, 'CHECK')

  let worst = { maxRelativeError: 0, at: '' }
  let rest = 0
  for (const { name, layer, size, unit, shape } of layout.table.list) {
    const given = (layer < 0 ? (analytic as unknown as Record<string, { data: Float32Array }>) : layers[layer]!)[name]!.data
    const chosen = chooseElements(size, Math.max(4, Math.ceil((LIMIT * size) / layout.table.count)), random)
    let scale = 1e-12
    const found: { error: number; index: number }[] = []
    for (const index of chosen) {
      const at = unit * UNIT_FLOATS + index
      const kept = weights[at]!
      weights[at] = kept + EPS
      const above = lossAt(weights)
      weights[at] = kept - EPS
      const numeric = (above - lossAt(weights)) / (2 * EPS)
      weights[at] = kept
      scale = Math.max(scale, Math.abs(numeric))
      found.push({ error: Math.abs(given[index]! - numeric), index })
      if (++rest % 8 === 0) await platform().pause()
    }
    for (const { error, index } of found)
      if (!(error / scale <= worst.maxRelativeError)) {
        const place = shape.length === 2 ? `[${Math.floor(index / shape[1]!)}][${index % shape[1]!}]` : `[${index}]`
        worst = {
          maxRelativeError: error / scale,
          at: `${layer >= 0 && layout.network.state.length > 1 ? `layers[${layer}].` : ''}${name}${place}`,
        }
      }
  }
  return worst
}

function chooseElements(size: number, most: number, random: Random): Iterable<number> {
  if (size <= most) return Array(size).keys()
  const chosen = new Set<number>()
  while (chosen.size < most) chosen.add(random.below(size))
  return chosen
}

/** The mean loss as a function of the weights, in float64. */
function lossOracle(core: Core, sequences: Sequences, targets: Targets): (weights: Float64Array) => number {
  const { layout } = core
  const oracle = createOracle()
  const frame = batcherOf(core, sequences, targets).frame(everyId(sequences.count))!
  const capacity = { B: frame.B, R: Math.max(frame.R, 1) }
  const { data, writes, bytes } = placeData(core, capacity, sequences, targets)
  const { plan, scratchBytes } = compile(layout, { loss: true }, capacity, data)
  const sizes = new Array<number>(REGIONS).fill(0)
  sizes[Region.HOME] = layout.homeUnits * UNIT_BYTES
  sizes[Region.DATA] = bytes
  sizes[Region.SCRATCH] = scratchBytes
  const job = { bytes: sizes, plan, frames: frame.ints, count: 1, reads: [] }
  oracle.run({ ...job, writes })
  return (weights) => {
    const { results } = oracle.run({ ...job, writes: [{ at: layout.p, data: weights }] })
    return frame.weight > 0 ? results[Result.LOSS]! / frame.weight : 0
  }
}
