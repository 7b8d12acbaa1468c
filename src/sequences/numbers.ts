/*
 * Numbers as users pass them: typed arrays of any kind and realm, arrays, and { data, shape }. What a typed array is and how long it is
 * comes from the engine, never from properties that a subclass, a Proxy or another realm can make up. Which numbers mean what is not
 * decided here. Used by all readers of this folder.
 */
import { BpttError, isArray, show } from '../errors.js'

/** Where a value stands, built only when a message needs it. */
export type Path = () => string

export type View =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
/** A flat list: its elements are checked by who reads them, unless it is a View. */
export type Flat = View | readonly unknown[]

interface ViewConstructor {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): View
  readonly BYTES_PER_ELEMENT: number
}
const CONSTRUCTORS: Record<string, ViewConstructor | undefined> = Object.assign(Object.create(null), {
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  Float16Array: (globalThis as { Float16Array?: ViewConstructor }).Float16Array,
})

// Taken once, at load, so that nothing done to the prototypes later changes what they answer.
const prototype = Object.getPrototypeOf(Uint8Array.prototype) as object
const slot = <A>(key: PropertyKey) =>
  Function.prototype.call.bind(Object.getOwnPropertyDescriptor(prototype, key)!.get!) as (view: unknown) => A
const kindOf = slot<string | undefined>(Symbol.toStringTag)
const lengthOf = slot<number>('length')
const bufferOf = slot<ArrayBufferLike>('buffer')
const byteOffsetOf = slot<number>('byteOffset')
const indexOf = Function.prototype.call.bind((prototype as Float32Array).indexOf) as (view: unknown, value: number) => number

/** A typed array of numbers that has memory, or undefined for what is none. */
function checkedView(value: unknown, at: Path): View | undefined {
  const kind = kindOf(value)
  if (kind === undefined) return undefined
  if (!CONSTRUCTORS[kind])
    throw new BpttError('ERR_INVALID_ARG', `is a ${kind}`, { at: at(), hint: 'Copy it into a Float64Array or an array of numbers.' })
  if (lengthOf(value) === 0) checkAttached(value, at)
  return value as View
}

/** A plain view of n elements, whatever else the user's array is. */
export function partOf(view: View, start: number, n: number): View {
  const Plain = CONSTRUCTORS[kindOf(view)!]!
  return new Plain(bufferOf(view), byteOffsetOf(view) + start * Plain.BYTES_PER_ELEMENT, n)
}

/** Tells a typed array without elements from one whose memory has gone: the engine reports length 0 for both. */
function checkAttached(view: unknown, at: Path) {
  const buffer = bufferOf(view)
  try {
    new Uint8Array(buffer)
  } catch (cause) {
    throw detached(at, cause)
  }
  try {
    indexOf(view, 0)
  } catch (cause) {
    throw new BpttError('ERR_SHAPE_MISMATCH', 'lies outside of its buffer, which was made smaller', { at: at(), cause })
  }
}

const detached = (at: Path, cause?: unknown) =>
  new BpttError('ERR_DETACHED', 'has no memory any more: its buffer was transferred', {
    at: at(),
    hint: 'Pass a copy, or transfer it after the call.',
    cause,
  })

/** A typed array or an array; undefined for everything else. The user's own: ask countOf() and partOf(), never its properties. */
export function flatOf(value: unknown, at: Path): Flat | undefined {
  return checkedView(value, at) ?? (isArray(value) ? value : undefined)
}

/** The same, or an error that says what it is not, and what is expected. */
export function listOf(value: unknown, at: Path, what: string, expected = 'an array'): Flat {
  const list = flatOf(value, at)
  if (!list) throw new BpttError('ERR_INVALID_ARG', what, { at: at(), expected, received: show(value) })
  return list
}

export const isView = (flat: Flat): flat is View => ArrayBuffer.isView(flat)

/** Whether its elements may have a fraction. */
export const isFloat = (view: View) => kindOf(view)!.startsWith('Float')

/** Elements of a flat list; read once, because a Proxy of an array may say something else each time. */
export function countOf(flat: Flat, at: Path): number {
  if (isView(flat)) return lengthOf(flat)
  const length: unknown = flat.length
  if (typeof length === 'number' && Number.isSafeInteger(length) && length >= 0) return length
  throw new BpttError('ERR_INVALID_ARG', 'has no length', { at: at(), expected: 'an integer', received: show(length) })
}

export interface Dense {
  readonly data: Flat
  readonly shape: readonly number[]
  readonly lengths: unknown
}

/** { data, shape } with as many numbers as the shape says; undefined for what is not an object of that form. */
export function denseOf(value: unknown, at: Path): Dense | undefined {
  if (typeof value !== 'object' || value === null || !('data' in value) || !('shape' in value)) return undefined
  const { data, shape: dimensions, lengths } = value as { data: unknown; shape: unknown; lengths?: unknown }
  const flat = listOf(data, () => `${at()}.data`, 'is not a list of numbers', 'a typed array or an array')
  const shape = integersOf(dimensions, () => `${at()}.shape`)
  const size = sizeOf(shape)
  const count = countOf(flat, () => `${at()}.data`)
  if (count !== size)
    throw new BpttError(
      'ERR_SHAPE_MISMATCH',
      `has ${plural(count, 'value')}; shape ${shapeText(shape)} needs ${size}${shape.length > 1 ? ` = ${shape.join(' × ')}` : ''}`,
      {
        at: `${at()}.data`,
      },
    )
  return { data: flat, shape, lengths }
}

/** `1 step`, `2 steps` */
export const plural = (n: number, one: string, many = `${one}s`) => `${n} ${n === 1 ? one : many}`

/** Elements of a tensor of this shape. */
export const sizeOf = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1)

export const shapeText = (shape: readonly (number | string)[]) => `[${shape.join(', ')}]`

/** A copy of a list of integers from 0 to `most`. */
export function integersOf(value: unknown, at: Path, most = Number.MAX_SAFE_INTEGER): number[] {
  const flat = listOf(value, at, 'is not a list of integers')
  const count = countOf(flat, at)
  const list: number[] = []
  for (let i = 0; i < count; i++) {
    const element = flat[i]
    if (typeof element !== 'number' || !Number.isSafeInteger(element))
      throw new BpttError('ERR_INVALID_ARG', 'is not an integer', { at: `${at()}[${i}]`, expected: 'an integer', received: show(element) })
    if (element < 0 || element > most) {
      const expected = most === Number.MAX_SAFE_INTEGER ? 'at least 0' : `from 0 to ${most}`
      throw new BpttError('ERR_OUT_OF_RANGE', 'is out of range', { at: `${at()}[${i}]`, expected, received: show(element) })
    }
    list.push(element)
  }
  return list
}

/** `n` numbers of a flat list from `start` on, to target[at …]. What is no number, and with an Int32Array what is no int32, becomes BAD. */
export function copyNumbers(target: Float32Array | Int32Array, at: number, flat: Flat, start: number, n: number, path: Path) {
  const whole = target instanceof Int32Array
  if (isView(flat)) {
    const length = lengthOf(flat)
    // A getter of the user may have run since they were counted.
    if (start + n > length) throw detached(path)
    if (!whole || !isFloat(flat)) {
      target.set(n === length ? flat : partOf(flat, start, n), at)
      return
    }
  }
  if (whole)
    for (let i = 0; i < n; i++) {
      const value = flat[start + i]
      target[at + i] = typeof value === 'number' && value === (value | 0) ? value : BAD_INTEGER
    }
  else
    for (let i = 0; i < n; i++) {
      const value = flat[start + i]
      target[at + i] = typeof value === 'number' ? value : Number.NaN
    }
}

/** n numbers, all finite. `path`: of the list, to which the place in it is added. */
export function copyFinite(target: Float32Array, at: number, flat: Flat, n: number, path: Path) {
  copyNumbers(target, at, flat, 0, n, path)
  const bad = firstBad(target, at, at + n, 0) - at
  if (bad >= 0) throw badNumber(flat[bad], `${path()}[${bad}]`)
}

const BAD_INTEGER = -1

/** First place of list[from … to) that is not finite, or is not in 0 … size - 1 of integers; -1 where all are fine. */
export function firstBad(list: Float32Array | Int32Array, from: number, to: number, size: number): number {
  if (allFine(list, from, to, size)) return -1
  if (list instanceof Int32Array) {
    for (let i = from; i < to; i++) if (list[i]! >>> 0 >= size) return i
  } else {
    for (let i = from; i < to; i++) if (!(Math.abs(list[i]!) <= LARGEST_FLOAT)) return i
  }
  return -1
}

const LARGEST_FLOAT = 3.4028234663852886e38

/** Whether all of list[from … to) are fine. Nothing is decided before the end, so that a number takes about a cycle. */
function allFine(list: Float32Array | Int32Array, from: number, to: number, size: number): boolean {
  if (list instanceof Int32Array) {
    let signs = 0
    for (let i = from; i < to; i++) signs |= list[i]! | (size - 1 - list[i]!)
    return signs >= 0
  }
  if (assistant.finite && to - from >= WORTH_A_CALL) return assistant.finite(to - from === list.length ? list : list.subarray(from, to))
  // Of float32 numbers that are all finite, no sum in float64 is infinite.
  let [a, b, c, d] = [0, 0, 0, 0]
  let i = from
  for (; i < to - 3; i += 4) {
    a += list[i]!
    b += list[i + 1]!
    c += list[i + 2]!
    d += list[i + 3]!
  }
  for (; i < to; i++) a += list[i]!
  return Number.isFinite(a + b + c + d)
}

/** Numbers from which on a call of the addon pays. */
const WORTH_A_CALL = 512

/** What the native addon does better (native/addon/reading.h): its loader, if it comes to that, puts it here. */
export const assistant: {
  finite?(list: Float32Array): boolean
  /** Of each row of `size` numbers. */
  largest?(list: Float32Array, size: number): Int32Array
} = {}

/** Says what is wrong with a number that must be finite and is not. `advice` is for NaN and what is missing. */
export function badNumber(value: unknown, at: string, advice?: string): BpttError {
  if (typeof value !== 'number') {
    const hint =
      value === null || value === undefined
        ? advice
        : typeof value === 'string' || typeof value === 'bigint'
          ? 'Convert it with Number(…) first.'
          : undefined
    return new BpttError('ERR_INVALID_ARG', 'is not a number', { at, expected: 'a finite number', received: show(value), hint })
  }
  if (Number.isFinite(value))
    return new BpttError('ERR_NONFINITE', 'is too large for a float32', {
      at,
      received: show(value),
      hint: 'Scale the data first: networks learn best from numbers around 0 and of size 1.',
    })
  return new BpttError('ERR_NONFINITE', `is ${value}`, { at, expected: 'a finite number', hint: Number.isNaN(value) ? advice : undefined })
}
