/* The one error type of the package: codes, fields, and how its message is put together. docs/errors.md is generated from ERROR_CODES. */

/** Every code with its meaning. */
export const ERROR_CODES = {
  ERR_INVALID_ARG: 'A value is of the wrong kind.',
  ERR_OUT_OF_RANGE: 'A value is of the right kind but outside of what is allowed.',
  ERR_SHAPE_MISMATCH: 'Sizes do not fit together.',
  ERR_UNKNOWN_OPTION: 'An option has a name that does not exist here.',
  ERR_LABEL: 'A label or a character that the network does not know.',
  ERR_EMPTY: 'There is nothing to work on.',
  ERR_NONFINITE: 'NaN or Infinity, in the data or as the result of an update; the message says which weights the model has now.',
  ERR_DETACHED: 'An ArrayBuffer was transferred or detached.',
  ERR_INVALID_THIS: 'A method was called on something that is not a model or a stream.',
  ERR_BUSY: 'Another operation that changes the weights is running on this model.',
  ERR_DISPOSED: 'The model was disposed of.',
  ERR_BACKEND: 'A backend cannot be used here; the message lists what was tried.',
  ERR_OUT_OF_MEMORY: 'The memory that this needs could not be had; nothing was changed.',
  ERR_MODEL_FORMAT: 'The bytes are not a model file that can be read.',
  ERR_MODEL_DTYPE: 'A tensor in a model file has an element type that cannot be converted.',
  ERR_MODEL_SHAPE: 'A tensor in a model file has another shape than the network needs.',
  ERR_MODEL_VERSION: 'A model file was written by a version that this one does not know.',
  ERR_MODEL_CHECKSUM: 'The content of a model file does not match its digest.',
  ERR_MODEL_TOO_LARGE: 'A model file is larger than the limit.',
  ERR_IO: 'Reading or writing a file failed.',
  ERR_DATA: 'A data file has a line that cannot be read.',
  ERR_INTERNAL: 'A defect of the package; please report it.',
} as const

export type ErrorCode = keyof typeof ERROR_CODES

export interface ErrorDetails {
  /** Path of the value, as the user would write it: `x[17][203][2]`, `options.epochs`. */
  at?: string
  expected?: string
  received?: string
  /** What to type instead. */
  hint?: string
  file?: string
  line?: number
  cause?: unknown
}

/** Thrown, and rejected with, by everything in this package. */
export class BpttError extends Error {
  override readonly name = 'BpttError'
  readonly code: ErrorCode
  /** What is wrong, without place and values. */
  readonly summary: string
  readonly at?: string
  readonly expected?: string
  readonly received?: string
  readonly hint?: string
  readonly file?: string
  readonly line?: number

  /** @param summary one clause that says what is wrong, without place and values: those are put around it. */
  constructor(code: ErrorCode, summary: string, details: ErrorDetails = {}) {
    super(message(summary, details), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.summary = summary
    for (const key of ['at', 'expected', 'received', 'hint', 'file', 'line'] as const)
      if (details[key] !== undefined) Object.assign(this, { [key]: details[key] })
  }
}

/** Of a method that was called on something else, or on nothing. */
export const notThis = (what: string, received: unknown, call: string) =>
  new BpttError('ERR_INVALID_THIS', `this is not ${what}`, { received: show(received), hint: `Call it as ${call}, or bind it.` })

/** `corpus.jsonl:3: x[2][0]: is not a number: expected a finite number, received "a". Hint.` */
function message(summary: string, { at, expected, received, hint, file, line }: ErrorDetails): string {
  const place = [file === undefined ? '' : line === undefined ? `${file}: ` : `${file}:${line}: `, at === undefined ? '' : `${at}: `].join(
    '',
  )
  const values = [expected === undefined ? '' : `expected ${expected}`, received === undefined ? '' : `received ${received}`]
    .filter(Boolean)
    .join(', ')
  return `${place}${summary}${values ? `: ${values}` : ''}.${hint ? ` ${hint}` : ''}`
}

/** A value as it is shown in a message: short, and never a call into the user's code. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === 'bigint') return `${value}n`
  if (typeof value === 'number' || typeof value === 'boolean' || value === null || value === undefined) return String(value)
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'symbol') return 'a symbol'
  return listKind(value) ?? 'an object'
}

/** What an object is that has no named values of the user's, and would pass for one in which all of them were left out. */
export function listKind(value: object): string | undefined {
  if (isArray(value)) return `an array of ${value.length}`
  if (ArrayBuffer.isView(value)) return value instanceof DataView ? 'a DataView' : `a ${Object.prototype.toString.call(value).slice(8, -1)}`
  if (isOf(value, Promise)) return 'a Promise (was await forgotten?)'
  return isOf(value, Map) ? 'a Map' : isOf(value, Set) ? 'a Set' : undefined
}

/** Array.isArray that a revoked Proxy cannot make throw. */
export function isArray(value: unknown): value is readonly unknown[] {
  try {
    return Array.isArray(value)
  } catch {
    return false
  }
}

/** instanceof likewise. */
function isOf(value: object, kind: new (...given: never[]) => object): boolean {
  try {
    return value instanceof kind
  } catch {
    return false
  }
}
