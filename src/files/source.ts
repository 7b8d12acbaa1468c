/*
 * From what users hand to load() and fromPyTorch() to bytes of our own: nobody can change them while they are checked. Bytes, Blobs and
 * web addresses (fetch.ts) are read here, on every platform alike; paths by the platform.
 */
import { LIMITS, tooLarge } from '../check/limits.js'
import { BpttError, show } from '../errors.js'

export interface Source {
  readonly bytes: Uint8Array
  /** Name for messages, where there is one. */
  readonly file?: string
}

const tagOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)!.get!

/** @param readPath how this platform reads a path, or an address that is not http(s). */
export async function readSource(
  from: unknown,
  readPath: (path: string | URL, maxBytes: number) => Promise<Source>,
  at = 'from',
): Promise<Source> {
  const limit = LIMITS.FILE_BYTES
  if (typeof from === 'string') return readPath(from, limit)
  if (from instanceof URL && !/^https?:$/.test(from.protocol)) return readPath(from, limit)
  if (from instanceof URL) return fetchBytes(from, limit)
  if (typeof Blob === 'function' && from instanceof Blob) {
    if (from.size > limit) throw tooLarge(from.size, limit)
    return { bytes: new Uint8Array(await from.arrayBuffer()) }
  }
  if (tagOf.call(from) === 'Uint8Array') return { bytes: copy(from as Uint8Array, at) }
  if (isBuffer(from)) return { bytes: copy(from, at) }
  const expected = 'a path, a URL, a Blob, an ArrayBuffer or a Uint8Array'
  throw new BpttError('ERR_INVALID_ARG', 'cannot be read', { at, expected, received: show(from) })
}

/** By the getter that works on the real thing only; SharedArrayBuffer is absent from most web pages. */
function isBuffer(value: unknown): value is ArrayBuffer {
  return [ArrayBuffer, ...(typeof SharedArrayBuffer === 'function' ? [SharedArrayBuffer] : [])].some((kind) => {
    try {
      Object.getOwnPropertyDescriptor(kind.prototype, 'byteLength')!.get!.call(value)
      return true
    } catch {
      return false // is of another kind: that is the answer
    }
  })
}

/** The constructor looks at the real length and not at a property, and refuses what was detached. */
function copy(from: Uint8Array | ArrayBuffer, at: string): Uint8Array {
  try {
    return new Uint8Array(ArrayBuffer.isView(from) ? from : new Uint8Array(from))
  } catch (cause) {
    if (cause instanceof RangeError) throw new BpttError('ERR_OUT_OF_MEMORY', 'is too large to be copied', { at, cause })
    throw new BpttError('ERR_DETACHED', 'was transferred', { at, cause })
  }
}

/** What is at an address now, whatever becomes of the object. */
export async function fetchBytes(url: URL | string, limit: number): Promise<Source> {
  const file = String(url)
  return (await import('./fetch.js')).read(file, limit)
}
