/* Shared by the tests of files: safetensors written by hand, so that the reader is not tested by our writer; digests by node:crypto. */
import { createHash } from 'node:crypto'
import type { Network } from '#lib/network/network.js'
import { parameterTable, parameterView } from '#lib/network/parameters.js'

export const raw = (header: string | Uint8Array, data: Uint8Array = new Uint8Array()): Uint8Array => {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const length = new Uint8Array(8)
  new DataView(length.buffer).setBigUint64(0, BigInt(text.length), true)
  return new Uint8Array(Buffer.concat([length, text, data]))
}

/** Puts the right digest in place of the one in the header, wherever it is. */
export function seal(file: Uint8Array): Uint8Array {
  const text = Buffer.from(file).toString('latin1')
  const at = text.indexOf('"sha256":"') + 10
  const copy = file.slice()
  copy.fill(0x30, at, at + 64)
  const digest = createHash('sha256').update(copy.subarray(8)).digest('hex')
  copy.set(Buffer.from(digest), at)
  return copy
}

/** The header as text, changed; the digest made right again unless `sealed` is false. */
export function edit(file: Uint8Array, change: (header: string) => string, sealed = true): Uint8Array {
  const length = Number(new DataView(file.buffer, file.byteOffset).getBigUint64(0, true))
  const header = change(
    Buffer.from(file.subarray(8, 8 + length))
      .toString('utf8')
      .trimEnd(),
  )
  const result = raw(header, file.subarray(8 + length))
  return sealed ? seal(result) : result
}

export const network = (change: Partial<Network> = {}): Network => ({
  input: { size: 3, tokens: false },
  state: [2],
  output: { size: 2, head: 'softmax', labels: ['EI', 'IE'], characters: false },
  readout: 'last',
  nonlinearity: 'tanh',
  bias: true,
  outputBias: true,
  missing: 'error',
  init: 'orthogonal',
  seed: 0,
  ...change,
})

/** Weights that are all different, with the numbers among them that copying might change. */
export function weightsFor(of: Network): Float32Array {
  const table = parameterTable(of)
  const block = new Float32Array(table.units * 16)
  const odd = [-0, 1e-45, -1e-40, 3.4028234663852886e38, 1 / 3]
  let n = 0
  for (const parameter of table.list) {
    const view = parameterView(block, parameter)
    view.forEach((_, i) => (view[i] = n < odd.length ? odd[n++]! : Math.sin(n++)))
  }
  return block
}

export const bits = (values: Float32Array) => [...new Uint32Array(values.slice().buffer)]
