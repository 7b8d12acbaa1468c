/*
 * The frames of a training run in the order in which they are run: epochs, batches, and the windows of truncated backpropagation. A frame
 * either updates the weights or, for readout 'last', only carries the state up to the last window.
 */
import { Random } from '../network/random.js'
import type { Frame } from '../sequences/batch.js'
import { type Window, windows } from '../sequences/batch.js'
import type { Batchers } from './dataset.js'
import type { TrainSettings } from './settings.js'

export interface Item {
  readonly epoch: number
  readonly frame: Frame
  readonly updates: boolean
  /** The batch, for messages. */
  readonly batch: number
  readonly ids: Int32Array
  /** Sequences that this frame brings to their end. */
  readonly sequences: number
  /** Nothing of the epoch comes after it. */
  readonly endsEpoch: boolean
}

type Settings = Pick<TrainSettings, 'batchSize' | 'shuffle' | 'seed' | 'bptt' | 'epochs'>

/** The order of an epoch (from 1): depends on seed and epoch alone. */
export function epochOrder(train: Int32Array, { shuffle, seed }: Settings, epoch: number): Int32Array {
  return shuffle ? new Random(seed, 'SHUFFLE', 0, epoch).shuffle(train.slice()) : train
}

/** Updates of an epoch, where they are the same however it is shuffled. */
export function updatesOfEachEpoch(train: Int32Array, batchers: Batchers, settings: Settings): number | undefined {
  const batches = Math.ceil(train.length / settings.batchSize)
  if (!settings.bptt || batchers.lead) return batches
  const updates = updatesOver(settings.bptt)
  const each = updates(batchers.main.length(train[0]!))
  return train.every((id) => updates(batchers.main.length(id)) === each) ? batches * each : undefined
}

/** Updates of one epoch (from 1): a batch takes as many as its longest sequence needs. */
export function updatesOfEpoch(train: Int32Array, batchers: Batchers, settings: Settings, epoch: number): number {
  const updates = updatesOver(settings.bptt!)
  const order = epochOrder(train, settings, epoch)
  let sum = 0
  for (let b = 0; b * settings.batchSize < order.length; b++) sum += updates(longestOf(batchers, batch(order, b, settings)))
  return sum
}

const updatesOver =
  ({ stride }: { stride: number }) =>
  (length: number) =>
    Math.max(1, Math.ceil(length / stride))

const batch = (order: Int32Array, b: number, { batchSize }: Settings) => order.subarray(b * batchSize, (b + 1) * batchSize)
const longestOf = ({ main }: Batchers, ids: Int32Array) => ids.reduce((most, id) => Math.max(most, main.length(id)), 0)

export function* items(train: Int32Array, batchers: Batchers, settings: Settings): Generator<Item, void, void> {
  for (let epoch = 1; epoch <= settings.epochs; epoch++) {
    const order = epochOrder(train, settings, epoch)
    const batches = Math.ceil(order.length / settings.batchSize)
    for (let b = 0; b < batches; b++) {
      const ids = batch(order, b, settings)
      const frames = framesOf(ids, batchers, settings.bptt)
      for (const [i, { frame, updates }] of frames.entries()) {
        const last = i === frames.length - 1
        yield { epoch, frame, updates, batch: b + 1, ids, sequences: last ? ids.length : 0, endsEpoch: last && b === batches - 1 }
      }
    }
  }
}

function framesOf(ids: Int32Array, { main, lead }: Batchers, bptt: Settings['bptt']): { frame: Frame; updates: boolean }[] {
  if (!bptt) return [{ frame: main.frame(ids)!, updates: true }]
  if (lead) {
    if (!bptt.carryState) return [{ frame: main.frame(ids)!, updates: true }]
    return [
      { frame: lead.frame(ids, { carryOut: true })!, updates: false },
      { frame: main.frame(ids, { carryIn: true })!, updates: true },
    ]
  }
  const longest = longestOf({ main, lead }, ids)
  if (longest === 0) return [{ frame: main.frame(ids)!, updates: true }]
  return windows(longest, bptt).map((window) => ({ frame: windowFrame(ids, main, window, bptt.carryState)!, updates: true }))
}

/** Without a carried state each window starts from zero where it begins. */
const windowFrame = (ids: Int32Array, main: Batchers['main'], window: Window, carry: boolean) =>
  main.frame(ids, { window, carryIn: carry && window.from > 0, carryOut: carry })
