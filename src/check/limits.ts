/* What this package refuses to try, and why. Checked before anything is allocated; used for configurations and for model files alike. */
import { BpttError } from '../errors.js'

export const LIMITS = {
  /** Units of one layer's state: W alone is then 16 GiB at the limit, so WEIGHTS is what ends most attempts. */
  STATE: 65_536,
  LAYERS: 256,
  /** Features, tokens, outputs: what float32 counts exactly, so that a token survives every array type. */
  SIZE: 2 ** 24,
  /** Weights, gradients and up to three moments each must share one region of 16 GiB (plan/memory.ts). */
  WEIGHTS: 2 ** 29,
  /** Labels of a network, in bytes of JSON: keeps the header of its model file inside HEADER_BYTES. */
  LABEL_BYTES: 2 ** 20,
  COUNT: 2 ** 31 - 1,
  /** Rows that one push of a stream moves on. */
  STREAM_ROWS: 65_536,
  THREADS: 256,
  /** Of a model file. */
  FILE_BYTES: 2 ** 32,
  HEADER_BYTES: 8 * 2 ** 20,
  TENSORS: 4_096,
  NAME_BYTES: 256,
} as const

/** Of a model file. @param file its name, where it has one */
export const tooLarge = (bytes: number, most: number, file?: string) =>
  new BpttError('ERR_MODEL_TOO_LARGE', 'is too large', { file, expected: `at most ${most} bytes`, received: String(bytes) })
