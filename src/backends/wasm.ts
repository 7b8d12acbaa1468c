/*
 * The WebAssembly backend on the calling thread: a LocalEngine around one instance of assembly/ with a memory of its own. JavaScript
 * copies in and out and calls once a frame. Off the event loop: backends/remote.ts, which runs this engine in a Worker.
 */
import { BpttError } from '../errors.js'
import { FrameView, SEQUENCE_FIELDS } from '../plan/frame.js'
import { floatOffset, REGIONS, regionOf } from '../plan/memory.js'
import { RESULT_FIELDS, Result, Status } from '../plan/operations.js'
import type { Plan } from '../plan/plan.js'
import { platform } from '../platform/platform.js'
import { firstBad } from '../sequences/numbers.js'
import {
  type Asked,
  type Backend,
  type EngineDescription,
  type EngineOptions,
  finish,
  type Job,
  type JobResult,
  type LocalEngine,
  type PlanCheck,
  type PreparedStep,
  type Read,
  type StepJob,
  type Write,
} from './engine.js'
import { encode } from './wasm-code.js'
import { type Exports, instantiate } from './wasm-instance.js'
import { createPages, JOB, WasmMemory } from './wasm-memory.js'
import { type Compiled, compiled } from './wasm-module.js'
import { Team } from './wasm-team.js'

/** assembly/team.ts has words for so many. */
const MAX_THREADS = 64
/** Multiplications of a frame that threads share at least: about 50 µs, against which their meetings are short. */
const ENOUGH = 2 ** 20
/** Of tokens that is checked elsewhere. */
const INTEGERS = 2 ** 31
/** What fail() says where a helper has died in mid-frame. */
const DIED = 2
/** Milliseconds that helpers are waited for at most, and for each multiplication of a frame: a twentieth of its time. */
const MOST_PATIENCE = 10
const PATIENCE = 5e-9

/** What the plan is here, made when first seen. */
interface Program {
  readonly code: Int32Array
  readonly segmented: boolean
  readonly work: number
  readonly constants: Float64Array
  readonly check: PlanCheck | undefined
}

/** Where the parts of a job are, in bytes behind the base of JOB, and the bytes that all regions need. */
interface Room {
  readonly constants: number
  readonly code: number
  readonly frames: number
  readonly starts: number
  readonly bytes: readonly number[]
}

/** Threads are taken only where they were asked for. @throws ERR_BACKEND where WebAssembly cannot be used here. */
export function describe({ numerics, threads = 1 }: EngineOptions): EngineDescription {
  const { isa, arithmetic } = compiled(numerics)
  const alone = threads > 1 ? platform().unshared() : undefined
  return {
    name: 'wasm',
    isa,
    arithmetic,
    threads: alone ? 1 : Math.min(threads, platform().threads(), MAX_THREADS),
    ...(alone && { alone }),
  }
}

/**
 * @param asked see Backend.createLocal; only engines of one thread pause
 * @throws ERR_BACKEND where WebAssembly cannot be used here
 */
export function createLocal(options: EngineOptions, asked?: Asked): LocalEngine {
  const description = describe(options)
  return new WasmEngine(description, compiled(options.numerics, description.threads > 1), asked)
}

/** @throws ERR_BACKEND where WebAssembly cannot be used here */
export function loadWasm(): Backend {
  compiled('portable')
  const workspaceBytes = ({ numerics }: EngineOptions) => compiled(numerics).heap
  return { name: 'wasm', describe, workspaceBytes, createLocal }
}

/** An instance with its memory, and its helpers where it has any. */
interface Parts {
  readonly module: WebAssembly.Module
  readonly helpers: number
  readonly pages: WebAssembly.Memory
  readonly exports: Exports
  readonly team: Team | undefined
  asked: Asked | undefined
}

/**
 * Shared memories of engines that were disposed of, for the next ones: the collector of a thread does not see how large they are, and so
 * would let them pile up. Those above so many bytes are left to it all the same.
 */
const spares: Parts[] = []
const MOST_SPARED = 2 ** 26

function partsFor({ module, heap, each }: Compiled, helpers: number, asked: Asked | undefined): Parts {
  const spare = spares.findIndex((parts) => parts.module === module && parts.helpers === helpers)
  if (spare >= 0) return Object.assign(spares.splice(spare, 1)[0]!, { asked })
  const pages = createPages(heap + helpers * each, helpers > 0)
  const exports = instantiate(module, pages, () => parts.asked?.() ?? 0)
  const team = helpers > 0 ? new Team(helpers, module, pages, exports) : undefined
  const parts: Parts = { module, helpers, pages, exports, team, asked }
  return parts
}

class WasmEngine implements LocalEngine {
  private held: { readonly parts: Parts; readonly memory: WasmMemory } | undefined
  private failure: BpttError | undefined
  private readonly programs = new WeakMap<Plan, Program>()

  constructor(
    readonly description: EngineDescription,
    compiled: Compiled,
    asked: Asked | undefined,
  ) {
    const helpers = description.threads - 1
    const parts = partsFor(compiled, helpers, asked)
    const first = compiled.heap + helpers * compiled.each
    this.held = { parts, memory: new WasmMemory(parts.pages, first, parts.exports.regionBases.value) }
  }

  run(job: Job): JobResult {
    return finish(this.start(job))
  }

  *start({ bytes, writes, plan, frames, count, reads }: Job): Generator<undefined, JobResult> {
    const { memory, parts } = this.usable()
    const program = this.program(plan)
    const sizes = memory.grown(bytes)
    for (const { at, data } of writes) inside(sizes, at, data.byteLength)
    for (const { at, kind, length } of reads) inside(sizes, at, kind === 'float64' ? 8 * length : 4 * length)
    const list: FrameView[] = []
    let ints = 0
    for (let n = 0; n < count; n++) {
      const frame = new FrameView(frames, ints)
      program.check?.frame(frame, frames.length - ints, sizes)
      list.push(frame)
      ints += frame.size
    }
    const room = roomFor(bytes, program, count, ints, list)
    memory.grow(room.bytes)
    for (const write of writes) copyIn(memory, write)
    for (const frame of list) program.check?.indices(frame, memory)

    const work = (frame: FrameView) => program.work * frame.R
    const most = list.reduce((largest, frame) => Math.max(largest, work(frame)), 0)
    if (most >= ENOUGH) parts.team?.call(Math.min(MOST_PATIENCE, PATIENCE * most))
    const begin = performance.now()
    const base = memory.base(JOB)
    load(memory, room, program, frames.length === ints ? frames : frames.subarray(0, ints))
    const { doubles } = memory.views()
    const results = doubles.subarray(base / 8, base / 8 + RESULT_FIELDS * count).fill(0)
    let at = base + room.frames
    for (let n = 0; n < count; ) {
      this.execute(base, room, at, base + 8 * RESULT_FIELDS * n, work(list[n]!))
      const status = results[RESULT_FIELDS * n + Result.STATUS]
      if (status === Status.PAUSED) yield
      else if (status === Status.DONE) at += 4 * list[n++]!.size
      else break
    }
    const seconds = (performance.now() - begin) / 1000
    return { results: results.slice(), reads: reads.map((read) => copyOut(memory, read)), seconds }
  }

  prepare({ bytes, plan, frame, input, output }: StepJob): PreparedStep {
    const { memory } = this.usable()
    const program = this.program(plan)
    const ints = frame.slice()
    const view = new FrameView(ints)
    const sizes = memory.grown(bytes)
    program.check?.frame(view, ints.length, sizes)
    inside(sizes, input.at, 4 * input.length)
    inside(sizes, output.at, 4 * output.length)
    const room = roomFor(bytes, program, 1, ints.length, [view])
    memory.grow(room.bytes)
    const from = input.kind === 'int32' ? new Int32Array(input.length) : new Float32Array(input.length)
    const to = new Float32Array(output.length)
    const write = { at: input.at, data: from }
    const run = () => {
      this.usable()
      if (firstBad(from, 0, from.length, INTEGERS) >= 0) return false
      copyIn(memory, write)
      program.check?.indices(view, memory)
      load(memory, room, program, ints)
      const base = memory.base(JOB)
      this.execute(base, room, base + room.frames, base, program.work * view.R)
      const { floats } = memory.views()
      const first = memory.byteOf(output.at) / 4
      for (let i = 0; i < to.length; i++) to[i] = floats[first + i]!
      return true
    }
    return { input: from, output: to, run }
  }

  dispose(): void {
    const parts = this.held?.parts
    this.held = undefined
    if (parts?.team && !parts.team.broken && !this.failure && parts.pages.buffer.byteLength <= MOST_SPARED) spares.push(parts)
  }

  private usable() {
    if (this.failure) throw this.failure
    if (!this.held) throw new BpttError('ERR_DISPOSED', 'this engine was disposed of')
    return this.held
  }

  private program(plan: Plan): Program {
    let program = this.programs.get(plan)
    if (!program)
      this.programs.set(plan, (program = { check: platform().planCheck?.(plan), ...encode(plan), constants: plan.constants.slice() }))
    return program
  }

  /** One frame of so much work, or the rest of one that has paused; all places are bytes of memory. */
  private execute(base: number, { code, constants, frames, starts }: Room, frame: number, result: number, work: number): void {
    const { exports, team } = this.usable().parts
    const threads = team?.broken || work < ENOUGH ? 1 : this.description.threads
    try {
      exports.run(base + code, base + frames, base + constants, frame, base + starts, result, threads)
    } catch (cause) {
      this.failure =
        exports.fail() === DIED
          ? new BpttError('ERR_BACKEND', 'a thread of the engine died in mid-update, and with it the weights and moments that it held', {
              hint: 'The next call starts a new engine.',
              cause,
            })
          : new BpttError('ERR_INTERNAL', 'the WebAssembly kernels failed; this engine cannot be used any more', { cause })
      throw this.failure
    }
  }
}

function roomFor(
  regions: readonly number[],
  { code, constants, segmented }: Program,
  count: number,
  frameInts: number,
  list: readonly FrameView[],
): Room {
  // The start of each step; and the same, with the fields of each sequence, of a segment (assembly/context.ts).
  const startInts = list.reduce((most, { B, T }) => Math.max(most, segmented ? 2 * (T + 1) + SEQUENCE_FIELDS.length * B : T + 1), 1)
  const constantsAt = 8 * RESULT_FIELDS * count
  const codeAt = constantsAt + 8 * constants.length
  const frames = codeAt + 4 * code.length
  const starts = frames + 4 * frameInts
  const bytes = Array.from({ length: REGIONS }, (_, r) => regions[r] ?? 0)
  bytes[JOB] = starts + 4 * startInts
  return { constants: constantsAt, code: codeAt, frames, starts, bytes }
}

/** Puts a plan and its frames where the interpreter reads them. */
function load(memory: WasmMemory, { constants, code, frames }: Room, program: Program, ints: Int32Array): void {
  const views = memory.views()
  const base = memory.base(JOB)
  views.doubles.set(program.constants, (base + constants) / 8)
  views.ints.set(program.code, (base + code) / 4)
  views.ints.set(ints, (base + frames) / 4)
}

function inside(sizes: readonly number[], at: number, bytes: number): void {
  if (at >= 0 && 4 * floatOffset(at) + bytes <= (sizes[regionOf(at)] ?? 0)) return
  throw new BpttError('ERR_INTERNAL', 'a copy does not fit its region', {
    expected: `at most ${sizes[regionOf(at)]} bytes`,
    received: `${bytes} at ${at}`,
  })
}

function copyIn(memory: WasmMemory, { at, data }: Write): void {
  const { ints, floats } = memory.views()
  if (data instanceof Int32Array) ints.set(data, memory.byteOf(at) / 4)
  else floats.set(data, memory.byteOf(at) / 4)
}

function copyOut(memory: WasmMemory, { at, kind, length }: Read): Float32Array | Float64Array {
  const { floats, doubles } = memory.views()
  const byte = memory.byteOf(at)
  return kind === 'float64' ? doubles.slice(byte / 8, byte / 8 + length) : floats.slice(byte / 4, byte / 4 + length)
}
