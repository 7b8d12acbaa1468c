/*
 * The training loop. Frames are laid into jobs of about 10 ms, so that one thread hop serves many updates of a small net while reads of
 * the same model still get their turn; the next job is prepared while one runs. An epoch's end interrupts that only where something must
 * be decided there (validation, a plateau schedule).
 */
import type { JobResult, Write } from '../backends/engine.js'
import { BpttError } from '../errors.js'
import { evaluate } from '../inference/evaluate.js'
import type { Core } from '../model/core.js'
import { type Compiled, compile } from '../plan/compile.js'
import { UNIT_BYTES } from '../plan/memory.js'
import { RESULT_FIELDS, Result, Status } from '../plan/operations.js'
import { platform } from '../platform/platform.js'
import { concatFrames, setScalars } from '../sequences/batch.js'
import type { Progress, RunResult } from '../types.js'
import { batchersOf, type DataSet, makeResident } from './dataset.js'
import { nonfinite } from './diagnose.js'
import { type Item, items, updatesOfEachEpoch, updatesOfEpoch } from './items.js'
import { OptimizerState } from './optimizer-state.js'
import { Recorder } from './progress.js'
import { rateOf } from './schedules.js'
import type { TrainSettings } from './settings.js'

const JOB_SECONDS = 0.01
/** At most this long is spent at a time on counting and making frames: of tiny nets thousands fit into a job, and the event loop waits meanwhile. */
const PREPARE_MS = 2
const MOST_FRAMES = 4096
/** Between two reports of onProgress. */
const REPORT_MS = 100

interface JobPlan {
  readonly items: Item[]
  readonly rates: number[]
  readonly compiled: Compiled
  readonly readsWeights: boolean
}

/** How a run ends before its last epoch. */
export type Ending =
  | { readonly kind: 'stop' }
  | { readonly kind: 'abort'; readonly reason: unknown }
  | { readonly kind: 'error'; readonly error: unknown }

export class Training {
  private readonly batchers
  private readonly resident
  private readonly optimizer: OptimizerState
  private readonly rate
  private readonly recorder: Recorder
  private readonly source: Generator<Item, void, void>
  private readonly plans: { update: Compiled; lead: Compiled | undefined }
  private readonly carryBytes: number
  /** Something is decided at each epoch's end. */
  private readonly pausesAtEpochs: boolean
  /** Updates of the whole run; 0 until they are counted. */
  private steps: number
  private prepared = 0
  private waiting: Item | undefined
  private writes: Write[]
  /** Where data and moments are, from the first job on (Core.memory). */
  private memory: number | undefined
  private secondsPerRow = 0
  private readWeightsAt = performance.now()
  private reportedAt = Number.NEGATIVE_INFINITY
  /** The model's weights are those of the last update. */
  private inStep = true
  private inFlight = false
  private stoppedEarly = false
  private over = false
  private ending: Ending | undefined
  private best: { progress: Progress; loss: number; weights: Float32Array | undefined } | undefined
  private sinceBest = 0

  /**
   * @param report called with every epoch's Progress
   */
  constructor(
    private readonly core: Core,
    private readonly data: DataSet,
    private readonly settings: TrainSettings,
    private readonly report: (progress: Progress) => void,
  ) {
    const { network, layout } = core
    this.batchers = batchersOf(core, data, settings.bptt)
    this.resident = makeResident(core, data)
    this.optimizer = new OptimizerState(core, settings)
    this.writes = [...this.resident.writes, ...this.optimizer.starts]
    this.optimizer.starts = []
    this.rate = rateOf(settings.schedule, settings.optimizer.lr)
    this.steps = (updatesOfEachEpoch(data.train, this.batchers, settings) ?? 0) * settings.epochs
    this.recorder = new Recorder(network, settings.epochs, data.trainBaseline)
    this.source = items(data.train, this.batchers, settings)
    this.pausesAtEpochs = data.validation !== undefined || this.rate.listens

    const carries = settings.bptt?.carryState === true
    const slots = Math.min(settings.batchSize, data.train.length)
    const carry = carries ? { slots, unit: 0 } : undefined
    const carryUnits = carry ? layout.carryUnits(slots) : 0
    core.residentCarryUnits = carryUnits
    this.carryBytes = carryUnits * UNIT_BYTES
    const capacity = { B: slots, R: this.mostRows(slots) }
    const shared = { pack: true, ...(carry && { carry }) }
    this.plans = {
      update: compile(layout, { ...shared, loss: true, gradients: 'fresh', update: this.optimizer.update }, capacity, this.resident.data),
      lead:
        this.batchers.lead &&
        carry &&
        compile(layout, shared, { ...capacity, R: this.mostRows(slots, this.batchers.lead) }, this.resident.data),
    }
  }

  /** Rows of the largest frame there can be. */
  private mostRows(slots: number, batcher = this.batchers.main): number {
    const window = this.batchers.lead ? Infinity : (this.settings.bptt?.window ?? Infinity)
    const lengths = Int32Array.from(this.data.train, (id) => Math.min(batcher.length(id), window)).sort()
    return lengths.subarray(-slots).reduce((sum, length) => sum + length, 0)
  }

  /** Ends the run after the update in flight; the first reason counts. */
  end(ending: Ending): void {
    this.ending ??= ending
    if (this.inFlight) this.core.interrupt()
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
    if (this.ending?.kind === 'abort') throw this.ending.reason
    if (this.ending?.kind === 'error') throw this.ending.error
    const { history } = this.recorder
    return {
      history,
      best: this.best?.progress ?? this.recorder.now(history.length + 1),
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
      if (performance.now() - since < PREPARE_MS) continue
      await platform().pause()
      since = performance.now()
    }
    this.steps = steps
  }

  private async runJobs(): Promise<void> {
    if (this.steps === 0) await this.countUpdates()
    this.recorder.steps = this.steps
    let next = this.ending ? undefined : this.prepare()
    while (next && !this.ending) {
      const job = next
      const running = this.submit(job)
      const ahead = this.pausesAtEpochs && job.items.at(-1)!.endsEpoch ? undefined : this.prepare()
      await this.finish(job, await running)
      next = ahead ?? (this.ending ? undefined : this.prepare())
    }
  }

  /** The next job, or undefined where nothing is left. A schedule that fails ends the run. */
  private prepare(): JobPlan | undefined {
    if (this.stoppedEarly) return undefined
    try {
      return this.fill()
    } catch (error) {
      this.end({ kind: 'error', error })
      return undefined
    }
  }

  private fill(): JobPlan | undefined {
    const job: Item[] = []
    const rates: number[] = []
    let rows = 0
    let updates: boolean | undefined
    let last = false
    const begin = performance.now()
    const full = (item: Item) =>
      item.updates !== updates ||
      job.length >= MOST_FRAMES ||
      this.secondsPerRow === 0 ||
      (rows + item.frame.R) * this.secondsPerRow > JOB_SECONDS ||
      performance.now() - begin > PREPARE_MS
    for (;;) {
      const item = this.waiting ?? this.source.next().value ?? undefined
      this.waiting = undefined
      if (!item) {
        last = true
        break
      }
      if (job.length && full(item)) {
        this.waiting = item
        break
      }
      updates = item.updates
      rows += item.frame.R
      const lr = item.updates ? this.rate.of(this.prepared, this.steps) : 0
      if (item.updates) {
        checkRate(lr, this.prepared)
        setScalars(item.frame, this.optimizer.scalars(lr, this.prepared))
        this.prepared++
      }
      job.push(item)
      rates.push(lr)
      if (item.endsEpoch && this.pausesAtEpochs) break
    }
    if (job.length === 0) return undefined
    const now = performance.now()
    const readsWeights = last || (job.at(-1)!.endsEpoch && this.pausesAtEpochs) || now - this.readWeightsAt >= REPORT_MS
    if (readsWeights) this.readWeightsAt = now
    return { items: job, rates, compiled: updates ? this.plans.update : this.plans.lead!, readsWeights }
  }

  private submit(job: JobPlan): Promise<JobResult> {
    return this.core.inTurn(() => {
      this.inFlight = true
      this.memory ??= this.core.memory
      return this.core.run(this.turn(job), 'updates').finally(() => {
        this.inFlight = false
      })
    })
  }

  private turn({ items: job, compiled, readsWeights }: JobPlan) {
    const writes = this.writes
    this.writes = []
    return {
      compiled,
      frames: concatFrames(job.map(({ frame }) => frame)),
      count: job.length,
      writes,
      memory: this.memory,
      reads: readsWeights ? [this.core.readWeights()] : [],
      dataBytes: this.resident.bytes,
      carryBytes: this.carryBytes,
    }
  }

  /** Books a job's results; reports, validates and decides where an epoch ended. */
  private async finish({ items: job, rates, readsWeights }: JobPlan, { results, reads, seconds }: JobResult): Promise<void> {
    let rows = 0
    for (const [i, item] of job.entries()) {
      const status = results[i * RESULT_FIELDS + Result.STATUS]
      if (status === Status.DONE) {
        rows += item.frame.R
        this.recorder.add(item, results, i, rates[i]!)
        if (item.updates) this.inStep = false
        if (item.endsEpoch && !(this.pausesAtEpochs && i === job.length - 1)) this.endEpoch(item.epoch)
      } else if (status === Status.NONFINITE_LOSS || status === Status.NONFINITE_GRADIENT) {
        this.ending ??= {
          kind: 'error',
          error: await nonfinite(this.core, this.data, item, status === Status.NONFINITE_LOSS ? 'loss' : 'gradient'),
        }
        return
      } else break
    }
    if (rows > 0) this.secondsPerRow = seconds / rows || 1e-9
    if (readsWeights) {
      this.core.weightsRead(reads[0] as Float32Array)
      this.inStep = true
    }
    const last = job.at(-1)!
    if (last.endsEpoch && this.pausesAtEpochs && !this.ending) await this.decide(last.epoch)
    if (readsWeights)
      this.tell(this.recorder.history.at(-1)?.epoch === last.epoch ? this.recorder.history.at(-1)! : this.recorder.now(last.epoch))
  }

  private endEpoch(epoch: number, validation?: Progress['validation'], took = 0): Progress {
    const progress = this.recorder.endEpoch(epoch, validation, took)
    const loss = validation?.loss ?? progress.loss
    const { earlyStopping } = this.settings
    if (!this.best || Number.isNaN(this.best.loss) || loss < this.best.loss - (earlyStopping?.minDelta ?? 0)) {
      this.best = { progress, loss, weights: earlyStopping?.restoreBest ? this.core.weights() : undefined }
      this.sinceBest = 0
    } else this.sinceBest++
    this.report(progress)
    return progress
  }

  private async decide(epoch: number): Promise<void> {
    const { validation, validationBaseline } = this.data
    const from = performance.now()
    const scores = validation && (await evaluate(this.core, validation.sequences, validation.targets, validationBaseline))
    const progress = this.endEpoch(epoch, scores, performance.now() - from)
    this.rate.epochEnded(scores?.loss ?? progress.loss)
    const { earlyStopping } = this.settings
    if (earlyStopping && this.sinceBest >= Math.max(1, earlyStopping.patience) && epoch < this.settings.epochs) this.stoppedEarly = true
  }

  /** onProgress, at most ten times a second, and at the end. */
  private tell(progress: Progress): void {
    const { onProgress } = this.settings
    const now = performance.now()
    const final = this.recorder.step === this.steps || this.stoppedEarly
    if (!onProgress || (!final && now - this.reportedAt < REPORT_MS)) return
    this.reportedAt = now
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

  /** Leaves the weights of the last whole update (or the best ones) in the model. */
  private async settle(): Promise<void> {
    if (!this.inStep) {
      const read = {
        compiled: this.plans.update,
        frames: new Int32Array(0),
        count: 0,
        reads: [this.core.readWeights()],
        dataBytes: this.resident.bytes,
      }
      const { reads } = await this.core.inTurn(() => this.core.run(read, 'updates'))
      this.core.weightsRead(reads[0] as Float32Array)
    }
    const kept = this.ending?.kind === 'stop' || !this.ending ? this.best?.weights : undefined
    if (kept) this.core.setWeights(kept)
  }
}

function checkRate(lr: number, step: number): void {
  if (typeof lr === 'number' && lr >= 0 && lr < Infinity) return
  throw new BpttError('ERR_OUT_OF_RANGE', `gave no learning rate for update ${step}`, {
    at: 'options.schedule',
    expected: 'a number of at least 0',
    received: String(lr),
  })
}
