/*
 * The training loop: jobs (jobs.ts) one after the other, between which reads of the same model get their turn. While one job runs, the
 * results of the one before it are booked and the next one is prepared. An epoch's end interrupts that only where something must be
 * decided there (validation, a plateau schedule).
 */
import type { JobResult } from '../backends/engine.js'
import { evaluate } from '../inference/evaluate.js'
import type { Core, Turn } from '../model/core.js'
import { RESULT_FIELDS, Result, Status } from '../plan/operations.js'
import { platform } from '../platform/platform.js'
import type { Progress, RunResult } from '../types.js'
import { Best } from './best.js'
import { batchersOf, type DataSet, type Examples, makeResident } from './dataset.js'
import { nonfinite, overflow } from './diagnose.js'
import { batchIds, Course, updatesOfEachEpoch, updatesOfEpoch } from './items.js'
import { type JobPlan, Jobs, REPORT_MS } from './jobs.js'
import { OptimizerState } from './optimizer-state.js'
import { plansOf, type TrainingPlans } from './plans.js'
import { Recorder } from './progress.js'
import { rateOf } from './schedules.js'
import type { TrainSettings } from './settings.js'

/** At most this long is spent at a time on counting updates: the event loop waits meanwhile. */
const COUNT_MS = 2

const NO_FRAMES = { ints: new Int32Array(0), count: 0 }

/** How a run ends before its last epoch. */
export type Ending =
  | { readonly kind: 'stop' }
  | { readonly kind: 'abort'; readonly reason: unknown }
  | { readonly kind: 'error'; readonly error: unknown }

interface Flight {
  readonly job: JobPlan
  /** The engine has taken all that it was given, or will not. */
  readonly begun: Promise<void>
  readonly result: Promise<JobResult>
}

export class Training {
  private readonly batchers
  private readonly resident
  private readonly optimizer: OptimizerState
  private readonly rate
  private readonly recorder: Recorder
  private readonly jobs: Jobs
  private readonly plans: TrainingPlans
  /** Updates of the whole run; 0 until they are counted. */
  private steps: number
  /** Data and moments are in the engine's memory: which one it is (Core.memory). */
  private readonly loaded: Promise<number>
  private memory: number | undefined
  private reportedAt = Number.NEGATIVE_INFINITY
  /** The model's weights are those of the last update. */
  private inStep = true
  private stoppedEarly = false
  private over = false
  private ending: Ending | undefined
  private readonly best: Best

  /**
   * @param report called with every epoch's Progress
   */
  constructor(
    private readonly core: Core,
    private readonly data: DataSet,
    private readonly settings: TrainSettings,
    private readonly report: (progress: Progress) => void,
  ) {
    this.batchers = batchersOf(core, data, settings.bptt)
    this.resident = makeResident(core, data)
    this.optimizer = new OptimizerState(core, settings)
    this.rate = rateOf(settings.schedule, settings.optimizer.lr)
    this.steps = (updatesOfEachEpoch(data.train, this.batchers, settings) ?? 0) * settings.epochs
    this.recorder = new Recorder(core.network, settings.epochs, data.trainBaseline)
    this.best = new Best(settings.earlyStopping)
    const course = new Course(data.train, this.batchers, settings)
    this.jobs = new Jobs(course, this.rate, this.optimizer, data.validation !== undefined || this.rate.listens)
    try {
      this.plans = plansOf(core, data, settings, this.batchers, this.resident, this.optimizer.update)
    } catch (error) {
      this.optimizer.release()
      throw error
    }
    this.loaded = core.load({ ...this.nothing(), writes: [...this.resident.writes, ...this.optimizer.starts] })
    this.loaded.catch(() => undefined) // runJobs() waits for it
    this.optimizer.starts = []
  }

  /** Ends the run after the update in flight; the first reason counts. One that is over has none: it would be somebody else's. */
  end(ending: Ending): void {
    if (this.over) return
    this.ending ??= ending
    this.core.interrupt()
  }

  async run(): Promise<RunResult> {
    const { data } = this
    const fail = (error: unknown) => {
      if (this.ending?.kind !== 'error') this.ending = { kind: 'error', error }
    }
    await this.runJobs().catch(fail)
    await this.settle().catch(fail)
    this.over = true
    this.optimizer.release()
    this.jobs.release()
    if (this.ending?.kind === 'abort') throw this.ending.reason
    if (this.ending?.kind === 'error') throw this.ending.error
    const { history } = this.recorder
    return {
      history,
      best: this.best.progress ?? this.recorder.now(history.length + 1),
      stopped: this.ending ? 'stop' : this.stoppedEarly ? 'early' : 'finished',
      truncated: data.sequences.truncated,
      empty: data.sequences.empty,
    }
  }

  /** Every epoch must be shuffled for it, which the event loop should not wait for. */
  private async countUpdates(): Promise<void> {
    const { data, batchers, settings } = this
    let steps = 0
    let since = performance.now()
    for (let epoch = 1; epoch <= settings.epochs && !this.ending; epoch++) {
      steps += updatesOfEpoch(data.train, batchers, settings, epoch)
      if (performance.now() - since < COUNT_MS) continue
      await platform().pause()
      since = performance.now()
    }
    this.steps = steps
  }

  /** Of large weights, which takes seconds: a run that ends meanwhile ends at once. */
  private async draw(): Promise<void> {
    const check = () => {
      if (this.ending) throw this.ending
    }
    await this.core.draw(check).catch((error) => {
      if (error !== this.ending) throw error
    })
  }

  private async runJobs(): Promise<void> {
    this.memory = await this.loaded
    if (this.core.drawsSlowly) await this.core.inTurn(() => this.draw())
    if (this.steps === 0) await this.countUpdates()
    this.recorder.steps = this.jobs.steps = this.steps
    const first = this.prepare()
    let next = first && this.submit(first)
    let ahead: JobPlan | undefined
    let done: [JobPlan, JobResult, number] | undefined
    try {
      while (next) {
        const { job, begun, result } = next
        await begun
        if (done) this.book(...done)
        done = undefined
        if (!job.decides) ahead ??= this.prepare()
        next = undefined
        if (ahead && !this.ending && !job.readsWeights && this.core.canFollow(this.turn(ahead))) {
          next = this.submit(ahead, true)
          ahead = undefined
        }
        const { frames } = job
        const got = await result
        let { count } = frames
        while (count > 0 && got.results[(count - 1) * RESULT_FIELDS + Result.STATUS] !== Status.DONE) count--
        done = [job, got, count]
        const concludes = job.decides || count < frames.count
        // onProgress sees the weights as they are, and where it throws the run ends with them.
        if (concludes || job.readsWeights) {
          this.book(...done)
          done = undefined
          if (concludes) await this.conclude(job, got, count)
        }
        if (this.ending) continue
        if (count < frames.count) {
          // It gave way. Nothing was run of the one behind it, which now comes after what is left of it.
          await next?.result
          ahead ??= next?.job
          frames.drop(count)
          next = this.submit(job)
        } else if (!next) {
          const then = ahead ?? this.prepare()
          ahead = undefined
          next = then && this.submit(then)
        }
      }
    } finally {
      if (done) this.book(...done)
    }
  }

  /** The next job, or undefined where nothing is left. A schedule that fails ends the run. */
  private prepare(): JobPlan | undefined {
    if (this.ending || this.stoppedEarly || this.jobs.over) return undefined
    try {
      return this.jobs.next()
    } catch (error) {
      this.end({ kind: 'error', error })
      return undefined
    }
  }

  private submit(job: JobPlan, follows = false): Flight {
    let begin!: () => void
    const begun = new Promise<void>((resolve) => {
      begin = resolve
    })
    const result = this.core.inTurn(() => this.core.run(this.turn(job, begin), 'updates'), follows)
    result.then(begin, begin)
    return { job, begun, result }
  }

  /** A run that ended while the job waited for its turn runs none of it. */
  private turn({ frames, updates, readsWeights }: JobPlan, taken?: () => void): Turn {
    const { ints, count } = this.ending ? NO_FRAMES : frames
    return { ...this.nothing(updates), frames: ints, count, readsWeights, taken }
  }

  /** A turn that runs no frame. */
  private nothing(updates = true) {
    return {
      compiled: updates ? this.plans.update : this.plans.lead!,
      frames: NO_FRAMES.ints,
      count: 0,
      memory: this.memory,
      dataBytes: this.resident.bytes,
      carryBytes: this.plans.carryBytes,
    }
  }

  /** What is trained on; if it is still the user's, as it was when it was loaded. */
  private async examples(): Promise<Examples> {
    const { sequences, targets } = this.data
    if (!sequences.lent) return this.data
    const copy = { at: this.resident.data.x, kind: 'float32', length: sequences.rows.length } as const
    const { reads } = await this.core.inTurn(() => this.core.run({ ...this.nothing(), reads: [copy] }, 'updates'))
    return { sequences: { ...sequences, rows: reads[0] as Float32Array, lent: false }, targets }
  }

  /** Books the results of a job's first `count` frames and reports; but where something is decided at an epoch's end, that is conclude()'s. */
  private book({ frames, updates, readsWeights, decides }: JobPlan, { results, seconds }: JobResult, count: number): void {
    let rows = 0
    for (let n = 0; n < count; n++) {
      rows += frames.rows[n]!
      this.recorder.add(frames, n, updates, results)
      if (frames.endsEpoch[n] && !(decides && n === frames.count - 1)) this.endEpoch(frames.epoch[n]!)
    }
    if (updates && count > 0) this.inStep = false
    if (rows > 0) this.jobs.secondsPerRow = seconds / rows || 1e-9
    if (!readsWeights) return
    this.inStep = true
    this.checkWeights()
    if (this.ending?.kind !== 'error' && !decides && count === frames.count) this.tell(frames.epoch[count - 1]!)
  }

  /** What takes time after a job: finding out why one broke off, or deciding at an epoch's end. */
  private async conclude({ frames, readsWeights }: JobPlan, { results }: JobResult, count: number): Promise<void> {
    const n = Math.min(count, frames.count - 1)
    const status = results[n * RESULT_FIELDS + Result.STATUS]
    const epoch = frames.epoch[n]!
    if (status === Status.NONFINITE_LOSS || status === Status.NONFINITE_GRADIENT) {
      const batch = frames.batch[n]!
      const item = { epoch, batch, ids: batchIds(this.data.train, this.settings, epoch, batch) }
      this.ending ??= {
        kind: 'error',
        error: await nonfinite(this.core, await this.examples(), item, status === Status.NONFINITE_LOSS ? 'loss' : 'gradient'),
      }
      return
    }
    if (status === Status.DONE && !this.ending) await this.decide(epoch)
    if (readsWeights && this.ending?.kind !== 'error') this.tell(epoch)
  }

  private endEpoch(epoch: number, validation?: Progress['validation'], took = 0): Progress {
    const progress = this.recorder.endEpoch(epoch, validation, took)
    this.best.epochEnded(progress, () => this.core.weights())
    this.report(progress)
    return progress
  }

  private async decide(epoch: number): Promise<void> {
    const { validation, validationBaseline } = this.data
    const from = performance.now()
    const scores = validation && (await evaluate(this.core, validation.sequences, validation.targets, validationBaseline))
    const progress = this.endEpoch(epoch, scores, performance.now() - from)
    this.rate.epochEnded(scores?.loss ?? progress.loss)
    if (this.best.isOld && epoch < this.settings.epochs) this.stoppedEarly = true
  }

  /** onProgress, at most ten times a second, and at the end. */
  private tell(epoch: number): void {
    const { onProgress } = this.settings
    const now = performance.now()
    const final = this.recorder.step === this.steps || this.stoppedEarly
    if (!onProgress || (!final && now - this.reportedAt < REPORT_MS)) return
    this.reportedAt = now
    const ended = this.recorder.history.at(-1)
    const progress = ended?.epoch === epoch ? ended : this.recorder.now(epoch)
    const fail = (error: unknown) => this.end({ kind: 'error', error })
    try {
      const returned: unknown = onProgress(progress)
      if (returned instanceof Promise)
        returned.catch((error) => {
          if (this.over) throw error // nobody is left to be told but the process
          fail(error)
        })
    } catch (error) {
      fail(error)
    }
  }

  /** Of weights that were just read: an infinite one may only saturate a unit, which no update after it tells. */
  private checkWeights(): void {
    const error = overflow(this.core, `update ${this.recorder.step}`, 'those of the last report')
    if (error && this.ending?.kind !== 'abort') this.ending = { kind: 'error', error }
  }

  /** Leaves the weights of the last whole update (or the best ones) in the model; after one that overflowed, those of the last report. */
  private async settle(): Promise<void> {
    if (!this.inStep) {
      const turn = { ...this.nothing(), memory: undefined, readsWeights: true }
      await this.core.inTurn(() => this.core.run(turn, 'updates'))
    }
    this.checkWeights()
    const kept = this.ending?.kind === 'stop' || !this.ending ? this.best.weights : undefined
    if (kept) this.core.setWeights(kept)
  }
}
