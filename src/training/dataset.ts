/* The data of one training run: read, split, and laid out in backend memory, where it stays until the run ends. */
import type { Write } from '../backends/engine.js'
import { fieldsOf } from '../check/values.js'
import { BpttError, show } from '../errors.js'
import { pick } from '../inference/chunks.js'
import { type Baseline, baselineOf, targetMean } from '../inference/metrics.js'
import { batcherOf, everyId, placeData, targetWidth } from '../inference/pass.js'
import type { Core } from '../model/core.js'
import type { DataPlaces } from '../plan/wants.js'
import { Batcher } from '../sequences/batch.js'
import type { Sequences, Targets } from '../sequences/data.js'
import { groupNumbers } from '../sequences/groups.js'
import { readSequences } from '../sequences/input.js'
import { flatOf } from '../sequences/numbers.js'
import { readTargets } from '../sequences/targets.js'
import type { Data, Input, Output, Readout } from '../types.js'
import type { TrainSettings } from './settings.js'
import { split } from './split.js'

export type AnyData = Data<Input, Output, Readout>
export interface Examples {
  readonly sequences: Sequences
  readonly targets: Targets
}

export interface DataSet extends Examples {
  /** The sequences to train on. */
  readonly train: Int32Array
  readonly validation: Examples | undefined
  /** What Core.trainMean becomes. */
  readonly trainMean: Float64Array | undefined
  readonly trainBaseline: Baseline
  readonly validationBaseline: Baseline | undefined
}

/** Sequences and targets of `data`, checked. `lend`: see SequenceOptions. */
export function readExamples(
  core: Core,
  data: unknown,
  at: string,
  options: Partial<TrainSettings> & { lend?: boolean } = {},
): Examples & { groups: Int32Array | undefined } {
  const fields = fieldsOf(data)
  if (!fields) throw new BpttError('ERR_INVALID_ARG', 'there is no data', { at: at || 'data', expected: '{ x, y }', received: show(data) })
  const { x, y, mask, sampleWeights, stepWeights, groups, ...others } = Object.fromEntries(fields)
  const path = (name: string) => (at ? `${at}.${name}` : name)
  for (const name of Object.keys(others))
    throw new BpttError('ERR_UNKNOWN_OPTION', 'is not known here', {
      at: path(name),
      expected: 'x, y, mask, sampleWeights, stepWeights or groups',
    })
  const sequences = readSequences(core.network, x, {
    mask,
    maxLength: options.maxLength,
    keep: options.keep ?? 'end',
    lend: options.lend === true,
    at: path('x'),
  })
  const targets = readTargets(core.network, sequences, y, { sampleWeights, stepWeights, classWeight: options.classWeight, at: path('y') })
  return { sequences, targets, groups: groupNumbers(groups, sequences.count, path('groups')) }
}

/** Its rows may be the user's own (Sequences.lent): they must have been handed on when the call ends. */
export function readDataSet(core: Core, data: unknown, settings: TrainSettings): DataSet {
  const { sequences, targets, groups } = readExamples(core, data, '', { ...settings, lend: true })
  const all = everyId(sequences.count)
  const { validation: wanted } = settings
  let train: Int32Array = all
  let validation: Examples | undefined
  if (wanted && 'fraction' in wanted) {
    const parts = split(core.network, sequences.count, targets, { ...wanted, seed: settings.seed, groups })
    train = parts.train
    validation = pick(core, sequences, targets, parts.validation) as Examples
  } else if (wanted)
    validation = readExamples(core, wanted.data, 'options.validation', { maxLength: settings.maxLength, keep: settings.keep })
  const own = train === all ? { sequences, targets } : (pick(core, sequences, targets, train) as Examples)
  mustCount(own, 'y', train === all ? '' : ' among what validation leaves to train on')
  if (validation) mustCount(validation, `options.validation${wanted && 'fraction' in wanted ? '' : '.y'}`)
  if (sequences.lent) flatOf(sequences.rows, () => 'x') // throws where a getter of what was read since has transferred them
  const trainMean = core.network.output.head === 'linear' ? targetMean(core.network, own.targets) : undefined
  return {
    sequences,
    targets,
    train,
    validation,
    trainMean,
    trainBaseline: baselineOf(core, own.sequences, own.targets, trainMean),
    validationBaseline: validation && baselineOf(core, validation.sequences, validation.targets, trainMean),
  }
}

/** A loss of nothing is 0, which would pass for a success. */
function mustCount({ targets }: Examples, at: string, where = ''): void {
  if (targets.weights.some((weight) => weight > 0)) return
  throw new BpttError('ERR_EMPTY', `has no target that counts${where}`, {
    at,
    hint: 'Not counted are null, -100 in an integer array, masked steps, sequences without a step, and what weighs 0.',
  })
}

/** Places the data in DATA, where they are until core.endResidence() of them. */
export function makeResident(core: Core, examples: Examples): { data: DataPlaces; writes: Write[]; bytes: number } {
  const { sequences, targets } = examples
  const rows = sequences.offsets[sequences.count]!
  const placed = placeData(core, { B: sequences.count, R: rows }, sequences, targets)
  core.reside(examples, placed.bytes)
  return placed
}

export interface Batchers {
  /** Frames of whole sequences, or of windows of them. */
  readonly main: Batcher
  /** Truncated, readout 'last': what comes before each sequence's last window, to be run forward only. */
  readonly lead: Batcher | undefined
}

export function batchersOf(core: Core, { sequences, targets }: Examples, bptt: TrainSettings['bptt']): Batchers {
  if (!bptt || core.network.readout === 'all') return { main: batcherOf(core, sequences, targets), lead: undefined }
  const { offsets, count } = sequences
  const begin = offsets.subarray(0, count)
  const end = offsets.subarray(1)
  const cut = begin.map((first, id) => Math.max(first, end[id]! - bptt.window))
  const linear = core.network.output.head === 'linear'
  return {
    main: new Batcher(cut, targets, false, targetWidth(core), linear, end),
    lead: new Batcher(begin, undefined, false, targetWidth(core), linear, cut),
  }
}
