/* How the readers of model files say no: one maker of errors for each file, so that every message names it. */
import { BpttError, type ErrorCode, type ErrorDetails } from '../errors.js'

export type Refuse = (summary: string, details?: ErrorDetails, code?: ErrorCode) => BpttError

/** @param file name of the file, where there is one. */
export const refusal =
  (file?: string): Refuse =>
  (summary, details = {}, code = 'ERR_MODEL_FORMAT') =>
    new BpttError(code, summary, { file, ...details })

const starts = (bytes: Uint8Array, ...prefix: (number | string)[]) => {
  const wanted = prefix.flatMap((p) => (typeof p === 'string' ? [...p].map((c) => c.charCodeAt(0)) : [p]))
  return wanted.every((byte, i) => bytes[i] === byte)
}
const EXPORT =
  "In Python: safetensors.torch.save_file(model.state_dict(), 'model.safetensors'), then RNN.fromPyTorch('model.safetensors', { output })."
const WEIGHTS = 'Only weights in the safetensors format can be read: export them from the library that wrote this.'

/** What bytes look like that are not safetensors, and what to do about it. */
export function lookOf(bytes: Uint8Array): { received: string; hint: string } {
  if (bytes.length === 0)
    return { received: 'nothing: the file is empty', hint: 'The file was not written to its end; save the model again.' }
  if (starts(bytes, 'PK')) return { received: 'a zip archive, as PyTorch (.pt, .pth), NumPy (.npz) and Keras write', hint: EXPORT }
  if (starts(bytes, 0x80) && bytes[1]! >= 2 && bytes[1]! <= 5)
    return { received: 'a Python pickle, as PyTorch wrote (.pt, .pth)', hint: EXPORT }
  if (starts(bytes, 0x1f, 0x8b)) return { received: 'gzip', hint: 'Unpack it first: gunzip FILE, or new DecompressionStream("gzip").' }
  if (starts(bytes, 0x89, 'HDF')) return { received: 'HDF5, as Keras writes (.h5)', hint: WEIGHTS }
  if (starts(bytes, 0x93, 'NUMPY')) return { received: 'a NumPy array (.npy)', hint: WEIGHTS }
  if (starts(bytes, 'GGUF')) return { received: 'GGUF', hint: WEIGHTS }
  if (starts(bytes, 'version https://git-lfs')) return { received: 'a Git LFS pointer, not the file', hint: 'git lfs pull' }
  if (starts(bytes, 0x08) && bytes[1]! <= 32 && [0x12, 0x1a, 0x22, 0x3a, 0x42].includes(bytes[2]!))
    return { received: 'ONNX', hint: WEIGHTS }
  if (starts(bytes, '<')) return { received: 'HTML or XML', hint: 'The address answered with a page, not with the file.' }
  const text = new TextDecoder('latin1').decode(bytes.subarray(0, 64)).replace(/^\s+/, '')
  if (text[0] === '{' || text[0] === '[') return { received: 'JSON', hint: WEIGHTS }
  return { received: 'something else', hint: 'The file is damaged or is not a model; save(path) and toBytes() write what load() reads.' }
}
