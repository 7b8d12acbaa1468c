/*
 * What the next job of a training run holds: frames that take about 20 ms, so that one thread hop serves many updates of a small net while
 * reads of the same model still get their turn, and with each update the optimiser's numbers. Called by loop.ts.
 */
import { BpttError, show } from '../errors.js'
import { SCALARS } from '../plan/frame.js'
import { type Course, JobFrames } from './items.js'
import type { OptimizerState } from './optimizer-state.js'
import type { rateOf } from './schedules.js'

const JOB_SECONDS = 0.02
/** At most this long is spent on making frames: of tiny nets thousands fit into a job, and the event loop waits meanwhile. */
const PREPARE_MS = 2
const MOST_FRAMES = 4096
/** The clock is looked at once in so many frames: it costs as much as a small one. */
const FRAMES_A_LOOK = 16
/** Between two reports of onProgress, for which weights are read. */
export const REPORT_MS = 100

export interface JobPlan {
  readonly frames: JobFrames
  readonly updates: boolean
  readonly readsWeights: boolean
  /** It brings an epoch to an end after which something is decided. */
  readonly decides: boolean
}

export class Jobs {
  /** Updates of the whole run. */
  steps = 0
  /** As the last job took; 0 before it. */
  secondsPerRow = 0
  private prepared = 0
  private readWeightsAt = performance.now()
  /** Of the job that runs or is being booked, and of the one that is prepared meanwhile. */
  private readonly frames = [new JobFrames(), new JobFrames()]

  /** @param pausesAtEpochs whether something is decided at each epoch's end */
  constructor(
    private readonly course: Course,
    private readonly rate: ReturnType<typeof rateOf>,
    private readonly optimizer: OptimizerState,
    private readonly pausesAtEpochs: boolean,
  ) {}

  get over(): boolean {
    return this.course.over
  }

  /** No job is in flight any more, and none will be. */
  release(): void {
    for (const frames of this.frames) frames.release()
  }

  /** @throws where the schedule gives no learning rate */
  next(): JobPlan {
    const { course, optimizer } = this
    const begin = performance.now()
    const frames = this.frames.shift()!
    this.frames.push(frames)
    frames.clear()
    const { updates } = course
    let rows = 0
    for (;;) {
      const n = frames.count
      const at = frames.size
      course.next(frames)
      const size = frames.rows[n]!
      rows += size
      if (updates) {
        const lr = this.rate.of(this.prepared, this.steps)
        checkRate(lr, this.prepared)
        optimizer.putScalars(lr, this.prepared, frames.floats, at + SCALARS)
        frames.lr[n] = lr
        this.prepared++
      }
      if (course.over || course.updates !== updates || n + 1 >= MOST_FRAMES || this.secondsPerRow === 0) break
      if ((rows + size) * this.secondsPerRow > JOB_SECONDS) break
      if (n % FRAMES_A_LOOK === 0 && performance.now() - begin > PREPARE_MS) break
      if (this.pausesAtEpochs && frames.endsEpoch[n]) break
    }
    const now = performance.now()
    const decides = this.pausesAtEpochs && frames.endsEpoch[frames.count - 1] === 1
    const readsWeights = course.over || decides || now - this.readWeightsAt >= REPORT_MS
    if (readsWeights) this.readWeightsAt = now
    return { frames, updates, readsWeights, decides }
  }
}

function checkRate(lr: number, step: number): void {
  if (typeof lr === 'number' && lr >= 0 && Math.fround(lr) < Infinity) return
  throw new BpttError('ERR_OUT_OF_RANGE', `gave no learning rate for update ${step}`, {
    at: 'options.schedule',
    expected: 'a number of at least 0',
    received: show(lr),
  })
}
