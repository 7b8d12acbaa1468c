/* State dicts of PyTorch become networks: the right numbers in the right places, and everything that is no plain nn.RNN is refused. */
import { describe, expect, it } from 'vitest'
import { encodeModel } from '#lib/files/model-file.js'
import { readStateDict, type StateDictOptions } from '#lib/files/pytorch.js'
import { parameterTable, parameterView } from '#lib/network/parameters.js'
import { bits, edit, network, raw, weightsFor } from './model-files.js'
import { errorOf } from './support/mistakes.js'

/**
 * Written by Python's safetensors 0.8.0:
 *   save_file({"encoder.weight_ih_l0": array([[1, 2, -0.5], [0.25, 1e-40, -0.0]], float32), "encoder.weight_hh_l0": array([[1, 2], [3, 4]], float16),
 *     "encoder.bias_ih_l0": array([0.5, 1], float64), "encoder.bias_hh_l0": array([0.25, -1], float32), "fc.weight": array([[1, -1], [2, 0.125]], float32),
 *     "fc.bias": array([3, 4], float32), "bn.num_batches_tracked": array(7, int64)}, ...)
 */
const PYTHON = new Uint8Array(
  Buffer.from(
    '8AEAAAAAAAB7ImJuLm51bV9iYXRjaGVzX3RyYWNrZWQiOnsiZHR5cGUiOiJJNjQiLCJzaGFwZSI6W10sImRhdGFfb2Zmc2V0cyI6WzAsOF19LCJlbmNvZGVyLmJpYXNfaWhfbDAiOnsiZHR5cGUiOiJGNjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls4LDI0XX0sImVuY29kZXIuYmlhc19oaF9sMCI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6WzI0LDMyXX0sImVuY29kZXIud2VpZ2h0X2loX2wwIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDNdLCJkYXRhX29mZnNldHMiOlszMiw1Nl19LCJmYy5iaWFzIjp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyXSwiZGF0YV9vZmZzZXRzIjpbNTYsNjRdfSwiZmMud2VpZ2h0Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDJdLCJkYXRhX29mZnNldHMiOls2NCw4MF19LCJlbmNvZGVyLndlaWdodF9oaF9sMCI6eyJkdHlwZSI6IkYxNiIsInNoYXBlIjpbMiwyXSwiZGF0YV9vZmZzZXRzIjpbODAsODhdfX0gBwAAAAAAAAAAAAAAAADgPwAAAAAAAPA/AACAPgAAgL8AAIA/AAAAQAAAAL8AAIA+whYBAAAAAIAAAEBAAACAQAAAgD8AAIC/AAAAQAAAAD4APABAAEIARA==',
    'base64',
  ),
)
const options = (change: Partial<StateDictOptions> = {}): StateDictOptions => ({
  output: { size: 2, head: 'softmax', labels: ['ham', 'spam'], characters: false },
  readout: 'last',
  rnn: 'rnn.',
  head: 'head.',
  nonlinearity: 'tanh',
  ...change,
})

/** A file of float32 tensors of these shapes, element i of a tensor being i + 1, unless it is given. */
function stateDict(tensors: Record<string, number[] | { shape: number[]; value: number; dtype?: string }>): Uint8Array {
  let end = 0
  const parts: Uint8Array[] = []
  const header: Record<string, object> = {}
  for (const [name, given] of Object.entries(tensors)) {
    const { shape, value, dtype = 'F32' } = Array.isArray(given) ? { shape: given, value: undefined } : given
    const size = shape.reduce((a, b) => a * b, 1)
    parts.push(new Uint8Array(Float32Array.from({ length: size }, (_, i) => value ?? i + 1).buffer))
    header[name] = { dtype, shape, data_offsets: [end, (end += 4 * size)] }
  }
  return raw(JSON.stringify(header), new Uint8Array(Buffer.concat(parts)))
}
const layer = (k: number, R: number, S: number, prefix = 'rnn.') => ({
  [`${prefix}weight_ih_l${k}`]: [S, R],
  [`${prefix}weight_hh_l${k}`]: [S, S],
  [`${prefix}bias_ih_l${k}`]: [S],
  [`${prefix}bias_hh_l${k}`]: [S],
})
const head = { 'head.weight': [2, 3], 'head.bias': [2] }
const plain = { ...layer(0, 4, 3), ...head }
const without = (o: Record<string, number[]>, ...names: string[]) =>
  Object.fromEntries(Object.entries(o).filter(([name]) => !names.includes(name)))
const refused = (tensors: Parameters<typeof stateDict>[0], change: Partial<StateDictOptions> = {}) =>
  errorOf(readStateDict(stateDict(tensors), options(change)))

describe('a state dict', () => {
  it('that Python wrote, with three element types and a tensor of no concern', async () => {
    const { network, weights } = await readStateDict(PYTHON, options({ rnn: 'encoder.', head: 'fc.' }))
    expect(network).toEqual({
      input: { size: 3, tokens: false },
      state: [2],
      output: { size: 2, head: 'softmax', labels: ['ham', 'spam'], characters: false },
      readout: 'last',
      nonlinearity: 'tanh',
      bias: true,
      outputBias: true,
      missing: 'error',
      init: 'pytorch',
      seed: 0,
    })
    const table = parameterTable(network)
    const values = (name: 'U' | 'W' | 'b' | 'V' | 'c', k = 0) => parameterView(weights, table.get(name, k)!)
    expect(bits(values('U'))).toEqual(bits(new Float32Array([1, 2, -0.5, 0.25, 1e-40, -0])))
    expect([...values('W')]).toEqual([1, 2, 3, 4])
    expect([...values('b')], 'b_ih + b_hh').toEqual([0.75, 0])
    expect([...values('V', -1)]).toEqual([1, -1, 2, 0.125])
    expect([...values('c', -1)]).toEqual([3, 4])
  })

  it('of stacked layers, without biases, under any prefix', async () => {
    const names = (o: Record<string, number[]>) => without(o, ...Object.keys(o).filter((name) => name.includes('bias')))
    const stacked = { ...names(layer(0, 5, 4, 'a.b.')), ...names(layer(1, 4, 4, 'a.b.')), 'a.out.weight': [2, 4], other: [7] }
    const { network, weights } = await readStateDict(
      stateDict(stacked),
      options({ rnn: 'a.b.', head: 'a.out.', nonlinearity: 'relu', readout: 'all' }),
    )
    expect(network).toMatchObject({
      input: { size: 5 },
      state: [4, 4],
      bias: false,
      outputBias: false,
      nonlinearity: 'relu',
      readout: 'all',
    })
    const table = parameterTable(network)
    expect([...parameterView(weights, table.get('U', 1)!)]).toEqual(Array.from({ length: 16 }, (_, i) => i + 1))
  })

  it('of an nn.RNN itself, with the empty prefix', async () => {
    const { network } = await readStateDict(stateDict({ ...layer(0, 4, 3, ''), ...head }), options({ rnn: '' }))
    expect(network.state).toEqual([3])
  })

  it('that is a model file of ours, whose digest then counts', async () => {
    const file = await encodeModel(network(), weightsFor(network()))
    const { weights } = await readStateDict(file, options())
    expect(bits(weights)).toEqual(bits(weightsFor(network())))
    const damaged = file.slice()
    damaged[file.length - 1]! ^= 1
    expect((await errorOf(readStateDict(damaged, options()))).code).toBe('ERR_MODEL_CHECKSUM')
    expect(
      (
        await errorOf(
          readStateDict(
            edit(file, (h) => h.replace(/,"sha256":"\w+"/, ''), false),
            options(),
          ),
        )
      ).code,
    ).toBe('ERR_MODEL_CHECKSUM')
  })
})

describe('refused, in words that help:', () => {
  it('a wrong prefix', async () => {
    expect((await refused({ ...layer(0, 4, 3, 'encoder.'), ...head })).hint).toContain('rnn: "encoder."')
    expect((await refused({ ...layer(0, 4, 3), 'fc.weight': [2, 3] })).hint).toContain('head: "fc."')
    expect(await refused({ x: [1] })).toMatchObject({ code: 'ERR_MODEL_FORMAT', at: 'rnn.weight_ih_l0' })
  })
  it.each<[string, string, Record<string, number[]>, string]>([
    ['an LSTM', 'ERR_MODEL_SHAPE', { ...plain, 'rnn.weight_ih_l0': [12, 4], 'rnn.weight_hh_l0': [12, 3] }, 'an LSTM'],
    ['a GRU', 'ERR_MODEL_SHAPE', { ...plain, 'rnn.weight_ih_l0': [9, 4], 'rnn.weight_hh_l0': [9, 3] }, 'a GRU'],
    ['two directions', 'ERR_MODEL_FORMAT', { ...plain, 'rnn.weight_ih_l0_reverse': [3, 4] }, 'bidirectional'],
    ['a projection', 'ERR_MODEL_FORMAT', { ...plain, 'rnn.weight_hr_l0': [2, 3] }, 'proj_size'],
    ['an unknown member', 'ERR_MODEL_FORMAT', { ...plain, 'rnn.embedding.weight': [9, 4] }, 'rnn.embedding.weight'],
    ['no W', 'ERR_MODEL_FORMAT', without(plain, 'rnn.weight_hh_l0'), 'rnn.weight_hh_l0'],
    ['one bias', 'ERR_MODEL_FORMAT', without(plain, 'rnn.bias_hh_l0'), 'rnn.bias_hh_l0'],
    ['the other bias', 'ERR_MODEL_FORMAT', without(plain, 'rnn.bias_ih_l0'), 'rnn.bias_hh_l0'],
    [
      'a bias of one layer',
      'ERR_MODEL_FORMAT',
      without({ ...plain, ...layer(1, 3, 3) }, 'rnn.bias_ih_l1', 'rnn.bias_hh_l1'),
      'rnn.bias_ih_l1',
    ],
    ['a layer left out', 'ERR_MODEL_FORMAT', { ...plain, ...layer(2, 3, 3) }, '_l2'],
    ['layers that do not fit', 'ERR_MODEL_SHAPE', { ...plain, ...layer(1, 4, 3) }, '[3, 3]'],
    ['U of other rows', 'ERR_MODEL_SHAPE', { ...plain, 'rnn.weight_ih_l0': [2, 4] }, 'rnn.weight_ih_l0'],
    ['U that is a vector', 'ERR_MODEL_SHAPE', { ...plain, 'rnn.weight_ih_l0': [4] }, 'rnn.weight_ih_l0'],
    ['b of another length', 'ERR_MODEL_SHAPE', { ...plain, 'rnn.bias_hh_l0': [4] }, 'rnn.bias_hh_l0'],
    ['V of other columns', 'ERR_MODEL_SHAPE', { ...plain, 'head.weight': [2, 4] }, '[2, 3]'],
    ['V of other rows', 'ERR_MODEL_SHAPE', { ...plain, 'head.weight': [5, 3] }, '2 rows, one for each output'],
    ['V that is a vector', 'ERR_MODEL_SHAPE', { ...plain, 'head.weight': [3] }, 'matrix'],
    ['c of another length', 'ERR_MODEL_SHAPE', { ...plain, 'head.bias': [3] }, 'head.bias'],
    ['no head', 'ERR_MODEL_FORMAT', without(plain, 'head.weight'), 'head.weight'],
  ])('%s: %s', async (_, code, tensors, words) => {
    const error = await refused(tensors)
    expect(error.code).toBe(code)
    expect(error.message).toContain(words)
  })
  it('element types and numbers that cannot be had', async () => {
    expect((await refused({ ...plain, 'rnn.bias_ih_l0': { shape: [3], value: 1, dtype: 'I32' } })).code).toBe('ERR_MODEL_DTYPE')
    expect(await refused({ ...plain, 'rnn.bias_hh_l0': { shape: [3], value: Number.NaN } })).toMatchObject({
      code: 'ERR_NONFINITE',
      at: 'rnn.bias_hh_l0[0]',
    })
    const big = { shape: [3], value: 3e38 }
    expect((await refused({ ...plain, 'rnn.bias_ih_l0': big, 'rnn.bias_hh_l0': big })).code).toBe('ERR_NONFINITE')
  })
})
