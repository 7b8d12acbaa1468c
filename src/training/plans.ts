/* The plans of a run: of an update, and of what goes before it forward only (Batchers.lead). */
import type { Core } from '../model/core.js'
import type { Compiled } from '../plan/compile.js'
import { UNIT_BYTES } from '../plan/memory.js'
import type { Budget } from '../plan/segments.js'
import type { DataPlaces, Wants } from '../plan/wants.js'
import type { Batcher } from '../sequences/batch.js'
import type { Batchers, DataSet } from './dataset.js'
import type { TrainSettings } from './settings.js'

export interface TrainingPlans {
  readonly update: Compiled
  readonly lead: Compiled | undefined
  readonly carryBytes: number
}

/** Reserves what it carries from one window to the next (Core.residentCarryUnits). */
export function plansOf(
  core: Core,
  { train }: DataSet,
  settings: TrainSettings,
  { main, lead: before }: Batchers,
  resident: { data: DataPlaces; bytes: number },
  step: Wants['update'],
): TrainingPlans {
  const slots = Math.min(settings.batchSize, train.length)
  const carry = settings.bptt?.carryState ? { slots, unit: 0 } : undefined
  core.residentCarryUnits = carry ? core.layout.carryUnits(slots) : 0
  const carryBytes = core.residentCarryUnits * UNIT_BYTES
  const window = before ? Infinity : (settings.bptt?.window ?? Infinity)
  const plan = (wants: Wants, batcher: Batcher, memory: Budget, scratchBytes?: number) => {
    const { steps, R } = longest(train, slots, batcher, window)
    const sizes = { dataBytes: resident.bytes, carryBytes }
    return core.within(memory, { wants, capacity: { B: slots, R }, steps, scratchBytes }, resident.data, sizes)
  }
  const shared = { pack: true, ...(carry && { carry }) }
  // What goes only forward is nearly as fast in little memory.
  const lead = before && carry && plan(shared, before, settings.memory === 'full' ? 'full' : 'low')
  const wants: Wants = { ...shared, loss: true, gradients: 'fresh', update: step }
  return { update: plan(wants, main, settings.memory, lead?.scratchBytes), lead, carryBytes }
}

/** The longest sequences that a frame can have: steps of the longest, and rows of all of them. */
function longest(train: Int32Array, slots: number, batcher: Batcher, window: number): { steps: number; R: number } {
  const lengths = new Int32Array(train.length)
  for (let j = 0; j < lengths.length; j++) lengths[j] = Math.min(batcher.length(train[j]!), window)
  lengths.sort()
  let R = 0
  for (let j = lengths.length - slots; j < lengths.length; j++) R += lengths[j]!
  return { steps: lengths.at(-1) ?? 0, R }
}
