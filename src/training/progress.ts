/* What a run reports: sums of the frames of an epoch, and the Progress records made of them. */
import { type Baseline, metricsOf, Tally } from '../inference/metrics.js'
import type { Network } from '../network/network.js'
import { RESULT_FIELDS, Result } from '../plan/operations.js'
import type { Progress, Scores } from '../types.js'
import type { JobFrames } from './items.js'

export class Recorder {
  readonly history: Progress[] = []
  /** Updates made, and in the whole run. */
  step = 0
  steps = 0
  private tally = new Tally()
  private clipped = 0
  private updates = 0
  private gradientNorm = 0
  private lr = 0
  private sequences = 0
  /** Milliseconds that validation took: no part of the speed. */
  private aside = 0
  private readonly started = performance.now()

  constructor(
    private readonly network: Network,
    private readonly epochs: number,
    private readonly baseline: Baseline,
  ) {}

  /** Frame n of a job, which was run whole. */
  add(frames: JobFrames, n: number, updates: boolean, results: Float64Array): void {
    this.sequences += frames.sequences[n]!
    if (!updates) return
    const at = n * RESULT_FIELDS
    this.tally.add(results[at + Result.LOSS]!, frames.weight[n]!, results[at + Result.SCORE]!, frames.counted[n]!)
    if (results[at + Result.CLIP]! < 1) this.clipped++
    this.gradientNorm = results[at + Result.NORM]!
    this.lr = frames.lr[n]!
    this.updates++
    this.step++
  }

  /** The run as it stands. */
  now(epoch: number): Progress {
    const seconds = Math.max((performance.now() - this.started - this.aside) / 1000, 1e-9)
    return {
      epoch,
      epochs: this.epochs,
      step: this.step,
      steps: this.steps,
      loss: this.tally.mean,
      lr: this.lr,
      gradientNorm: this.gradientNorm,
      clippedShare: this.updates ? this.clipped / this.updates : 0,
      sequencesPerSecond: this.sequences / seconds,
      etaSeconds: this.step ? ((performance.now() - this.started) / 1000 / this.step) * (this.steps - this.step) : 0,
      metrics: metricsOf(this.network, this.tally, this.baseline),
    }
  }

  endEpoch(epoch: number, validation: Scores | undefined, validationMs: number): Progress {
    const progress = { ...this.now(epoch), ...(validation && { validation }) }
    this.aside += validationMs
    this.history.push(progress)
    this.tally = new Tally()
    this.clipped = 0
    this.updates = 0
    return progress
  }
}
