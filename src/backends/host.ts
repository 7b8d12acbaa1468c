/*
 * The training Worker's program: holds engines by number and runs their jobs, one message each. The other end is remote.ts; worker.ts
 * runs this in a Worker, and remote.ts itself where there must be none.
 */
import { FrameField } from '../plan/frame.js'
import { RESULT_FIELDS, Result, Status } from '../plan/operations.js'
import type { Plan } from '../plan/plan.js'
import { type Listener, type Post, platform } from '../platform/platform.js'
import type { Job, JobResult, LocalEngine } from './engine.js'
import { errorMessage, type JobMessage, type Reply, type Request } from './messages.js'
import { loadBackend } from './select.js'
import { help } from './wasm-instance.js'

/** Between slices of about this many seconds a job can be stopped. */
const SLICE = 0.002

interface Hosted {
  readonly engine: LocalEngine
  readonly plans: Map<number, Plan>
  readonly stop: Int32Array
  /** Whether `stop` is shared; otherwise it is of one job, and the event loop must turn for a message that sets it. */
  readonly shared: boolean
}

/** @param alone whether this thread does nothing else; otherwise the event loop turns after every slice */
export function host(post: Post, { alone }: { alone: boolean }): Listener {
  /** What could not be made stays here as its error, for the first job to report. */
  const engines = new Map<number, Hosted | { error: unknown }>()

  function create({ backend, options, stop }: Request & { kind: 'create' }): Hosted | { error: unknown } {
    try {
      const word = stop ?? new Int32Array(1)
      return { engine: loadBackend(backend).createLocal(options, word), plans: new Map(), stop: word, shared: stop !== undefined }
    } catch (error) {
      return { error }
    }
  }

  async function answer(engine: number, job: JobMessage): Promise<void> {
    const reply = (message: Reply, transfer: ArrayBuffer[]) => post(message, transfer)
    try {
      const hosted = engines.get(engine)!
      if ('error' in hosted) throw hosted.error
      if (typeof job.plan !== 'number') hosted.plans.set(job.plan.id, job.plan)
      const plan = typeof job.plan === 'number' ? hosted.plans.get(job.plan)! : job.plan
      const result = await run(hosted, { ...job, plan }, alone)
      reply(
        { engine, result },
        [result.results, ...result.reads].map((array) => array.buffer as ArrayBuffer),
      )
    } catch (error) {
      reply({ engine, error: errorMessage(error) }, [])
    }
  }

  return (message) => {
    const request = message as Request
    if (request.kind === 'help') return help(request)
    const hosted = engines.get(request.engine)
    const running = hosted && !('error' in hosted) ? hosted : undefined
    switch (request.kind) {
      case 'create':
        engines.set(request.engine, create(request))
        break
      case 'run':
        void answer(request.engine, request.job)
        break
      case 'stop':
        if (running) running.stop[0] = 1
        break
      case 'dispose':
        if (running) running.stop[0] = 1
        engines.delete(request.engine)
        running?.engine.dispose()
    }
  }
}

/** Runs a job slice by slice, so that a stop is seen even where the engine does not look for one. */
async function run({ engine, stop, shared }: Hosted, job: Job, alone: boolean): Promise<JobResult> {
  const { frames, count } = job
  if (!shared) stop[0] = 0
  engine.run({ ...job, count: 0, reads: [] })
  const results = new Float64Array(count * RESULT_FIELDS)
  let seconds = 0
  let at = 0
  let size = 1
  for (let done = 0; done < count; ) {
    const slice = Math.min(size, count - done)
    let end = at
    for (let n = 0; n < slice; n++) end += frames[end + FrameField.SIZE]!
    if (Atomics.load(stop, 0) !== 0) {
      results[done * RESULT_FIELDS + Result.STATUS] = Status.STOPPED
      break
    }
    const part = engine.run({ ...job, writes: [], frames: frames.subarray(at, end), count: slice, reads: [] })
    results.set(part.results, done * RESULT_FIELDS)
    seconds += part.seconds
    done += slice
    at = end
    if (results[(done - 1) * RESULT_FIELDS + Result.STATUS] !== Status.DONE) break
    if (part.seconds < SLICE / 2) size *= 2
    if (!shared || !alone) await platform().pause()
  }
  return { results, reads: engine.run({ ...job, writes: [], count: 0 }).reads, seconds }
}
