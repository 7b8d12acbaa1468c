/*
 * The native backend: finds the addon, and puts the engine interface around its functions (native/addon/addon.cc lists them). Memory,
 * threads and checks are the addon's; which backend is used is chosen elsewhere.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate } from 'node:timers'
import { BpttError, ERROR_CODES, type ErrorCode } from '../errors.js'
import { stride, WORKSPACE_BYTES } from '../plan/memory.js'
import { RESULT_FIELDS } from '../plan/operations.js'
import { assistant } from '../sequences/numbers.js'
import { borrow } from '../sequences/room.js'
import type {
  Arithmetic,
  Backend,
  Engine,
  EngineDescription,
  EngineOptions,
  Job,
  JobResult,
  LocalEngine,
  PreparedStep,
  StepJob,
} from './engine.js'

/** Opaque: an engine of the addon. */
type Handle = object
type JobArguments = [
  bytes: Float64Array,
  planId: number,
  code: Int32Array,
  constants: Float64Array,
  frames: Int32Array,
  count: number,
  at: Int32Array,
  writes: (Float32Array | Int32Array)[],
  outputs: (Float32Array | Float64Array)[],
  onlyFinite: boolean,
]

interface Addon {
  describe(isa: string, portable: boolean): { isa: string; arithmetic: Arithmetic }
  availableThreads(): number
  createEngine(isa: string, portable: boolean, threads: number): Handle
  run(engine: Handle, ...job: JobArguments): number
  submit(engine: Handle, ...job: [...JobArguments, here: boolean]): number | Promise<number>
  prepare(
    engine: Handle,
    bytes: Float64Array,
    planId: number,
    code: Int32Array,
    constants: Float64Array,
    frame: Int32Array,
    inputAt: number,
    input: Float32Array | Int32Array,
    outputAt: number,
    output: Float32Array,
  ): () => undefined | false
  stop(engine: Handle): void
  giveWay(engine: Handle): void
  dispose(engine: Handle): void
  finite(list: Float32Array): boolean
  largest(list: Float32Array, places: Int32Array): void
}

/** The addon cuts an operation into this many shares at most. */
const MAX_THREADS = 64

/** Own build first, then what the package brings. Which libc this is shows by trying: asking for it costs milliseconds. */
function candidates(): string[] {
  const root = join(__dirname, '..', '..', '..')
  const names = process.platform === 'linux' ? ['bptt.glibc.node', 'bptt.musl.node'] : ['bptt.node']
  return [
    join('build', 'Release', 'bptt.node'),
    ...names.map((name) => join('prebuilds', `${process.platform}-${process.arch}`, name)),
  ].map((path) => join(root, path))
}

let loaded: Addon | undefined

function assist({ finite, largest }: Addon): void {
  assistant.finite = finite
  assistant.largest = (list, size) => {
    const places = new Int32Array(list.length / size)
    largest(list, places)
    return places
  }
}

function load(): Addon {
  if (loaded) return loaded
  const reasons: string[] = []
  for (const path of candidates()) {
    if (!existsSync(path)) {
      reasons.push(`${path}: is not there`)
      continue
    }
    try {
      loaded = require(path) as Addon
      assist(loaded)
      return loaded
    } catch (error) {
      reasons.push(`${path}: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`)
    }
  }
  throw new BpttError('ERR_BACKEND', `the native addon cannot be loaded (${reasons.join('; ')})`, {
    hint: '`npm run build:native` builds it where there are a C++ compiler, Python and Node headers; without it the package works on WebAssembly.',
  })
}

/** The instruction set that BPTT_ISA forces, or '' for the best one. */
const isa = () => process.env.BPTT_ISA ?? ''

/** An error of the addon in the package's own class. */
function translated(error: unknown): unknown {
  const { code, message } = error as { code?: unknown; message?: unknown }
  return typeof code === 'string' && code in ERROR_CODES ? new BpttError(code as ErrorCode, String(message)) : error
}

function calling<T>(body: () => T): T {
  try {
    return body()
  } catch (error) {
    throw translated(error)
  }
}

/** Fresh memory for what comes back, asked for before anything is changed. */
function allocate<T>(body: () => T): T {
  try {
    return body()
  } catch (cause) {
    throw new BpttError('ERR_OUT_OF_MEMORY', 'an array for the results could not be had', { cause })
  }
}

function jobArguments({ bytes, plan, frames, count, writes, reads, into }: Job): JobArguments {
  const outputs = allocate(() => [
    new Float64Array(count * RESULT_FIELDS),
    ...reads.map(({ kind, length, inside }, i) => {
      if (into && i === reads.length - 1) return into
      return kind === 'float64' ? new Float64Array(length) : inside ? borrow(Float32Array, length, () => 'reads') : new Float32Array(length)
    }),
  ])
  const at = new Int32Array(writes.length + reads.length)
  writes.forEach((write, i) => {
    at[i] = write.at
  })
  reads.forEach((read, i) => {
    at[writes.length + i] = read.at
  })
  const data = writes.map(({ data }) => data)
  return [new Float64Array(bytes), plan.id, plan.code, plan.constants, frames, count, at, data, outputs, into !== undefined]
}

function jobResult(seconds: number, [results, ...reads]: (Float32Array | Float64Array)[]): JobResult {
  return { results: results as Float64Array, reads, seconds }
}

/** Brief jobs run on the thread that asks, and end in the same turn of its event loop, which no row of them may hold up for longer. */
const TURN_MS = 4
let firstBegan: number | undefined

/** Whether the brief jobs of this turn of the event loop have not lasted too long yet. */
const mayRunHere = () => firstBegan === undefined || performance.now() - firstBegan < TURN_MS

function ranHere(began: number): void {
  if (firstBegan !== undefined) return
  firstBegan = began
  setImmediate(() => {
    firstBegan = undefined
  })
}

class NativeEngine implements Engine, LocalEngine {
  private readonly handle: Handle
  private inFlight = 0

  constructor(
    private readonly addon: Addon,
    readonly description: EngineDescription,
    { numerics, threads }: EngineOptions,
  ) {
    this.handle = calling(() =>
      addon.createEngine(isa(), numerics === 'portable', Math.min(threads ?? addon.availableThreads(), MAX_THREADS)),
    )
  }

  run(job: Job): JobResult {
    const args = jobArguments(job)
    return jobResult(
      calling(() => this.addon.run(this.handle, ...args)),
      args[8],
    )
  }

  async submit(job: Job): Promise<JobResult> {
    const args = jobArguments(job)
    const began = performance.now()
    const running = calling(() => this.addon.submit(this.handle, ...args, mayRunHere()))
    if (typeof running === 'number') {
      ranHere(began)
      return jobResult(running, args[8])
    }
    this.inFlight++
    try {
      return jobResult(await running, args[8])
    } catch (error) {
      throw translated(error)
    } finally {
      this.inFlight--
    }
  }

  get queues(): boolean {
    return this.inFlight > 0
  }

  prepare({ bytes, plan, frame, input, output }: StepJob): PreparedStep {
    // In one buffer, so that one look tells whether both are there; and outputs to whole units, as the addon writes them.
    const buffer = allocate(() => new ArrayBuffer(4 * (input.length + stride(output.length))))
    const x = input.kind === 'int32' ? new Int32Array(buffer, 0, input.length) : new Float32Array(buffer, 0, input.length)
    const y = new Float32Array(buffer, 4 * input.length)
    const step = calling(() =>
      this.addon.prepare(this.handle, new Float64Array(bytes), plan.id, plan.code, plan.constants, frame, input.at, x, output.at, y),
    )
    const run = () => {
      if (y.length === 0) throw new BpttError('ERR_DETACHED', 'an array of this stream was transferred')
      try {
        return step() === undefined
      } catch (error) {
        throw translated(error)
      }
    }
    return { input: x, output: y.subarray(0, output.length), run }
  }

  stop(): void {
    this.addon.stop(this.handle)
  }

  giveWay(): void {
    this.addon.giveWay(this.handle)
  }

  dispose(): void {
    this.addon.dispose(this.handle)
  }
}

/** Threads worth having here: the processors that this process may use, less where a cgroup allows less time. */
export const availableThreads = (): number => load().availableThreads()

/**
 * The native backend.
 *
 * `threads` is how many shares an operation is cut into; there are never more real threads than processors, and one job at a time has them.
 * `describe` and `create` throw ERR_INVALID_ARG where BPTT_ISA names an instruction set that does not exist here.
 * @throws BpttError ERR_BACKEND where no addon can be loaded, with the reason for each that was tried
 */
export function loadNative(): Required<Backend> {
  const addon = load()
  const describe = ({ numerics, threads }: EngineOptions): EngineDescription => ({
    name: 'native',
    ...addon.describe(isa(), numerics === 'portable'),
    threads: Math.min(threads ?? Infinity, addon.availableThreads()),
  })
  const create = (options: EngineOptions) =>
    new NativeEngine(
      addon,
      calling(() => describe(options)),
      options,
    )
  return {
    name: 'native',
    describe: (options) => calling(() => describe(options)),
    workspaceBytes: (options) => calling(() => describe(options)).threads * WORKSPACE_BYTES,
    create,
    createLocal: create,
  }
}
