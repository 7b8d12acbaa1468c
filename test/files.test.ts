/* Model files: what is written comes back bit for bit, Python reads it, and no damaged or hostile file gets through or does harm. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { parseJson } from '#lib/files/json.js'
import { decodeModel, encodeModel } from '#lib/files/model-file.js'
import { refusal } from '#lib/files/refuse.js'
import { readSafetensors, toFloat32 } from '#lib/files/safetensors.js'
import { Sha256, sha256 } from '#lib/files/sha256.js'
import { VERSION } from '#lib/files/version.js'
import type { Network } from '#lib/network/network.js'
import { bits, edit, network, raw, seal, weightsFor } from './model-files.js'
import { errorOf } from './support/mistakes.js'

const read = (file: Uint8Array) => readSafetensors(file, refusal())
const code = async (file: Uint8Array) => (await errorOf(decodeModel(file))).code

describe('a model file', () => {
  const networks: Record<string, Network> = {
    'of one layer': network(),
    'without biases': network({ bias: false, outputBias: false }),
    'with two biases': network({ bias: 'double' }),
    stacked: network({ state: [5, 3, 17], input: { size: 7, tokens: true }, output: { size: 1, head: 'linear', characters: false } }),
    'with every choice': network({
      input: { size: 3, tokens: true, characters: ['a', '"', '😀'] },
      output: { size: 2, head: 'sigmoid', labels: ['"sha256":"\\', '\u2028é'], characters: false },
      readout: 'all',
      nonlinearity: 'relu',
      missing: 'mask',
      init: 'identity',
      seed: 2 ** 53 - 1,
    }),
    'of characters': network({ output: { size: 2, head: 'softmax', labels: ['x', '\u0001'], characters: true } }),
  }
  it.each(Object.entries(networks))('%s comes back, bit for bit', async (_, of) => {
    const weights = weightsFor(of)
    const file = await encodeModel(of, weights)
    const model = await decodeModel(file)
    expect(model.network).toEqual(of)
    expect(bits(model.weights)).toEqual(bits(weights))
    expect(await encodeModel(model.network, model.weights)).toEqual(file)
    expect(seal(file), 'the digest, by another SHA-256').toEqual(file)
  })

  it('holds the tensors under the names of PyTorch, in its order', async () => {
    const { tensors, metadata } = read(await encodeModel(networks['stacked']!, weightsFor(networks['stacked']!)))
    const layer = (k: number) => ['weight_ih', 'weight_hh', 'bias_ih', 'bias_hh'].map((name) => `rnn.${name}_l${k}`)
    expect([...tensors.keys()]).toEqual([...layer(0), ...layer(1), ...layer(2), 'head.weight', 'head.bias'])
    expect(tensors.get('rnn.weight_ih_l1')!.shape).toEqual([3, 5])
    expect(toFloat32(tensors.get('rnn.bias_hh_l2')!, '', refusal())).toEqual(new Float32Array(17))
    expect(metadata.get('format')).toBe('bptt')
  })
  it('names the version of the package that wrote it', () =>
    expect(VERSION).toBe(JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).version))

  it('is read by Python', async (context) => {
    const { status } = spawnSync('python3', ['-c', 'import safetensors, numpy'])
    if (status !== 0) {
      console.warn('test/files.test.ts: python3 with safetensors and numpy is not here; skipped')
      return context.skip()
    }
    const folder = mkdtempSync(join(tmpdir(), 'bptt-'))
    const path = join(folder, 'model.safetensors')
    const weights = weightsFor(network())
    writeFileSync(path, await encodeModel(network(), weights))
    const program = `
import sys, json
from safetensors.numpy import load_file, save_file
d = load_file(sys.argv[1])
print(json.dumps({k: v.view('uint32').ravel().tolist() for k, v in d.items()}))`
    const { stdout, stderr } = spawnSync('python3', ['-c', program, path], { encoding: 'utf8' })
    rmSync(folder, { recursive: true })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)['rnn.weight_ih_l0']).toEqual(bits(weights.subarray(0, 6)))
    expect(JSON.parse(stdout)['head.weight']).toEqual(bits(weights.subarray(32, 36)))
  })
})

describe('a damaged model file', () => {
  let file: Uint8Array
  beforeAll(async () => {
    const small = network({ input: { size: 1, tokens: false }, state: [1], output: { size: 1, head: 'linear', characters: false } })
    file = await encodeModel(small, weightsFor(small))
  })

  it('is refused wherever it was cut', async () => {
    const codes = new Set<string>()
    for (let length = 0; length < file.length; length++) codes.add(await code(file.subarray(0, length)))
    expect([...codes]).toEqual(['ERR_MODEL_FORMAT'])
  })
  it('is refused whichever bit was flipped', async () => {
    const codes = new Map<string, number>()
    for (let bit = 0; bit < 8 * file.length; bit++) {
      const copy = file.slice()
      copy[bit >> 3]! ^= 1 << (bit & 7)
      const found = await code(copy)
      codes.set(found, (codes.get(found) ?? 0) + 1)
    }
    for (const found of codes.keys()) expect(found).toMatch(/^ERR_MODEL_(FORMAT|VERSION|CHECKSUM|DTYPE)$/)
    expect([...codes.values()].reduce((a, b) => a + b)).toBe(8 * file.length)
  })
  it('is refused with bytes after its end', async () =>
    expect(await code(Buffer.concat([file, new Uint8Array(1)]))).toBe('ERR_MODEL_FORMAT'))
  it('may lie anywhere in memory', async () => {
    const shifted = new Uint8Array(file.length + 185).subarray(185)
    shifted.set(file)
    expect(bits((await decodeModel(shifted)).weights)).toEqual(bits((await decodeModel(file)).weights))
  })
  it('has a limit', async () =>
    expect((await errorOf(decodeModel(file, { maxBytes: 100, file: 'x.safetensors' }))).message).toContain('x.safetensors: is too large'))
})

describe('a hostile model file, digest made right', () => {
  let file: Uint8Array
  beforeAll(async () => {
    file = await encodeModel(network(), weightsFor(network()))
  })
  const inside = (from: string, to: string) => (header: string) => {
    const escaped = (s: string) => JSON.stringify(s).slice(1, -1)
    expect(header).toContain(escaped(from))
    return header.replace(escaped(from), escaped(to))
  }
  const replaced = (from: string, to: string) => (header: string) => {
    expect(header).toContain(from)
    return header.replace(from, to)
  }
  it.each<[string, string, (header: string) => string]>([
    ['nothing changed', '', (h) => h],
    ['spaces instead of padding', '', (h) => `${h}      `],
    ['state 2^31', 'ERR_OUT_OF_RANGE', inside('"state":[2]', '"state":[2147483648]')],
    ['too many weights', 'ERR_OUT_OF_RANGE', inside('"state":[2]', '"state":[65536,65536]')],
    ['another state', 'ERR_MODEL_SHAPE', inside('"state":[2]', '"state":[3]')],
    ['state 1.5', 'ERR_MODEL_FORMAT', inside('"state":[2]', '"state":[1.5]')],
    ['state -1', 'ERR_OUT_OF_RANGE', inside('"state":[2]', '"state":[-1]')],
    ['no layer', 'ERR_MODEL_FORMAT', inside('"state":[2]', '"state":[]')],
    ['a layer more', 'ERR_MODEL_FORMAT', inside('"state":[2]', '"state":[2,2]')],
    ['another nonlinearity', 'ERR_MODEL_FORMAT', inside('tanh', 'eval')],
    ['an unknown field', 'ERR_MODEL_FORMAT', inside('"seed":0', '"seed":0,"code":0')],
    ['a missing field', 'ERR_MODEL_FORMAT', inside(',"seed":0', '')],
    ['a forbidden field', 'ERR_MODEL_FORMAT', inside('"seed":0', '"seed":0,"__proto__":{"x":1}')],
    ['labels that are too few', 'ERR_MODEL_FORMAT', inside('"labels":["EI","IE"]', '"labels":["EI","IE","N"]')],
    ['labels twice', 'ERR_MODEL_FORMAT', inside('"labels":["EI","IE"]', '"labels":["EI","EI"]')],
    ['characters without labels', 'ERR_MODEL_FORMAT', inside('"labels":["EI","IE"],"characters":false', '"characters":true')],
    ['no bias in the network', 'ERR_MODEL_FORMAT', inside('"bias":true', '"bias":false')],
    ['version 2', 'ERR_MODEL_VERSION', replaced('"version":"1"', '"version":"2"')],
    ['version -1', 'ERR_MODEL_VERSION', replaced('"version":"1"', '"version":"-1"')],
    ['no version', 'ERR_MODEL_VERSION', replaced('"version":"1",', '')],
    ['a foreign format', 'ERR_MODEL_FORMAT', replaced('"format":"bptt"', '"format":"pt"')],
    ['more metadata', 'ERR_MODEL_FORMAT', replaced('"version":"1"', '"version":"1","more":""')],
    ['a tensor of another name', 'ERR_MODEL_FORMAT', replaced('head.bias', 'head.bies')],
    ['a transposed tensor', 'ERR_MODEL_SHAPE', replaced('"shape":[2,3]', '"shape":[3,2]')],
    ['integers', 'ERR_MODEL_DTYPE', replaced('"F32"', '"I32"')],
    ['an unknown type', 'ERR_MODEL_DTYPE', replaced('"F32"', '"F33"')],
  ])('%s: %s', async (_, expected, change) => {
    const hostile = edit(file, change)
    if (expected) expect(await code(hostile)).toBe(expected)
    else expect((await decodeModel(hostile)).network).toEqual(network())
  })

  it('without a digest, or with a wrong one', async () => {
    expect(await code(edit(file, (h) => h.replace(/,"sha256":"\w+"/, ''), false))).toBe('ERR_MODEL_CHECKSUM')
    expect(await code(edit(file, (h) => h.replace(/"sha256":"./, '"sha256":"x'), false))).toBe('ERR_MODEL_CHECKSUM')
    expect(await code(edit(file, (h) => h.replace('"F32"', '"I32"'), false))).toBe('ERR_MODEL_CHECKSUM')
  })
  it('a second bias where the network keeps one', async () => {
    const hostile = file.slice()
    const { data, tensors } = read(hostile)
    tensors.get('rnn.bias_hh_l0')!.bytes.set([0, 0, 128, 63])
    expect(data.length).toBe(4 * (6 + 4 + 2 + 2 + 4 + 2))
    expect(await code(seal(hostile))).toBe('ERR_MODEL_FORMAT')
  })
  it.each([
    [[0, 0, 128, 127], 'Infinity'],
    [[0, 0, 192, 127], 'NaN'],
    [[1, 0, 128, 255], 'NaN'],
  ])('weights that are not finite: %s', async (bytes, received) => {
    const hostile = file.slice()
    read(hostile).tensors.get('head.weight')!.bytes.set(bytes, 12)
    expect(await errorOf(decodeModel(seal(hostile)))).toMatchObject({ code: 'ERR_NONFINITE', at: 'head.weight[1][1]', received })
  })
})

describe('a hostile header', () => {
  const entry = (o: object) => JSON.stringify({ t: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...o } })
  const eight = new Uint8Array(8)
  it('is the base of these cases', () => expect(read(raw(entry({}), eight)).tensors.get('t')!.shape).toEqual([2]))

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array()],
    ...[1, 2, 3, 4, 5, 6, 7].map((n): [string, Uint8Array] => [`${n} bytes`, new Uint8Array(n).fill(0x7b)]),
    ['no header', raw('')],
    ['a length of 2^63', new Uint8Array([0, 0, 0, 0, 0, 0, 0, 128, 0x7b, 0x7d])],
    ['a length of 2^32 + 2', new Uint8Array([2, 0, 0, 0, 1, 0, 0, 0, 0x7b, 0x7d])],
    ['a length beyond the file', new Uint8Array([3, 0, 0, 0, 0, 0, 0, 0, 0x7b, 0x7d])],
    ['a length beyond the limit', raw(`{${' '.repeat(9 * 2 ** 20)}}`)],
    ['not UTF-8', raw(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d]))],
    ['a byte order mark', raw('\ufeff{}')],
    ['a space first', raw(' {}')],
    ['a zero inside', raw('{\0}')],
    ['a list', raw('[]')],
    ['two values', raw('{}{}')],
    [
      'a name twice',
      raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, eight),
    ],
    ['a name twice, once escaped', raw('{"__metadata__":{"a":"","\\u0061":""}}')],
    ...['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'].flatMap((name): [string, Uint8Array][] => [
      [`a tensor ${name}`, raw(`{"${name}":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, eight)],
      [`metadata ${name}`, raw(`{"__metadata__":{"${name}":"x"}}`)],
    ]),
    ['metadata that is not a string', raw('{"__metadata__":{"a":1}}')],
    ['metadata that nests', raw('{"__metadata__":{"a":{}}}')],
    ['half a surrogate pair', raw('{"__metadata__":{"a":"\\ud800"}}')],
    ['a control character', raw('{"__metadata__":{"a":"\n"}}')],
    ['10 MB of metadata', raw(`{"__metadata__":{"a":"${'x'.repeat(1e7)}"}}`)],
    ['depth 1 000 000', raw(`{"a":${'['.repeat(1e6)}${']'.repeat(1e6)}}`)],
    ['100 000 names', raw(`{${Array.from({ length: 1e5 }, (_, i) => `"${i}":{}`).join()}}`)],
    [
      '5 000 tensors',
      raw(
        `{${Array.from({ length: 5000 }, (_, i) => `"t${i}":{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`).join()}}`,
        new Uint8Array(5000),
      ),
    ],
    ['a long name', raw(JSON.stringify({ ['n'.repeat(257)]: { dtype: 'F32', shape: [2], data_offsets: [0, 8] } }), eight)],
    ...[
      { data_offsets: [-8, 0] },
      { data_offsets: [8, 0] },
      { data_offsets: [0, 4] },
      { data_offsets: [0, 16] },
      { data_offsets: [4, 12] },
      { data_offsets: [0] },
      { data_offsets: [0, 8, 8] },
      { data_offsets: ['0', '8'] },
      { data_offsets: null },
      { shape: [-2] },
      { shape: [1.5] },
      { shape: [1e20] },
      { shape: [0], data_offsets: [0, 0] },
      { shape: [2 ** 31, 2 ** 31, 2 ** 31] },
      { shape: [2 ** 32, 2 ** 32] },
      { shape: [1, 1, 1, 1, 1, 1, 1, 1, 2] },
      { shape: Array.from({ length: 1000 }, () => 1), data_offsets: [0, 4] },
      { shape: [3] },
      { shape: '2' },
      { dtype: 'F64' },
      { dtype: 32 },
      { extra: 1 },
    ].map((o): [string, Uint8Array] => [JSON.stringify(o).slice(0, 60), raw(entry(o), eight)]),
    ...['01', '1e0', '0x2', '-0', '2.0', '9007199254740993', '1e400', 'NaN', 'Infinity', '+2'].map((n): [string, Uint8Array] => [
      `the number ${n}`,
      raw(entry({}).replace('[2]', `[${n}]`), eight),
    ]),
    ['a comma too many', raw(entry({}).replace('[2]', '[2,]'), eight)],
    ['a hole', raw(entry({ data_offsets: [4, 12] }), new Uint8Array(12))],
    [
      'an overlap',
      raw('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}', new Uint8Array(6)),
    ],
    [
      'the same place twice',
      raw('{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}', new Uint8Array(4)),
    ],
  ])('is refused: %s', async (_, file) => {
    expect(await code(file)).toBe('ERR_MODEL_FORMAT')
    expect(() => read(file)).toThrow()
    expect('x' in {}).toBe(false)
  })
  it('is refused for an unknown type', () =>
    expect(() => read(raw(entry({ dtype: 'F31' }), eight))).toThrow(expect.objectContaining({ code: 'ERR_MODEL_DTYPE' })))
  it('may list tensors in any order, unless the file is ours', () => {
    const file = raw(
      '{"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
      new Uint8Array([1, 2, 3, 4, 5, 6]),
    )
    expect([...read(file).tensors.get('b')!.bytes]).toEqual([3, 4, 5, 6])
    expect(read(file).ordered).toBe(false)
  })

  it.each<[string, string | number[]]>([
    ['zip archive', 'PK\x03\x04....'],
    ['pickle', [0x80, 2, 0x8a, 10, 1, 2, 3, 4, 5, 6]],
    ['gzip', [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0]],
    ['HDF5', '\x89HDF\r\n\x1a\n....'],
    ['NumPy', '\x93NUMPY....'],
    ['GGUF', 'GGUF....'],
    ['ONNX', [0x08, 7, 0x12, 7, 112, 121, 116, 111, 114, 99, 104]],
    ['JSON', ' {"weights": [1, 2]}'],
    ['HTML', '<!doctype html>'],
    ['Git LFS', 'version https://git-lfs.github.com/spec/v1'],
    ['something else', 'nothing known'],
    ['empty', ''],
  ])('is named where it is %s', async (name, bytes) => {
    const error = await errorOf(decodeModel(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : Uint8Array.from(bytes)))
    expect(error.code).toBe('ERR_MODEL_FORMAT')
    expect(error.message).toContain(name)
    expect(error.hint).toBeTruthy()
  })
  it('that is a state dict is answered by fromPyTorch', async () =>
    expect((await errorOf(decodeModel(raw(entry({}), eight)))).hint).toContain('RNN.fromPyTorch'))
})

describe('the parts', () => {
  it('SHA-256 is that of node:crypto, at every length around its blocks and across parts', async () => {
    const bytes = Uint8Array.from({ length: 300 }, (_, i) => (i * 167) & 255)
    for (let n = 0; n <= 300; n++) {
      const part = bytes.subarray(0, n)
      const expected = createHash('sha256').update(part).digest('hex')
      const own = new Sha256()
      for (const piece of [part.subarray(0, n >> 2), part.subarray(n >> 2, n >> 1), part.subarray(n >> 1)]) own.update(piece)
      expect(own.hex()).toBe(expected)
      expect(await sha256([part])).toBe(expected)
      expect(await sha256([part.subarray(0, n >> 2), part.subarray(n >> 2, n >> 1), part.subarray(n >> 1)])).toBe(expected)
    }
    const long = new Uint8Array(5 * 2 ** 20 + 7).fill(3)
    expect(await sha256([bytes.subarray(0, 5), long])).toBe(createHash('sha256').update(bytes.subarray(0, 5)).update(long).digest('hex'))
  })

  it('every half and bfloat16 is converted exactly', () => {
    const all = new Uint8Array(Uint16Array.from({ length: 65536 }, (_, i) => i).buffer)
    const stored = (dtype: string) => toFloat32({ dtype, shape: [65536], bytes: all }, 't', refusal())
    const half = stored('F16')
    const by = (sign: number, e: number, f: number) =>
      (e === 31 ? (f ? Number.NaN : Infinity) : e ? (1 + f / 1024) * 2 ** (e - 15) : f * 2 ** -24) * sign
    for (let i = 0; i < 65536; i++) {
      const expected = by(i >> 15 ? -1 : 1, (i >> 10) & 31, i & 1023)
      if (!Object.is(half[i], expected)) expect.unreachable(`${i}: ${half[i]}, not ${expected}`)
    }
    expect([half[0x3c00], half[0x7bff], half[1], half[0x0400], half[0xc000]]).toEqual([1, 65504, 2 ** -24, 2 ** -14, -2])
    expect(bits(stored('BF16'))).toEqual(Array.from({ length: 65536 }, (_, i) => i * 65536))
  })

  it('JSON is read as JSON.parse does, where both read it', () => {
    const texts = [
      '{"a":[1,-2,0,true,false,null,"\\u00e9\\n\\"\\\\\\/"],"b":{}}',
      '[]',
      ' [ ] ',
      '"\\ud83d\\ude00"',
      '9007199254740991',
      '[[[[[1]]]]]',
    ]
    const plain = (value: unknown): unknown =>
      value instanceof Map ? Object.fromEntries([...value].map(([k, v]) => [k, plain(v)])) : Array.isArray(value) ? value.map(plain) : value
    for (const text of texts) expect(plain(parseJson(text, (what) => new Error(what)))).toEqual(JSON.parse(text))
    for (const text of [
      '',
      '{',
      '[1',
      '[1 2]',
      '{"a"}',
      '{"a":}',
      '{a:1}',
      "'a'",
      'tru',
      '"a',
      '"\\x"',
      '"\\u12"',
      '[,]',
      '1 2',
      '[[[[[[1]]]]]]',
    ])
      expect(() => parseJson(text, (what) => new Error(what)), text).toThrow()
  })
})
