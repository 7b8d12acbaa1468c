/* Bytes from the web. Loaded when they are asked for. */
import { tooLarge } from '../check/limits.js'
import { BpttError } from '../errors.js'

/** Reads a response piece by piece, so that an endless one ends at the limit. */
export async function read(file: string, limit: number): Promise<{ bytes: Uint8Array; file: string }> {
  try {
    const response = await fetch(file)
    if (!response.ok) throw new BpttError('ERR_IO', 'cannot be fetched', { file, received: `HTTP ${response.status}` })
    const parts: Uint8Array[] = []
    let size = 0
    for (const reader = response.body!.getReader(); ; ) {
      const { done, value } = await reader.read()
      if (done) break
      size += value.length
      if (size > limit) {
        void reader.cancel()
        throw tooLarge(size, limit, file)
      }
      parts.push(value)
    }
    const bytes = new Uint8Array(size)
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    return { bytes, file }
  } catch (error) {
    if (error instanceof BpttError) throw error
    const { message, cause } = error as Error
    const received = cause instanceof Error && cause.message ? cause.message : message // Node says why only there
    throw new BpttError('ERR_IO', 'cannot be fetched', { file, received, cause: error })
  }
}
