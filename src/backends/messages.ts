/* What remote.ts (main side) and host.ts (Worker side) say to each other, and how errors cross. An engine has one job at a time. */
import { BpttError, type ErrorCode } from '../errors.js'
import type { Plan } from '../plan/plan.js'
import type { BackendName, EngineOptions, Job, JobResult } from './engine.js'
import type { Call } from './wasm-instance.js'

/** A job whose plan is a number where the engine has seen it before. */
export interface JobMessage extends Omit<Job, 'plan'> {
  readonly plan: Plan | number
}

export type Request =
  | Call
  /** @param stop shared memory whose first int32 is not 0 when the job in flight must end; without it there are 'stop' messages */
  | {
      readonly kind: 'create'
      readonly engine: number
      readonly backend: BackendName
      readonly options: EngineOptions
      readonly stop: Int32Array | undefined
    }
  | { readonly kind: 'run'; readonly engine: number; readonly job: JobMessage }
  | { readonly kind: 'stop' | 'dispose'; readonly engine: number }

/** What a Worker says first. */
export const READY = 'bptt: ready'

export type Reply = { readonly engine: number } & ({ readonly result: JobResult } | { readonly error: ErrorMessage })

const FIELDS = ['code', 'message', 'stack', 'at', 'expected', 'received', 'hint', 'file', 'line'] as const

/** An error as plain data: structured clones of errors lose their fields. */
export type ErrorMessage = Partial<Record<(typeof FIELDS)[number], unknown>>

export function errorMessage(error: unknown): ErrorMessage {
  const known = error instanceof BpttError ? error : new BpttError('ERR_INTERNAL', `in the training Worker: ${error}`)
  return {
    ...Object.fromEntries(FIELDS.map((name) => [name, known[name as keyof BpttError]])),
    stack: error instanceof Error ? error.stack : undefined,
  }
}

export function errorOf(data: ErrorMessage): BpttError {
  const error = new BpttError(data.code as ErrorCode, '')
  for (const name of FIELDS) {
    const enumerable = name !== 'message' && name !== 'stack'
    if (data[name] !== undefined) Object.defineProperty(error, name, { value: data[name], configurable: true, writable: true, enumerable })
  }
  return error
}
