/*
 * The training Worker's program: holds engines by number and runs their jobs, one message each. The other end is remote.ts; worker.ts
 * runs this in a Worker, and remote.ts itself where there must be none.
 */
import { Status } from '../plan/operations.js'
import type { Plan } from '../plan/plan.js'
import { platform } from '../platform/platform.js'
import type { Listener, Post } from '../platform/seam.js'
import type { Job, JobResult, LocalEngine } from './engine.js'
import { errorMessage, type JobMessage, type Reply, type Request } from './messages.js'
import { loadBackend } from './select.js'
import { help } from './wasm-instance.js'

/** Milliseconds after which the event loop turns, where it must while a job runs: a page draws then, and stops are heard of. */
const SLICE = 8

interface Hosted {
  readonly engine: LocalEngine
  readonly plans: Map<number, Plan>
  readonly stop: Int32Array
  /** Whether `stop` is shared; otherwise it is of one job, and the event loop must turn for a message that sets it. */
  readonly shared: boolean
}

/** @param alone whether this thread does nothing else; otherwise engines have one thread here: only those pause */
export function host(post: Post, { alone }: { alone: boolean }): Listener {
  /** What could not be made stays here as its error, for the first job to report. */
  const engines = new Map<number, Hosted | { error: unknown }>()
  /** When the event loop must turn. */
  let until = 0

  function create({ backend, options, stop }: Request & { kind: 'create' }): Hosted | { error: unknown } {
    try {
      const word = stop ?? new Int32Array(1)
      const asked = () => (Atomics.load(word, 0) ? Status.STOPPED : stop || performance.now() < until ? 0 : Status.PAUSED)
      const engine = loadBackend(backend).createLocal(alone ? options : { ...options, threads: 1 }, asked)
      return { engine, plans: new Map(), stop: word, shared: stop !== undefined }
    } catch (error) {
      return { error }
    }
  }

  async function run({ engine, stop, shared }: Hosted, job: Job): Promise<JobResult> {
    if (!shared) stop[0] = 0
    const running = engine.start!(job)
    for (let paused = 0; ; ) {
      const { done, value } = running.next()
      if (done) return { ...value, seconds: value.seconds - paused }
      const begin = performance.now()
      await platform().pause()
      until = performance.now() + SLICE
      paused += (performance.now() - begin) / 1000
    }
  }

  async function answer(engine: number, job: JobMessage): Promise<void> {
    const reply = (message: Reply, transfer: ArrayBuffer[]) => post(message, transfer)
    try {
      const hosted = engines.get(engine)!
      if ('error' in hosted) throw hosted.error
      if (typeof job.plan !== 'number') hosted.plans.set(job.plan.id, job.plan)
      const plan = typeof job.plan === 'number' ? hosted.plans.get(job.plan)! : job.plan
      const result = await run(hosted, { ...job, plan })
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
