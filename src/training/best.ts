/* The best epoch of a run so far, and whether it is time to stop looking for a better one. */
import type { Progress } from '../types.js'
import type { TrainSettings } from './settings.js'

export class Best {
  progress: Progress | undefined
  /** The model's after that epoch, where they are to be restored. */
  weights: Float32Array | undefined
  private loss = Number.NaN
  private epochsSince = 0

  constructor(private readonly stopping: TrainSettings['earlyStopping']) {}

  epochEnded(progress: Progress, weights: () => Float32Array): void {
    const loss = progress.validation?.loss ?? progress.loss
    const { minDelta = 0, restoreBest = false } = this.stopping ?? {}
    if (!Number.isNaN(this.loss) && !(loss < this.loss - minDelta)) {
      this.epochsSince++
      return
    }
    this.progress = progress
    this.loss = loss
    this.weights = restoreBest ? weights().slice() : undefined
    this.epochsSince = 0
  }

  /** No epoch was better for as many as `patience` allows. */
  get isOld(): boolean {
    return this.stopping !== undefined && this.epochsSince >= Math.max(1, this.stopping.patience)
  }
}
