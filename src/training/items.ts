/*
 * The frames of a training run in the order in which they are run: epochs, batches, and the windows of truncated backpropagation. A frame
 * either updates the weights or, for readout 'last', only carries the state up to the last window.
 */
import { Random } from '../network/random.js'
import { FrameList, type Window, windows } from '../sequences/batch.js'
import type { Batchers } from './dataset.js'
import type { TrainSettings } from './settings.js'

type Settings = Pick<TrainSettings, 'batchSize' | 'shuffle' | 'seed' | 'bptt' | 'epochs'>

/** The frames of a job, and what it takes to book their results: a number for each frame, in lists that are used again. */
export class JobFrames extends FrameList {
  /** Learning rate of each frame that updates. */
  readonly lr: number[] = []
  /** Epoch and batch, from 1. */
  readonly epoch: number[] = []
  readonly batch: number[] = []
  /** Sequences that the frame brings to their end. */
  readonly sequences: number[] = []
  /** 1 where nothing of the epoch comes after it. */
  readonly endsEpoch: number[] = []
}

/** The order of an epoch (from 1): depends on seed and epoch alone. Written over `out`, if given. */
export function epochOrder(train: Int32Array, { shuffle, seed }: Settings, epoch: number, out?: Int32Array): Int32Array {
  if (!shuffle) return train
  const order = out ?? new Int32Array(train.length)
  order.set(train)
  return new Random(seed, 'SHUFFLE', 0, epoch).shuffle(order)
}

/** The sequences of a batch (from 1) of an epoch. */
export function batchIds(train: Int32Array, settings: Settings, epoch: number, batch: number): Int32Array {
  const { batchSize } = settings
  return epochOrder(train, settings, epoch).slice((batch - 1) * batchSize, batch * batchSize)
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
  const { batchSize } = settings
  let sum = 0
  for (let low = 0; low < order.length; low += batchSize)
    sum += updates(longestOf(batchers, order, low, Math.min(low + batchSize, order.length)))
  return sum
}

const updatesOver =
  ({ stride }: { stride: number }) =>
  (length: number) =>
    Math.max(1, Math.ceil(length / stride))

function longestOf({ main }: Batchers, ids: Int32Array, low: number, high: number): number {
  let most = 0
  for (let j = low; j < high; j++) most = Math.max(most, main.length(ids[j]!))
  return most
}

/** Where a run is: at the frame that comes next. */
export class Course {
  private epoch = 1
  private order: Int32Array
  /** The batch in hand: ids[low … high) of the order. */
  private low = 0
  private high = 0
  /** Its windows; none without truncation. */
  private windows: readonly (Window | undefined)[] = []
  private window = 0
  /** The next frame is that of the batch's beginning, which updates nothing. */
  private leads = false

  constructor(
    private readonly train: Int32Array,
    private readonly batchers: Batchers,
    private readonly settings: Settings,
  ) {
    this.order = epochOrder(train, settings, 1)
    this.enter(0)
  }

  get over(): boolean {
    return this.epoch > this.settings.epochs
  }

  /** Whether the next frame updates the weights. */
  get updates(): boolean {
    return !this.leads
  }

  /** Appends the next frame. */
  next(job: JobFrames): void {
    const { order, low, high, windows, window, leads } = this
    const { bptt, batchSize } = this.settings
    const { main, lead } = this.batchers
    const n = job.count
    const carry = bptt?.carryState === true
    if (leads) lead!.append(job, order, { carryOut: true }, low, high)
    else if (!bptt) main.append(job, order, undefined, low, high)
    else if (lead) main.append(job, order, { carryIn: carry }, low, high)
    else {
      // Without a carried state each window starts from zero where it begins.
      const cut = windows[window]
      const options = cut ? { window: cut, carryIn: carry && cut.from > 0, carryOut: carry } : undefined
      main.append(job, order, options, low, high)
    }
    job.epoch[n] = this.epoch
    job.batch[n] = low / batchSize + 1
    const endsBatch = !leads && window + 1 >= windows.length
    job.sequences[n] = endsBatch ? high - low : 0
    job.endsEpoch[n] = endsBatch && high === order.length ? 1 : 0
    if (leads) this.leads = false
    else if (!endsBatch) this.window++
    else this.advance()
  }

  private advance(): void {
    if (this.high < this.order.length) return this.enter(this.high)
    this.epoch++
    if (this.over) return
    this.order = epochOrder(this.train, this.settings, this.epoch, this.order)
    this.enter(0)
  }

  private enter(low: number): void {
    const { bptt, batchSize } = this.settings
    this.low = low
    this.high = Math.min(low + batchSize, this.order.length)
    this.window = 0
    this.leads = bptt?.carryState === true && this.batchers.lead !== undefined
    if (bptt && !this.batchers.lead) this.windows = windows(longestOf(this.batchers, this.order, low, this.high), bptt)
  }
}
