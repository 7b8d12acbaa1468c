/*
 * A network and its weights as one file, and back. The tensors have PyTorch's names, so that Python reads the file without us; the
 * network itself is JSON in the metadata, and a digest covers everything. State dicts that others wrote are pytorch.ts.
 *
 *   __metadata__  format 'bptt', version '1', bptt: { package, network } as JSON, sha256 of header (its own digits as zeros) and data
 *   tensors       rnn.weight_ih_l{k} U [s, r], rnn.weight_hh_l{k} W [s, s], rnn.bias_ih_l{k} b [s], rnn.bias_hh_l{k} [s] (bh, or zeros),
 *                 head.weight V [t, s], head.bias c [t]
 */
import { checkSize, INITS, NONLINEARITIES, READOUTS, readLabels } from '../check/config.js'
import { LIMITS, tooLarge } from '../check/limits.js'
import { boolean, choice, integer } from '../check/values.js'
import { BpttError } from '../errors.js'
import type { Network } from '../network/network.js'
import { type Parameter, parameterTable, parameterView } from '../network/parameters.js'
import { UNIT_FLOATS } from '../plan/memory.js'
import { type Json, type JsonObject, parseJson } from './json.js'
import { type Refuse, refusal } from './refuse.js'
import { type Bytes, type NewTensor, readSafetensors, type Safetensors, toFloat32, writeSafetensors } from './safetensors.js'
import { sha256 } from './sha256.js'
import { VERSION } from './version.js'

export interface Model {
  readonly network: Network
  /** In the layout of parameterTable(network). */
  readonly weights: Float32Array
}

const FORMAT = 'bptt'
const FORMAT_VERSION = '1'
const NO_DIGEST = '0'.repeat(64)

/** PyTorch's name of a parameter. */
export function tensorName({ name, layer }: Pick<Parameter, 'name' | 'layer'>, rnn = 'rnn.', head = 'head.'): string {
  if (name === 'V') return `${head}weight`
  if (name === 'c') return `${head}bias`
  return `${rnn}${{ U: 'weight_ih', W: 'weight_hh', b: 'bias_ih', bh: 'bias_hh' }[name]}_l${layer}`
}

/** @param weights in the layout of parameterTable(network); read before the first await. */
export async function encodeModel(network: Network, weights: Float32Array): Promise<Bytes> {
  const tensors = tensorsOf(network).map(({ name, shape, parameter }): NewTensor => {
    return { name, shape, data: parameter ? parameterView(weights, parameter) : new Float32Array(shape[0]!) }
  })
  const description = JSON.stringify({ package: VERSION, network })
  const { file, header, data } = writeSafetensors(tensors, {
    format: FORMAT,
    version: FORMAT_VERSION,
    bptt: description,
    sha256: NO_DIGEST,
  })
  const digest = await sha256([header, data])
  header.set(new TextEncoder().encode(digest), digestPlace(header, NO_DIGEST)!)
  return file
}

interface FileTensor {
  readonly name: string
  readonly shape: readonly number[]
  /** None: zeros, where the network keeps one bias and PyTorch two. */
  readonly parameter?: Parameter
}

/** The file's tensors in its order: layer by layer as PyTorch lists them, then the head. */
function tensorsOf(network: Network): FileTensor[] {
  const table = parameterTable(network)
  const one = (name: Parameter['name'], layer: number): FileTensor[] => {
    const parameter = table.get(name, layer)
    if (parameter) return [{ name: tensorName(parameter), shape: parameter.shape, parameter }]
    return name === 'bh' && network.bias ? [{ name: tensorName({ name, layer }), shape: [network.state[layer]!] }] : []
  }
  const layers = network.state.flatMap((_, k) => (['U', 'W', 'b', 'bh'] as const).flatMap((name) => one(name, k)))
  return [...layers, ...one('V', -1), ...one('c', -1)]
}

/**
 * Reads what encodeModel wrote. The bytes must not change meanwhile: callers pass their own copy.
 * @throws ERR_MODEL_FORMAT, _VERSION, _CHECKSUM, _DTYPE, _SHAPE, _TOO_LARGE; ERR_NONFINITE for NaN or Infinity among the weights;
 * ERR_OUT_OF_RANGE for a network beyond the limits.
 */
export async function decodeModel(
  bytes: Uint8Array,
  { file, maxBytes = LIMITS.FILE_BYTES }: { file?: string; maxBytes?: number } = {},
): Promise<Model> {
  const refuse = refusal(file)
  if (bytes.length > maxBytes) throw tooLarge(bytes.length, maxBytes, file)
  const stored = readSafetensors(bytes, refuse)
  if (stored.metadata.get('format') !== FORMAT) {
    const hint = "A state dict from PyTorch is read by RNN.fromPyTorch(file, { output: ['ham', 'spam'] })."
    throw refuse('is a safetensors file that this package did not write', { hint })
  }
  await checkDigest(stored, refuse)
  if (!stored.ordered) throw refuse('lists its tensors out of order', { at: 'header' })

  const network = readNetwork(stored.metadata.get('bptt')!, refuse)
  const wanted = tensorsOf(network)
  for (const { name, shape } of wanted) {
    const tensor = stored.tensors.get(name)
    if (!tensor) throw refuse('is missing', { at: name })
    checkShape(name, tensor.shape, shape, refuse)
  }
  const extra = [...stored.tensors.keys()].find((name) => !wanted.some((w) => w.name === name))
  if (extra !== undefined) throw refuse('is a tensor that this network does not have', { at: extra })

  const weights = new Float32Array(parameterTable(network).units * UNIT_FLOATS)
  for (const { name, shape, parameter } of wanted) {
    const values = finiteValues(stored, name, shape, refuse)
    if (parameter) parameterView(weights, parameter).set(values)
    else if (values.some((value) => value !== 0)) throw refuse('must be zero where the network keeps one bias', { at: name })
  }
  return { network, weights }
}

export function checkShape(name: string, shape: readonly number[], expected: readonly number[], refuse: Refuse): void {
  if (shape.length !== expected.length || shape.some((n, i) => n !== expected[i]))
    throw refuse(
      'has the wrong shape',
      { at: name, expected: `[${expected.join(', ')}]`, received: `[${shape.join(', ')}]` },
      'ERR_MODEL_SHAPE',
    )
}

/** A stored tensor as float32, all finite. */
export function finiteValues(stored: Safetensors, name: string, shape: readonly number[], refuse: Refuse): Float32Array {
  const values = toFloat32(stored.tensors.get(name)!, name, refuse)
  const bad = values.findIndex((value) => !Number.isFinite(value))
  if (bad >= 0) {
    const columns = shape[1] ?? 1
    const at = `${name}[${Math.floor(bad / columns)}]${shape.length > 1 ? `[${bad % columns}]` : ''}`
    throw refuse('is not a finite float32 number', { at, received: String(values[bad]) }, 'ERR_NONFINITE')
  }
  return values
}

/** Version and digest of a file whose metadata says that it is ours. */
export async function checkDigest({ metadata, header, data }: Safetensors, refuse: Refuse): Promise<void> {
  const version = metadata.get('version')
  if (version !== FORMAT_VERSION) {
    const received = version === undefined ? 'none' : JSON.stringify(version.slice(0, 20))
    throw refuse(
      'has an unknown format version',
      { expected: JSON.stringify(FORMAT_VERSION), received, hint: 'A newer version of bptt may read it.' },
      'ERR_MODEL_VERSION',
    )
  }
  const digest = metadata.get('sha256')
  const at = digest !== undefined && /^[0-9a-f]{64}$/.test(digest) ? digestPlace(header, digest) : undefined
  const covered = header.slice()
  if (at !== undefined) covered.fill(0x30, at, at + 64)
  if (at === undefined || (await sha256([covered, data])) !== digest) {
    const hint = 'The file was damaged or edited after it was saved.'
    throw refuse(digest === undefined ? 'has no digest' : 'does not match its digest', { hint }, 'ERR_MODEL_CHECKSUM')
  }
  if (metadata.size !== 4 || !metadata.has('bptt'))
    throw refuse('does not hold exactly format, version, bptt and sha256', { at: 'header["__metadata__"]' })
}

/** Where the digest's digits are in the header's bytes: found exactly once, or not at all. In JSON no other string can hold the quotes around it. */
function digestPlace(header: Uint8Array, digest: string): number | undefined {
  const text = new TextDecoder('latin1').decode(header)
  const key = '"sha256":"'
  const at = text.indexOf(`${key}${digest}"`)
  return at < 0 || text.indexOf(key, at + 1) >= 0 ? undefined : at + key.length
}

/** The network from the metadata, by the rules that a configuration has to follow. */
function readNetwork(text: string, refuse: Refuse): Network {
  const at = 'bptt'
  const json = parseJson(text, (what, position) => refuse(`is not strict JSON (${what} at position ${position})`, { at }))
  try {
    const { network } = fields(json, at, ['package', 'network'])
    const n = fields(network, 'network', [
      'input',
      'state',
      'output',
      'readout',
      'nonlinearity',
      'bias',
      'outputBias',
      'missing',
      'init',
      'seed',
    ])
    const input = fields(n.input, 'input', ['size', 'tokens'], ['characters'])
    const output = fields(n.output, 'output', ['size', 'head', 'characters'], ['labels'])
    const size = (value: Json | undefined, where: string, max: number) => integer(value, where, { min: 1, max })
    if (!Array.isArray(n.state) || n.state.length === 0 || n.state.length > LIMITS.LAYERS)
      throw refuse('is not a list of layers', { at: 'state' })
    const head = choice(output.head, 'output.head', ['softmax', 'sigmoid', 'linear'] as const)
    const least = head === 'softmax' ? 2 : 1
    const result: Network = {
      input: {
        size: size(input.size, 'input.size', LIMITS.SIZE),
        tokens: boolean(input.tokens, 'input.tokens'),
        ...(input.characters !== undefined && { characters: readLabels(input.characters, 'input.characters', 1) }),
      },
      state: n.state.map((S, k) => size(S, `state[${k}]`, LIMITS.STATE)),
      output: {
        size: integer(output.size, 'output.size', { min: least, max: LIMITS.SIZE }),
        head,
        ...(output.labels !== undefined && { labels: readLabels(output.labels, 'output.labels', least) }),
        characters: boolean(output.characters, 'output.characters'),
      },
      readout: choice(n.readout, 'readout', READOUTS),
      nonlinearity: choice(n.nonlinearity, 'nonlinearity', NONLINEARITIES),
      bias: choice(n.bias, 'bias', [true, false, 'double'] as const),
      outputBias: boolean(n.outputBias, 'outputBias'),
      missing: choice(n.missing, 'missing', ['error', 'mask'] as const),
      init: choice(n.init, 'init', INITS),
      seed: integer(n.seed, 'seed', { min: 0, max: Number.MAX_SAFE_INTEGER }),
    }
    const { input: i, output: o } = result
    if (i.characters && (!i.tokens || i.characters.length !== i.size)) throw refuse('does not fit its characters', { at: 'input' })
    if (o.labels ? o.labels.length !== o.size : o.characters) throw refuse('does not fit its labels', { at: 'output' })
    checkSize(result, 'network')
    return result
  } catch (error) {
    // the checks are those of a configuration; what is wrong here is the file
    if (error instanceof BpttError && error.code === 'ERR_INVALID_ARG')
      throw refuse('does not describe a network', { at: error.at, expected: error.expected, received: error.received })
    throw error
  }

  function fields<const N extends string, const O extends string = never>(
    value: Json | undefined,
    where: string,
    names: readonly N[],
    optional: readonly O[] = [],
  ) {
    const object: JsonObject | undefined = value instanceof Map ? value : undefined
    const known: readonly string[] = [...names, ...optional]
    if (!object || names.some((name) => !object.has(name)) || [...object.keys()].some((name) => !known.includes(name)))
      throw refuse(`does not have the fields ${names.join(', ')}`, { at: where })
    return Object.fromEntries(object) as Record<N, Json> & Partial<Record<O, Json>>
  }
}
