/*
 * A network from a state dict that PyTorch wrote as safetensors: an nn.RNN and an nn.Linear, found by their prefixes. Sizes come from the
 * shapes. Tensors outside of the two prefixes are ignored; anything inside that this network could not honour is an error.
 */
import { checkSize } from '../check/config.js'
import { LIMITS, tooLarge } from '../check/limits.js'
import type { Network } from '../network/network.js'
import { parameterTable, parameterView } from '../network/parameters.js'
import { UNIT_FLOATS } from '../plan/memory.js'
import { checkDigest, checkShape, finiteValues, type Model, tensorName } from './model-file.js'
import { type Refuse, refusal } from './refuse.js'
import { readSafetensors, type Safetensors } from './safetensors.js'

export interface StateDictOptions {
  readonly output: Network['output']
  readonly readout: Network['readout']
  /** Prefixes of the names: 'rnn.' and 'head.' where a module has these members; '' for the state dict of an nn.RNN itself. */
  readonly rnn: string
  readonly head: string
  readonly nonlinearity: Network['nonlinearity']
}

/**
 * The two biases become one, b = b_ih + b_hh. The bytes must not change meanwhile: callers pass their own copy.
 * @throws as decodeModel; ERR_MODEL_SHAPE also for an LSTM, a GRU, and an output of another size than the head's.
 */
export async function readStateDict(
  bytes: Uint8Array,
  options: StateDictOptions,
  { file, maxBytes = LIMITS.FILE_BYTES }: { file?: string; maxBytes?: number } = {},
): Promise<Model> {
  const { output, readout, rnn, head, nonlinearity } = options
  const refuse = refusal(file)
  if (bytes.length > maxBytes) throw tooLarge(bytes.length, maxBytes, file)
  const stored = readSafetensors(bytes, refuse)
  if (stored.metadata.get('format') === 'bptt') await checkDigest(stored, refuse)

  const { layers, bias } = inspectLayers(stored, rnn, head, refuse)
  const headShape = stored.tensors.get(`${head}weight`)?.shape
  if (!headShape)
    throw refuse('is missing', {
      at: `${head}weight`,
      hint: candidates(stored, /^(.*?)weight$/, (shape) => shape.length === 2, 'head', [rnn]),
    })
  if (headShape.length !== 2)
    throw refuse('is not a matrix', { at: `${head}weight`, received: `[${headShape.join(', ')}]` }, 'ERR_MODEL_SHAPE')
  if (headShape[0] !== output.size) {
    const details = { at: `${head}weight`, expected: `${output.size} rows, one for each output`, received: `[${headShape.join(', ')}]` }
    throw refuse('does not fit output', details, 'ERR_MODEL_SHAPE')
  }
  const network: Network = {
    input: { size: layers[0]![1], tokens: false },
    state: layers.map(([S]) => S),
    output,
    readout,
    nonlinearity,
    bias,
    outputBias: stored.tensors.has(`${head}bias`),
    missing: 'error',
    init: 'pytorch',
    seed: 0,
  }
  checkSize(network, 'state dict')

  const table = parameterTable(network)
  const weights = new Float32Array(table.units * UNIT_FLOATS)
  for (const parameter of table.list) {
    const name = tensorName(parameter, rnn, head)
    const read = (from: string) => {
      checkShape(from, stored.tensors.get(from)!.shape, parameter.shape, refuse)
      return finiteValues(stored, from, parameter.shape, refuse)
    }
    const values = read(name)
    if (parameter.name === 'b') {
      const second = tensorName({ name: 'bh', layer: parameter.layer }, rnn, head)
      read(second).forEach((b, i) => (values[i]! += b))
      const bad = values.findIndex((b) => !Number.isFinite(b))
      if (bad >= 0)
        throw refuse('and bias_hh together are not finite', { at: `${name}[${bad}]`, received: String(values[bad]) }, 'ERR_NONFINITE')
    }
    parameterView(weights, parameter).set(values)
  }
  return { network, weights }
}

/** [s, r] of each layer, lowest first, and whether there are biases; all matrices of the right form. */
function inspectLayers(
  { tensors, ...stored }: Safetensors,
  rnn: string,
  head: string,
  refuse: Refuse,
): { layers: [number, number][]; bias: boolean } {
  const members = new Map<string, readonly number[]>()
  for (const [name, { shape }] of tensors) {
    if (!name.startsWith(rnn) || (head.startsWith(rnn) && name.startsWith(head))) continue
    const member = name.slice(rnn.length)
    if (/_reverse$/.test(member)) throw refuse('belongs to a bidirectional network, which does not exist here', { at: name })
    if (/^weight_hr_l\d+$/.test(member)) throw refuse('belongs to a projection (proj_size), which does not exist here', { at: name })
    if (/^(weight|bias)_(ih|hh)_l\d+$/.test(member)) members.set(member, shape)
    // without a prefix, other members of the module are not of the nn.RNN
    else if (rnn)
      throw refuse('is not a member of an nn.RNN', { at: name, hint: 'rnn is the prefix of an nn.RNN, head that of an nn.Linear.' })
  }
  if (!members.has('weight_ih_l0')) {
    const hint = candidates({ tensors, ...stored }, /^(.*?)weight_ih_l0$/, () => true, 'rnn', [])
    throw refuse('is missing', { at: `${rnn}weight_ih_l0`, hint })
  }

  const layers: [number, number][] = []
  for (let k = 0; members.has(`weight_ih_l${k}`); k++) {
    const at = `${rnn}weight_hh_l${k}`
    const hh = members.get(`weight_hh_l${k}`)
    if (!hh) throw refuse('is missing', { at })
    const [rows, S] = hh
    if (hh.length !== 2 || rows !== S) {
      const cell = rows === 4 * S! ? 'an LSTM' : rows === 3 * S! ? 'a GRU' : undefined
      const what = cell ? `belongs to ${cell}; only the plain nn.RNN exists here` : 'is not a square matrix'
      throw refuse(what, { at, received: `[${hh.join(', ')}]` }, 'ERR_MODEL_SHAPE')
    }
    const ih = members.get(`weight_ih_l${k}`)!
    const below = layers[k - 1]?.[0] ?? ih[1]
    if (ih.length !== 2 || below === undefined)
      throw refuse('is not a matrix', { at: `${rnn}weight_ih_l${k}`, received: `[${ih.join(', ')}]` }, 'ERR_MODEL_SHAPE')
    checkShape(`${rnn}weight_ih_l${k}`, ih, [S!, below], refuse)
    layers.push([S!, below])
  }

  const bias = members.has('bias_ih_l0')
  const wanted = layers.flatMap((_, k) =>
    ['weight_ih', 'weight_hh', ...(bias ? ['bias_ih', 'bias_hh'] : [])].map((name) => `${name}_l${k}`),
  )
  const missing = wanted.find((name) => !members.has(name))
  if (missing !== undefined) throw refuse('is missing', { at: rnn + missing })
  const extra = [...members.keys()].find((name) => !wanted.includes(name))
  if (extra !== undefined) throw refuse('does not belong to the other layers', { at: rnn + extra })
  if (layers.length > LIMITS.LAYERS || layers.some(([S, R]) => S > LIMITS.STATE || R > LIMITS.SIZE))
    throw refuse('is too large a network', { at: rnn }, 'ERR_OUT_OF_RANGE')
  return { layers, bias }
}

/** "The file has …: pass rnn: 'encoder.'", from names that would fit. */
function candidates(
  { tensors }: Safetensors,
  pattern: RegExp,
  fits: (shape: readonly number[]) => boolean,
  option: 'rnn' | 'head',
  except: readonly string[],
): string {
  const prefixes = [...tensors].flatMap(([name, { shape }]) => {
    const prefix = pattern.exec(name)?.[1]
    return prefix !== undefined && fits(shape) && !except.includes(prefix) ? [`${option}: ${JSON.stringify(prefix)}`] : []
  })
  if (prefixes.length) return `The file has another prefix; pass ${prefixes.slice(0, 5).join(' or ')}.`
  return `The file holds ${[...tensors.keys()].slice(0, 8).map((name) => name.slice(0, 60)).join(', ') || 'no tensors'}.` // biome-ignore format: one sentence
}
