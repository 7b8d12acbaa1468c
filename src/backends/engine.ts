/*
 * What a backend is to the rest of the library. An engine owns the memory of one model and interprets plans over it.
 *
 *   LocalEngine  runs on the calling thread: reference/engine.ts, backends/wasm.ts, backends/native.ts
 *   Engine       runs off the event loop: backends/native.ts (a thread of its own), backends/remote.ts (a LocalEngine in a Worker)
 */
import type { FrameView } from '../plan/frame.js'
import type { Plan } from '../plan/plan.js'

export type BackendName = 'native' | 'wasm' | 'reference'

/** The class of float32 arithmetic (docs/numerics.md): equal class, equal bits. float64 is the oracle of the tests. */
export type Arithmetic = 'fma' | 'mul-add' | 'float64'

export interface EngineOptions {
  /** 'portable' asks for the mul-add class everywhere, 'fast' for the fastest that the machine has. */
  readonly numerics: 'fast' | 'portable'
  /** At most this many threads; undefined leaves it to the backend. Backends without threads use one. */
  readonly threads: number | undefined
}

export interface EngineDescription {
  readonly name: BackendName
  /** avx512, avx2, sse2, neon; simd128 or relaxed-simd; javascript */
  readonly isa: string
  readonly arithmetic: Arithmetic
  readonly threads: number
  /** Why it has one thread where more were asked for. */
  readonly alone?: string
}

export interface Write {
  /** Address of the first element (plan/memory.ts). */
  readonly at: number
  readonly data: Float32Array | Int32Array
}

export interface Read {
  readonly at: number
  readonly kind: 'float32' | 'float64'
  /** Elements, not bytes. */
  readonly length: number
  /** Whoever reads gives the array back (sequences/room.ts): nothing of it reaches a user. */
  readonly inside?: boolean
}

/** One unit of work: make room, copy in, run the plan once per frame, copy out. */
export interface Job {
  /** Bytes each region must have from here on, by region number; never less than before. HOME, DATA, CARRY and PACK keep their content when they grow; new bytes are zero. */
  readonly bytes: readonly number[]
  readonly writes: readonly Write[]
  readonly plan: Plan
  /** Frames laid end to end (plan/frame.ts). */
  readonly frames: Int32Array
  readonly count: number
  readonly reads: readonly Read[]
  /**
   * For the last of them, in place of a fresh array: nobody else's, and only an engine in this process fills it, when all has gone well.
   * Where what it would get is not all finite it stays as it is, and null comes back for it.
   */
  readonly into?: Float32Array | undefined
}

export interface JobResult {
  /** RESULT_FIELDS float64 for each frame (plan/operations.ts); a job ends at the first frame whose STATUS is not DONE, but still copies out. */
  readonly results: Float64Array
  readonly reads: readonly (Float32Array | Float64Array)[]
  /** Time that the frames took, without queueing and copying. */
  readonly seconds: number
}

/** One frame to be run again and again on the same places: a stream. */
export interface StepJob {
  readonly bytes: readonly number[]
  readonly plan: Plan
  readonly frame: Int32Array
  readonly input: { readonly at: number; readonly kind: 'float32' | 'int32'; readonly length: number }
  readonly output: { readonly at: number; readonly length: number }
}

export interface PreparedStep {
  /** Each run copies this to input.at first … */
  readonly input: Float32Array | Int32Array
  /** … and output.at into this last. Always the same array. */
  readonly output: Float32Array
  /** False, with nothing done, where an input is no finite number. */
  run(): boolean
}

export interface LocalEngine {
  readonly description: EngineDescription
  /** Runs a job here and now. Throws ERR_OUT_OF_MEMORY, with nothing changed, where a region cannot grow. */
  run(job: Job): JobResult
  /** The same, but comes back whenever it is told to pause, in mid-frame too. For backends that have no `create`. */
  start?(job: Job): Generator<undefined, JobResult>
  prepare(step: StepJob): PreparedStep
  dispose(): void
}

export interface Engine {
  readonly description: EngineDescription
  /**
   * A job is in flight, and another may be submitted behind it, if the one reads nothing and the other needs neither more room nor writes.
   * Unless the first is run to its end nothing of the other is: its first frame then has Status.STOPPED.
   */
  readonly queues?: boolean
  /** Runs a job off the event loop. One job at a time, but where `queues`: the caller waits for the promise before the next call. What it passes is copied (or, in a Worker, may be transferred by the engine's own copy) during the call. */
  submit(job: Job): Promise<JobResult>
  /** Asks the job in flight to end before its next update; its frame then has Status.STOPPED. */
  stop(): void
  /** The same, but jobs end after the frame that runs, which is DONE, and are left 10 ms from where the first of them began. */
  giveWay?(): void
  /** Frees the memory. A job in flight is stopped first; its promise rejects with ERR_DISPOSED. */
  dispose(): void
}

export type Asked = () => number

/** A backend that could be loaded on this machine. */
export interface Backend {
  readonly name: BackendName
  describe(options: EngineOptions): EngineDescription
  /** Bytes that an engine takes for its kernels, beside the regions of its jobs. */
  workspaceBytes(options: EngineOptions): number
  /**
   * @param asked called again and again while a job runs: Status.STOPPED to end it before its next update (Engine.stop), Status.PAUSED
   *   to make start() come back, 0 to go on
   */
  createLocal(options: EngineOptions, asked?: Asked): LocalEngine
  /** Where the backend has threads of its own; for the others see remote.ts. */
  create?(options: EngineOptions): Engine
}

/** Memory that holds tokens and classes. */
export interface IndexMemory {
  views(): { readonly ints: Int32Array; readonly floats: Float32Array }
  /** Byte of an address. */
  byteOf(at: number): number
}

/** Whether one plan stays inside its memory: throws ERR_INTERNAL or ERR_OUT_OF_RANGE where it does not. */
export interface PlanCheck {
  /** A frame against the sizes of the regions, in bytes. `frame` lies in `ints` ints. */
  frame(frame: FrameView, ints: number, bytes: readonly number[]): void
  /** Tokens and classes of a frame that passed the check above. */
  indices(frame: FrameView, memory: IndexMemory): void
}

/** All of a job that may pause, without pauses. */
export function finish(job: Generator<undefined, JobResult>): JobResult {
  for (;;) {
    const { done, value } = job.next()
    if (done) return value
  }
}
