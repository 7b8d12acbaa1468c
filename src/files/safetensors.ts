/*
 * The safetensors format, which Python reads too: 8 bytes with the length of a JSON header, the header, then the tensors' bytes, little-
 * endian. The reader is stricter than the format: it proves every size and offset before it looks at data, and never allocates by what a
 * file claims. What the tensors mean is model-file.ts and pytorch.ts.
 */
import { LIMITS } from '../check/limits.js'
import { type Json, parseJson } from './json.js'
import { lookOf, type Refuse } from './refuse.js'

export interface StoredTensor {
  readonly dtype: string
  readonly shape: readonly number[]
  /** A view of the file. */
  readonly bytes: Uint8Array
}

export interface Safetensors {
  /** As in the file's order. */
  readonly tensors: ReadonlyMap<string, StoredTensor>
  readonly metadata: ReadonlyMap<string, string>
  /** The JSON text's bytes, and all that follows: views of the file. */
  readonly header: Uint8Array
  readonly data: Uint8Array
  /** Whether the header lists the tensors in the order of their bytes, as most writers do. */
  readonly ordered: boolean
}

/** Bytes of one element, of every type that the format knows; those that can be converted are in FLOATS. */
const DTYPES: ReadonlyMap<string, number> = new Map(
  Object.entries({
    F64: 8,
    F32: 4,
    F16: 2,
    BF16: 2,
    I64: 8,
    I32: 4,
    I16: 2,
    I8: 1,
    U64: 8,
    U32: 4,
    U16: 2,
    U8: 1,
    BOOL: 1,
    F8_E5M2: 1,
    F8_E4M3: 1,
  }),
)
const RANK = 8
const METADATA = '__metadata__'
const littleEndian = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** @throws ERR_MODEL_FORMAT; ERR_MODEL_DTYPE for an element type that the format does not know. */
export function readSafetensors(file: Uint8Array, refuse: Refuse): Safetensors {
  const expected = 'a safetensors file'
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const length = file.length < 8 ? -1 : view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32
  if (length < 2 || length > file.length - 8 || file[8] !== 0x7b) {
    const cut = length >= 2 && length <= LIMITS.HEADER_BYTES && (file.length === 8 || file[8] === 0x7b)
    const look = cut ? { received: 'the beginning of one', hint: 'The file was not copied or written to its end.' } : lookOf(file)
    throw refuse('is not a model file', { expected, ...look })
  }
  if (length > LIMITS.HEADER_BYTES)
    throw refuse('has too long a header', { expected: `at most ${LIMITS.HEADER_BYTES} bytes`, received: String(length) })
  const header = file.subarray(8, 8 + length)
  const data = file.subarray(8 + length)
  const broken = (what: string, at = 'header') => refuse(what, { at })
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header)
  } catch {
    throw broken('is not UTF-8')
  }
  const root = parseJson(text, (what, position) => broken(`is not strict JSON (${what} at position ${position})`))
  if (!(root instanceof Map)) throw broken('is not an object')

  const places: { name: string; dtype: string; shape: number[]; begin: number; end: number }[] = []
  const metadata = new Map<string, string>()
  for (const [name, value] of root) {
    const at = `header[${JSON.stringify(name.slice(0, 40))}]`
    if (!(value instanceof Map)) throw broken('is not an object', at)
    if (name === METADATA) {
      for (const [key, v] of value) {
        if (typeof v !== 'string') throw broken('holds something that is not a string', at)
        metadata.set(key, v)
      }
      continue
    }
    if (places.length === LIMITS.TENSORS) throw broken('names too many tensors')
    if (new TextEncoder().encode(name).length > LIMITS.NAME_BYTES) throw broken('is too long a name', at)
    places.push({ name, ...place(value, at, broken, refuse) })
  }

  const byPlace = [...places].sort((a, b) => a.begin - b.begin)
  let end = 0
  for (const p of byPlace) {
    if (p.begin !== end)
      throw broken(
        p.begin < end ? 'overlaps another tensor' : 'leaves a hole before it',
        `header[${JSON.stringify(p.name.slice(0, 40))}].data_offsets`,
      )
    end = p.end
  }
  if (end !== data.length)
    throw refuse(end > data.length ? 'ends too early' : 'has bytes after its end', {
      expected: `${8 + length + end} bytes`,
      received: String(file.length),
    })
  return {
    tensors: new Map(places.map(({ name, dtype, shape, begin, end }) => [name, { dtype, shape, bytes: data.subarray(begin, end) }])),
    metadata,
    header,
    data,
    ordered: byPlace.every((p, i) => p === places[i]),
  }
}

/** One entry of the header, with its size proved. */
function place(entry: ReadonlyMap<string, Json>, at: string, broken: (what: string, at: string) => Error, refuse: Refuse) {
  const dtype = entry.get('dtype')
  const shape = entry.get('shape')
  const offsets = entry.get('data_offsets')
  const size = (n: Json): n is number => typeof n === 'number' && n >= 0
  if (entry.size !== 3 || typeof dtype !== 'string' || !Array.isArray(shape) || !Array.isArray(offsets))
    throw broken('is not { dtype, shape, data_offsets }', at)
  if (shape.length > RANK || !shape.every(size) || shape.includes(0)) throw broken('is not a list of positive sizes', `${at}.shape`)
  if (offsets.length !== 2 || !offsets.every(size) || offsets[0]! > offsets[1]!) throw broken('is not a range', `${at}.data_offsets`)
  const bytes = DTYPES.get(dtype)
  if (bytes === undefined)
    throw refuse('is an unknown element type', { at: `${at}.dtype`, received: JSON.stringify(dtype.slice(0, 40)) }, 'ERR_MODEL_DTYPE')
  // stays exact: a product above 2^53 cannot come back below it, every factor being at least 1
  const needed = shape.reduce((product, n) => product * n, bytes)
  const [begin, end] = offsets as [number, number]
  if (needed !== end - begin)
    throw broken(`says ${end - begin} bytes where ${dtype} [${shape.join(', ')}] has ${needed}`, `${at}.data_offsets`)
  return { dtype, shape, begin, end }
}

/** Elements as float32: exactly for F32, F16 and BF16, rounded to nearest for F64. */
export function toFloat32(tensor: StoredTensor, name: string, refuse: Refuse): Float32Array {
  const convert = FLOATS.get(tensor.dtype)
  if (!convert)
    throw refuse(
      'cannot be converted to float32',
      { at: name, expected: [...FLOATS.keys()].join(', '), received: tensor.dtype },
      'ERR_MODEL_DTYPE',
    )
  return convert(tensor.bytes)
}

const viewOf = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const FLOATS: ReadonlyMap<string, (bytes: Uint8Array) => Float32Array> = new Map([
  ['F32', fromF32],
  ['F64', (bytes) => each(bytes, 8, (view, at) => view.getFloat64(at, true))],
  ['F16', (bytes) => each(bytes, 2, (view, at) => fromF16(view.getUint16(at, true)))],
  ['BF16', fromBF16],
])

function each(bytes: Uint8Array, size: number, read: (view: DataView, at: number) => number): Float32Array {
  const view = viewOf(bytes)
  const values = new Float32Array(bytes.length / size)
  for (let i = 0; i < values.length; i++) values[i] = read(view, size * i)
  return values
}

/** Bit for bit: through bytes, or through integers, since a float64 on the way could change the bits of a NaN. */
function fromF32(bytes: Uint8Array): Float32Array {
  const bits = new Uint32Array(bytes.length / 4)
  if (littleEndian) new Uint8Array(bits.buffer).set(bytes)
  else for (let i = 0, view = viewOf(bytes); i < bits.length; i++) bits[i] = view.getUint32(4 * i, true)
  return new Float32Array(bits.buffer)
}

/** bfloat16 is the upper half of a float32. */
function fromBF16(bytes: Uint8Array): Float32Array {
  const view = viewOf(bytes)
  const bits = new Uint32Array(bytes.length / 2)
  for (let i = 0; i < bits.length; i++) bits[i] = view.getUint16(2 * i, true) << 16
  return new Float32Array(bits.buffer)
}

/** IEEE half: 1 sign, 5 exponent (bias 15), 10 fraction bits. */
function fromF16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1
  const exponent = (bits >> 10) & 31
  const fraction = bits & 0x3ff
  if (exponent === 31) return fraction ? Number.NaN : sign * Infinity
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** Uint8Array<ArrayBuffer>, which TypeScript before 5.7 has no name for. */
export type Bytes = ReturnType<Uint8Array['slice']>

export interface NewTensor {
  readonly name: string
  readonly shape: readonly number[]
  readonly data: Float32Array
}

/** A file of float32 tensors, in this order. The header is padded with spaces so that the data begins at a multiple of 8. */
export function writeSafetensors(
  tensors: readonly NewTensor[],
  metadata: Readonly<Record<string, string>>,
): { file: Bytes; header: Uint8Array; data: Uint8Array } {
  let end = 0
  const entries = tensors.map(({ name, shape, data }) => {
    const begin = end
    end += data.byteLength
    return `${JSON.stringify(name)}:${JSON.stringify({ dtype: 'F32', shape, data_offsets: [begin, end] })}`
  })
  const text = new TextEncoder().encode(`{${[`"${METADATA}":${JSON.stringify(metadata)}`, ...entries].join(',')}}`)
  const length = Math.ceil(text.length / 8) * 8
  const file = new Uint8Array(8 + length + end)
  const header = file.subarray(8, 8 + length)
  const data = file.subarray(8 + length)
  new DataView(file.buffer).setUint32(0, length, true)
  header.fill(0x20)
  header.set(text)
  let at = 0
  for (const tensor of tensors) {
    if (littleEndian) data.set(new Uint8Array(tensor.data.buffer, tensor.data.byteOffset, tensor.data.byteLength), at)
    else for (let i = 0, view = viewOf(data); i < tensor.data.length; i++) view.setFloat32(at + 4 * i, tensor.data[i]!, true)
    at += tensor.data.byteLength
  }
  return { file, header, data }
}
