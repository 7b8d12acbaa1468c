/*
 * The reference backend: interprets plans in plain TypeScript, one operation after the other, on the calling thread. It is the readable
 * statement of the maths, the oracle of the tests, and what runs where neither native code nor WebAssembly can.
 */
import {
  areFinite,
  type EngineDescription,
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
import { float64, fma, mulAdd, type Rounding } from './arithmetic.js'
import { heads } from './head.js'
import { Context, Memory, type Operation } from './memory.js'
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

class ReferenceEngine implements Oracle {
  readonly description: EngineDescription
  private readonly operations: Operations
  private readonly memory: Memory
  private readonly programs = new WeakMap<Plan, Part[]>()

  constructor(
    rounding: Rounding,
    private readonly stop?: Int32Array,
  ) {
    this.description = describe(rounding)
    this.operations = operations(rounding)
    this.memory = new Memory(rounding.name === 'float64')
  }

  run({ bytes, writes, plan, frames, count, reads }: OracleJob): JobResult {
    this.memory.grow(bytes)
    for (const write of writes) this.write(write)
    const begin = performance.now()
    const results = new Float64Array(count * RESULT_FIELDS)
    for (let n = 0, at = 0; n < count; n++) {
      const frame = new FrameView(frames, at)
      const result = results.subarray(n * RESULT_FIELDS, (n + 1) * RESULT_FIELDS)
      this.execute(plan, frame, result)
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
      if (!areFinite(from)) return false
      this.write({ at: input.at, data: from })
      this.execute(plan, view, result)
      to.set(this.memory.floats(output.at).subarray(0, output.length))
      return true
    }
    return { input: from, output: to, run }
  }

  dispose(): void {
    this.memory.free()
  }

  /** Runs the plan over one frame; the caller's `result` is zero. */
  private execute(plan: Plan, frame: FrameView, result: Float64Array): void {
    result[Result.CLIP] = 1
    result[Result.STATUS] = Status.PENDING
    let updated = false // a frame that has begun to change parameters runs to its end
    const stopped = () => !updated && this.stop !== undefined && Atomics.load(this.stop, 0) !== 0
    const step = (part: Part, seen: FrameFields): boolean => {
      const { name } = part
      if (stopped()) {
        result[Result.STATUS] = Status.STOPPED
        return false
      }
      updated ||= name === 'UPDATE'
      if (name === 'GUARD') {
        if (!Number.isFinite(result[Result.LOSS])) result[Result.STATUS] = Status.NONFINITE_LOSS
        else if (!Number.isFinite(result[Result.NORM])) result[Result.STATUS] = Status.NONFINITE_GRADIENT
      } else
        this.operations[name as keyof Operations](new Context(this.memory, seen, plan.constants, result, stopped), ...moved(part, seen))
      return result[Result.STATUS] === Status.PENDING
    }
    for (const part of this.program(plan)) {
      if (!part.segments) {
        if (!step(part, frame)) return
        continue
      }
      const { steps, backwards, skip, body } = part.segments
      const count = segmentCount(frame.T, steps)
      for (let n = 0; n < count; n++) {
        const seen = segment(frame, backwards ? count - 1 - n : n, steps)
        for (const inner of n === 0 ? body.slice(skip) : body) if (!step(inner, seen)) return
      }
    }
    result[Result.STATUS] = stopped() ? Status.STOPPED : Status.DONE
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
 * @param stop a word that another thread sets to end the job in flight
 */
export function createReference(stop?: Int32Array): LocalEngine {
  return new ReferenceEngine(mulAdd, stop)
}

/** The reference in float32 with an exactly emulated fused multiply-add: an oracle for class fma, slow. */
export function createFused(): LocalEngine {
  return new ReferenceEngine(fma)
}

/** The reference without any rounding to float32. Its reads of kind 'float32' are Float64Arrays that hold the exact values. */
export function createOracle(): Oracle {
  return new ReferenceEngine(float64)
}
