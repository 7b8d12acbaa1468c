/*
 * Engines off the event loop for backends without threads of their own: a LocalEngine inside the one training Worker of this thread,
 * which is started with the first job and keeps the process alive only while there are jobs. Where none can be started (a page's
 * Content-Security-Policy, a bundler that does not follow its file), the same program runs in slices on this thread. The other end is host.ts.
 */
import { BpttError } from '../errors.js'
import type { Plan } from '../plan/plan.js'
import { platform } from '../platform/platform.js'
import type { TrainingWorker } from '../platform/seam.js'
import type { Backend, Engine, EngineDescription, EngineOptions, Job, JobResult } from './engine.js'
import { host } from './host.js'
import { errorOf, READY, type Reply, type Request } from './messages.js'

let make: false | (() => unknown) | undefined
let current: Connection | undefined

/**
 * How the training Worker is made from now on: by a function, not at all (false: jobs run in slices on this thread), or as the platform
 * does it (undefined). Engines that have a Worker keep it.
 */
export function configureWorker(choice: false | (() => unknown) | undefined): void {
  make = choice
  current = undefined
}

/** No Worker: the same program on this thread. */
function inThread(onMessage: (message: unknown) => void): TrainingWorker {
  const receive = host((message) => queueMicrotask(() => onMessage(message)), { alone: false })
  return { post: (message) => queueMicrotask(() => receive(message)), hold() {}, sharesMemory: false }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))
const refusal = (reason: unknown) =>
  `bptt: no training Worker could be started (${reasonOf(reason)}). Training runs in slices on this thread; configure({ worker }) can make one, or say false to leave it so.`

const disposed = () => new BpttError('ERR_DISPOSED', 'the model was disposed of')

/** One Worker's life. */
class Connection {
  worker: TrainingWorker
  /** Why it ended. */
  lost: BpttError | undefined
  /** Jobs in flight, by engine. */
  private readonly waiting = new Map<number, { resolve(result: JobResult): void; reject(error: unknown): void }>()
  /** What waits until a Worker of our own making has started: what was sent to one that never does would be gone. */
  private early: [Request, ArrayBuffer[]][] | undefined

  constructor() {
    if (make === undefined) this.early = []
    this.worker = make === false ? this.inThread() : this.start(make)
  }

  send(request: Request, transfer: ArrayBuffer[] = []): void {
    if (this.early) this.early.push([request, transfer])
    else if (!this.lost) this.worker.post(request, transfer)
  }

  /** Sends a job; the promise settles when it is done, the engine forgotten, or the Worker dead. */
  ask(request: Request & { kind: 'run' }, transfer: ArrayBuffer[]): Promise<JobResult> {
    return new Promise((resolve, reject) => {
      this.send(request, transfer)
      this.waiting.set(request.engine, { resolve, reject })
      this.worker.hold(true)
    })
  }

  forget(engine: number): void {
    this.send({ kind: 'dispose', engine })
    this.take(engine)?.reject(disposed())
  }

  private start(make: (() => unknown) | undefined): TrainingWorker {
    const onMessage = (message: unknown) => (message === READY ? this.begin() : this.settle(message as Reply))
    try {
      return platform().spawn(make, onMessage, (reason) => (this.early ? this.refused(reason) : this.end(reason)))
    } catch (cause) {
      if (make) throw new BpttError('ERR_BACKEND', `the function of configure({ worker }) made no Worker (${reasonOf(cause)})`, { cause })
      platform().warn(refusal(cause))
      this.early = undefined
      return this.inThread()
    }
  }

  private inThread(): TrainingWorker {
    return inThread((message) => this.settle(message as Reply))
  }

  private begin(): void {
    const { early } = this
    this.early = undefined
    for (const [request, transfer] of early ?? []) this.send(request, transfer)
  }

  /** Our own Worker ended before it began. */
  private refused(reason: unknown): void {
    platform().warn(refusal(reason))
    this.worker = this.inThread()
    this.begin()
  }

  private settle(reply: Reply): void {
    const job = this.take(reply.engine)
    if ('error' in reply) job?.reject(errorOf(reply.error))
    else job?.resolve(reply.result)
  }

  private end(reason: unknown): void {
    if (current === this) current = undefined
    this.lost = new BpttError(
      'ERR_BACKEND',
      `the training Worker died, and with it the weights and moments that it held (${reasonOf(reason)})`,
      {
        hint: 'The next call starts a new one.',
        cause: reason,
      },
    )
    for (const engine of [...this.waiting.keys()]) this.take(engine)!.reject(this.lost)
  }

  private take(engine: number) {
    const job = this.waiting.get(engine)
    this.waiting.delete(engine)
    if (this.waiting.size === 0) this.worker.hold(false)
    return job
  }
}

/** Engines that nobody holds any more free their memory in the Worker. */
const abandoned = new FinalizationRegistry<{ home: Connection; id: number }>(({ home, id }) => home.forget(id))

let ids = 0

class Remote implements Engine {
  readonly description: EngineDescription
  private readonly id = ++ids
  /** Where the engine's memory is; undefined before the first job and after the loss of it. */
  private home: Connection | undefined
  private word: Int32Array | undefined
  private plans = new Set<number>()
  private isDisposed = false

  constructor(
    private readonly backend: Backend,
    private readonly options: EngineOptions,
  ) {
    this.description = backend.describe(options)
  }

  async submit(job: Job): Promise<JobResult> {
    if (this.isDisposed) throw disposed()
    const home = (this.home ??= this.settle())
    try {
      if (home.lost) throw home.lost
      if (this.word) Atomics.store(this.word, 0, 0)
      const copy = copyOf(job, this.plans.has(job.plan.id))
      const result = home.ask({ kind: 'run', engine: this.id, job: copy.job }, copy.transfer)
      this.plans.add(job.plan.id)
      return await result
    } finally {
      if (home.lost) this.home = undefined // the caller knows now that what it held is gone
    }
  }

  stop(): void {
    if (this.word) Atomics.store(this.word, 0, 1)
    else this.home?.send({ kind: 'stop', engine: this.id })
  }

  dispose(): void {
    if (this.isDisposed) return
    this.isDisposed = true
    abandoned.unregister(this)
    this.stop()
    this.home?.forget(this.id)
  }

  private settle(): Connection {
    const home = (current ??= new Connection())
    const { id, backend, options } = this
    this.plans = new Set()
    this.word = home.worker.sharesMemory ? new Int32Array(new SharedArrayBuffer(4)) : undefined
    home.send({ kind: 'create', engine: id, backend: backend.name, options, stop: this.word })
    abandoned.register(this, { home, id }, this)
    return home
  }
}

/** A job that can be sent: arrays of our own, that may be transferred, in place of the caller's, which it may change. */
function copyOf({ bytes, writes, plan, frames, count, reads }: Job, known: boolean) {
  const transfer: ArrayBuffer[] = []
  const copy = <A extends Float32Array | Float64Array | Int32Array>(array: A): A => {
    const mine = new (array.constructor as new (from: A) => A)(array)
    transfer.push(mine.buffer as ArrayBuffer)
    return mine
  }
  const sent: Plan | number = known ? plan.id : { id: plan.id, code: copy(plan.code), constants: copy(plan.constants) }
  const job = { bytes, writes: writes.map(({ at, data }) => ({ at, data: copy(data) })), plan: sent, frames: copy(frames), count, reads }
  return { job, transfer }
}

/** An engine on the backend's own threads, or inside the training Worker. Throws ERR_BACKEND where it cannot be used at all. */
export const createEngine = (backend: Backend, options: EngineOptions): Engine => backend.create?.(options) ?? new Remote(backend, options)
