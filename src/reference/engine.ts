/*
 * The reference backend: interprets plans in plain TypeScript, one operation after the other, on the calling thread. It is the readable
 * statement of the maths, the oracle of the tests, and what runs where neither native code nor WebAssembly can.
 */
import {
  type Asked,
  type EngineDescription,
  finish,
  type Job,
  type JobResult,
  type LocalEngine,
  type PreparedStep,
  type Read,
  type StepJob,
} from '../backends/engine.js'
import { type FrameFields, FrameView, segment, segmentCount } from '../plan/frame.js'
import { type OperationName, RESULT_FIELDS, Result, Status } from '../plan/operations.js'
import { moved, type Part, type Plan, parts } from '../plan/plan.js'
import { firstBad } from '../sequences/numbers.js'
import { float64, fma, mulAdd, type Rounding } from './arithmetic.js'
import { heads } from './head.js'
import { Context, Lookout, Memory, type Operation } from './memory.js'
import { moves } from './move.js'
import { optimizers } from './optimize.js'
import { projections } from './project.js'
import { recurrences } from './recur.js'

/** Every operation of the table but what is control flow and the interpreter's own. */
type Operations = Record<Exclude<OperationName, 'GUARD' | 'SEGMENTS' | 'MOVE'>, Operation>

const operations = (rounding: Rounding): Operations => ({
  ...moves(),
  ...projections(rounding),
  ...recurrences(rounding),
  ...heads(rounding),
  ...optimizers(rounding),
})

/** What the oracle takes beyond a Job: parameters and data in float64. */
export interface OracleJob extends Omit<Job, 'writes'> {
  readonly writes: readonly { readonly at: number; readonly data: Float32Array | Int32Array | Float64Array }[]
}
export interface Oracle extends LocalEngine {
  run(job: OracleJob): JobResult
}

const describe = ({ name }: Rounding): EngineDescription => ({ name: 'reference', isa: 'javascript', arithmetic: name, threads: 1 })
export const referenceDescription = describe(mulAdd)

/** The parts of a program in the order in which they run, each with what it sees: the frame, or a segment of it. */
function* walk(program: readonly Part[], frame: FrameFields): Generator<readonly [Part, FrameFields], void> {
  for (const part of program) {
    if (!part.segments) {
      yield [part, frame]
      continue
    }
    const { steps, backwards, skip, body } = part.segments
    const count = segmentCount(frame.T, steps)
    for (let n = 0; n < count; n++) {
      const seen = segment(frame, backwards ? count - 1 - n : n, steps)
      for (const inner of n === 0 ? body.slice(skip) : body) yield [inner, seen]
    }
  }
}

/** Whether loss and gradients are finite. Looks around, be it for the last time: what comes next may change parameters. */
function* guard(c: Context): Generator<undefined, void> {
  if (c.due(0, 0)) yield
  if (!Number.isFinite(c.result[Result.LOSS])) c.result[Result.STATUS] = Status.NONFINITE_LOSS
  else if (!Number.isFinite(c.result[Result.NORM])) c.result[Result.STATUS] = Status.NONFINITE_GRADIENT
}

class ReferenceEngine implements Oracle {
  readonly description: EngineDescription
  private readonly operations: Operations
  private readonly memory: Memory
  private readonly lookout: Lookout
  private readonly programs = new WeakMap<Plan, Part[]>()

  constructor(rounding: Rounding, asked?: Asked) {
    this.lookout = new Lookout(asked)
    this.description = describe(rounding)
    this.operations = operations(rounding)
    this.memory = new Memory(rounding.name === 'float64')
  }

  run(job: OracleJob): JobResult {
    return finish(this.start(job))
  }

  *start({ bytes, writes, plan, frames, count, reads }: OracleJob): Generator<undefined, JobResult> {
    this.memory.grow(bytes)
    for (const write of writes) this.write(write)
    const begin = performance.now()
    const results = new Float64Array(count * RESULT_FIELDS)
    for (let n = 0, at = 0; n < count; n++) {
      const frame = new FrameView(frames, at)
      const result = results.subarray(n * RESULT_FIELDS, (n + 1) * RESULT_FIELDS)
      yield* this.work(plan, frame, result)
      if (result[Result.STATUS] !== Status.DONE) break
      at += frame.size
    }
    const seconds = (performance.now() - begin) / 1000
    return { results, reads: reads.map((read) => this.read(read)), seconds }
  }

  prepare({ bytes, plan, frame, input, output }: StepJob): PreparedStep {
    this.memory.grow(bytes)
    const view = new FrameView(frame.slice())
    const result = new Float64Array(RESULT_FIELDS)
    const from = input.kind === 'int32' ? new Int32Array(input.length) : new Float32Array(input.length)
    const to = new Float32Array(output.length)
    const run = () => {
      if (firstBad(from, 0, from.length, 2 ** 31) >= 0) return false // tokens are checked elsewhere
      this.write({ at: input.at, data: from })
      for (const _ of this.work(plan, view, result));
      to.set(this.memory.floats(output.at).subarray(0, output.length))
      return true
    }
    return { input: from, output: to, run }
  }

  dispose(): void {
    this.memory.free()
  }

  /** Runs the plan over one frame; yields where it is to pause. */
  private *work(plan: Plan, frame: FrameView, result: Float64Array): Generator<undefined, void> {
    const { lookout } = this
    result.fill(0)
    result[Result.CLIP] = 1
    lookout.stoppable = true
    if (lookout.begins() && (yield* this.leave(result))) return
    for (const [part, seen] of walk(this.program(plan), frame)) {
      const { name } = part
      if (name === 'UPDATE') lookout.stoppable = false
      const context = new Context(this.memory, seen, plan.constants, result, lookout)
      const steps = name === 'GUARD' ? guard(context) : this.operations[name as keyof Operations](context, ...moved(part, seen))
      for (const _ of steps ?? []) if (yield* this.leave(result)) break
      if (result[Result.STATUS] !== Status.PENDING) return
    }
    result[Result.STATUS] = Status.DONE
  }

  /** Where the lookout says to leave the frame: for a while, or for good. @returns whether for good */
  private *leave(result: Float64Array): Generator<undefined, boolean> {
    const { over } = this.lookout
    if (over === Status.PAUSED) yield
    else result[Result.STATUS] = over
    return over !== Status.PAUSED
  }

  private program(plan: Plan): Part[] {
    let program = this.programs.get(plan)
    if (!program) this.programs.set(plan, (program = parts(plan)))
    return program
  }

  private write({ at, data }: OracleJob['writes'][number]): void {
    if (data instanceof Int32Array) this.memory.ints(at).set(data)
    else this.memory.floats(at).set(data)
  }

  private read({ at, kind, length }: Read): Float32Array | Float64Array {
    return kind === 'float64' ? this.memory.doubles(at).slice(0, length) : this.memory.floats(at).slice(0, length)
  }
}

/**
 * The reference in float32, class mul-add.
 * @param asked see Backend.createLocal
 */
export function createReference(asked?: Asked): LocalEngine {
  return new ReferenceEngine(mulAdd, asked)
}

/** The reference in float32 with an exactly emulated fused multiply-add: an oracle for class fma, slow. */
export function createFused(): LocalEngine {
  return new ReferenceEngine(fma)
}

/** The reference without any rounding to float32. Its reads of kind 'float32' are Float64Arrays that hold the exact values. */
export function createOracle(): Oracle {
  return new ReferenceEngine(float64)
}
