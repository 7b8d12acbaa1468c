/* Checks of single values, and the reader of option objects. Nothing is ever coerced, and every property is read exactly once. */
import { BpttError, isArray, listKind, show } from '../errors.js'
import { type NameIn, PLACES, type Place, remedyFor } from './names.js'

export interface Range {
  readonly min: number
  readonly max: number
  /** The bounds themselves are not allowed: `(min`, `max)`. */
  readonly above?: boolean
  readonly below?: boolean
}

export const invalid = (at: string, expected: string, value: unknown, hint?: string) =>
  new BpttError('ERR_INVALID_ARG', value === undefined ? 'is missing' : 'cannot be used', { at, expected, received: show(value), hint })

function inRange(value: number, at: string, kind: string, { min, max, above, below }: Range): number {
  if (value < min || value > max || (above && value === min) || (below && value === max)) {
    const bounds = [
      above ? `greater than ${min}` : min > -Infinity ? `at least ${min}` : '',
      below ? `less than ${max}` : max < Infinity ? `at most ${max}` : '',
    ]
    throw new BpttError('ERR_OUT_OF_RANGE', 'is out of range', {
      at,
      expected: `${kind} ${bounds.filter(Boolean).join(' and ')}`,
      received: show(value),
    })
  }
  return value
}

export function integer(value: unknown, at: string, range: Range): number {
  if (typeof value !== 'number' || !Number.isInteger(value)) throw invalid(at, `an integer from ${range.min} to ${range.max}`, value)
  return inRange(value, at, 'an integer', range) + 0 // no -0
}

export function finite(value: unknown, at: string, range: Range): number {
  if (typeof value !== 'number' || !Number.isFinite(Math.fround(value)))
    throw invalid(at, Number.isFinite(value) ? 'a float32' : 'a finite number', value)
  return inRange(value, at, 'a number', range)
}

export function boolean(value: unknown, at: string): boolean {
  if (typeof value !== 'boolean') throw invalid(at, 'true or false', value)
  return value
}

export function choice<T>(value: unknown, at: string, choices: readonly T[]): T {
  if (!choices.includes(value as T)) throw invalid(at, `one of ${choices.map(show).join(', ')}`, value)
  return value as T
}

export function string(value: unknown, at: string): string {
  if (typeof value !== 'string') throw invalid(at, 'a string', value)
  return value
}

/** Elements of an array or typed array, each read once. `at` most so many. */
export function elements(value: unknown, at: string, what: string, most: number): unknown[] {
  if (value === null || typeof value !== 'object' || !(isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))))
    throw invalid(at, what, value)
  const { length } = value as ArrayLike<unknown>
  if (length > most)
    throw new BpttError('ERR_OUT_OF_RANGE', 'has too many elements', { at, expected: `at most ${most}`, received: show(length) })
  return Array.from({ length }, (_, i) => (value as ArrayLike<unknown>)[i])
}

/** Own enumerable properties of an object, by their string keys, each read once; undefined for what is none, or a list. */
export function fieldsOf(value: unknown): Map<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || listKind(value)) return undefined
  return new Map(Object.keys(value).map((key) => [key, (value as Record<string, unknown>)[key]]))
}

/** An option object of one place of the API: its own enumerable string keys, all known, each read once. undefined counts as left out. */
export class Options<P extends Place> {
  private readonly values: ReadonlyMap<string, unknown> = new Map()

  constructor(
    value: unknown,
    readonly at: string,
    readonly place: P,
    hint?: string,
  ) {
    if (value === undefined) return
    const fields = fieldsOf(value)
    if (!fields) throw invalid(at, `an object with ${list(PLACES[place].names)}`, value, hint)
    const names: readonly string[] = PLACES[place].names
    for (const key of fields.keys()) {
      if (names.includes(key)) continue
      const remedy = remedyFor(key, place)
      throw new BpttError('ERR_UNKNOWN_OPTION', 'there is no such option', {
        at: this.path(key),
        expected: remedy ? undefined : list(names),
        hint: remedy,
      })
    }
    this.values = fields
  }

  path(name: string): string {
    return /^[\w$]{1,40}$/.test(name) ? `${this.at}.${name}` : `${this.at}[${show(name)}]`
  }

  get(name: NameIn<P>): unknown {
    return this.values.get(name)
  }

  /** Reads by `check` where the option is given; where not, `fallback`. */
  read<T, F>(name: NameIn<P>, fallback: F, check: (value: unknown, at: string) => T): T | F {
    const value = this.get(name)
    return value === undefined ? fallback : check(value, this.path(name))
  }

  required<T>(name: NameIn<P>, check: (value: unknown, at: string) => T): T {
    return check(this.get(name), this.path(name))
  }

  integer<F>(name: NameIn<P>, fallback: F, min: number, max: number): number | F {
    return this.read(name, fallback, (value, at) => integer(value, at, { min, max }))
  }

  /** A finite number of at least `min`. */
  number<F>(name: NameIn<P>, fallback: F, min: number, more: Omit<Range, 'min' | 'max'> & { max?: number } = {}): number | F {
    return this.read(name, fallback, (value, at) => finite(value, at, { max: Infinity, ...more, min }))
  }

  boolean(name: NameIn<P>, fallback: boolean): boolean {
    return this.read(name, fallback, boolean)
  }

  choice<const T>(name: NameIn<P>, fallback: T, choices: readonly T[]): T {
    return this.read(name, fallback, (value, at) => choice(value, at, choices))
  }

  /** The one key that is given, with its value: `{ adam: { lr: 0.001 } }`. */
  only(): [NameIn<P>, unknown] {
    const given = [...this.values].filter(([, value]) => value !== undefined)
    if (given.length !== 1) {
      throw new BpttError('ERR_INVALID_ARG', 'must have exactly one key', {
        at: this.at,
        expected: `one of ${list(PLACES[this.place].names)}`,
        received: given.length ? list(given.map(([name]) => name)) : 'none',
      })
    }
    return given[0] as [NameIn<P>, unknown]
  }
}

const list = (names: readonly string[]) => names.join(', ')
