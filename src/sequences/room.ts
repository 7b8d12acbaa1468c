/*
 * Room for numbers: arrays that are had or an ERR_OUT_OF_MEMORY, and arrays that are used again. Used by all who make large ones.
 */
import { BpttError } from '../errors.js'
import type { Path } from './numbers.js'

/** A list of zeros, or ERR_OUT_OF_MEMORY. */
export function allocate<A extends Float32Array | Int32Array>(constructor: new (length: number) => A, length: number, at: Path): A {
  try {
    return new constructor(length)
  } catch (cause) {
    throw new BpttError('ERR_OUT_OF_MEMORY', `needs ${(4 * length) / 2 ** 20} MiB, which could not be had`, { at: at(), cause })
  }
}

/** Left by calls that are over, for those to come; but the garbage collector may have it. */
const left: WeakRef<ArrayBuffer>[] = []
const MOST_LEFT = 4
/** Less is had from the heap, without a page fault for each 4 KiB. */
const WORTH_LEAVING = 2 ** 16

/**
 * The same for what no user gets, with anything in it, to be given back. The first touch of fresh memory can take longer than computing
 * what goes there: on a virtual machine that returns free pages to its host 3 ms a MiB.
 */
export function borrow<A extends Float32Array | Int32Array>(constructor: NumbersConstructor<A>, length: number, at: Path): A {
  for (let i = 4 * length < WORTH_LEAVING ? 0 : left.length; i-- > 0; ) {
    const buffer = left[i]!.deref()
    if (buffer && buffer.byteLength < 4 * length) continue
    left.splice(i, 1)
    if (buffer) return new constructor(buffer, 0, length)
  }
  return allocate(constructor, length, at)
}

type NumbersConstructor<A> = new (lengthOrBuffer: number | ArrayBuffer, offset?: number, length?: number) => A

/** What nobody looks at any more. */
export function giveBack({ buffer }: { buffer: ArrayBufferLike }): void {
  if (buffer.byteLength < WORTH_LEAVING) return
  if (left.length === MOST_LEFT) left.shift()
  left.push(new WeakRef(buffer as ArrayBuffer))
}
