/*
 * From a Config to a Network: every choice checked, every default filled in, before anything is allocated. Called by the constructor;
 * files/ describes a network by `output` too and uses readOutput, and checks what it read from a file by checkSize.
 */
import type { BackendName } from '../backends/engine.js'
import { BpttError, isArray, show } from '../errors.js'
import type { HeadName, Network } from '../network/network.js'
import { LIMITS } from './limits.js'
import { boolean, elements, integer, invalid, Options } from './values.js'

export interface Choices {
  readonly network: Network
  readonly backend: 'auto' | BackendName
  /** undefined: as many as the machine offers */
  readonly threads: number | undefined
  readonly numerics: 'fast' | 'portable'
}

export const NONLINEARITIES = ['tanh', 'relu', 'sigmoid', 'identity'] as const
export const READOUTS = ['last', 'all'] as const
export const INITS = ['orthogonal', 'pytorch', 'keras', 'identity'] as const
export const BACKENDS = ['auto', 'native', 'wasm', 'reference'] as const

/** @throws BpttError of code ERR_INVALID_ARG, ERR_OUT_OF_RANGE or ERR_UNKNOWN_OPTION. */
export function readConfig(config: unknown): Choices {
  if (config === undefined) throw invalid('config', 'an object', config, "new RNN({ input: 4, state: 64, output: ['yes', 'no'] })")
  const o = new Options(config, 'config', 'config')
  const network: Network = {
    input: o.required('input', readInput),
    state: o.required('state', readState),
    output: o.required('output', readOutput),
    readout: o.choice('readout', 'last', READOUTS),
    nonlinearity: o.choice('nonlinearity', 'tanh', NONLINEARITIES),
    bias: o.choice('bias', true, [true, false, 'double']),
    outputBias: o.read('outputBias', true, boolean),
    missing: o.choice('missing', 'error', ['error', 'mask']),
    init: o.choice('init', 'orthogonal', INITS),
    seed: o.integer('seed', 0, 0, Number.MAX_SAFE_INTEGER),
  }
  checkSize(network)
  return {
    network,
    backend: o.choice('backend', 'auto', BACKENDS),
    threads: o.integer('threads', undefined, 1, LIMITS.THREADS),
    numerics: o.choice('numerics', 'fast', ['fast', 'portable']),
  }
}

/** Refuses a network whose weights no machine could hold. All sizes are small integers, so nothing here can overflow. */
export function checkSize({ input, state, output }: Network, at = 'config'): void {
  let weights = output.size * (state.at(-1)! + 1)
  state.forEach((S, k) => (weights += S * ((k === 0 ? input.size : state[k - 1]!) + S + 2)))
  if (weights > LIMITS.WEIGHTS)
    throw new BpttError('ERR_OUT_OF_RANGE', 'describes too large a network', {
      at,
      expected: `at most ${LIMITS.WEIGHTS} weights`,
      received: show(weights),
    })
}

export function readInput(value: unknown, at: string): Network['input'] {
  const kinds = 'a number of features, { tokens: 26 } or a vocabulary'
  const size = { min: 1, max: LIMITS.SIZE }
  if (typeof value === 'number') return { size: integer(value, at, size), tokens: false }
  if (value === null || typeof value !== 'object' || isArray(value)) throw invalid(at, kinds, value)
  const characters = vocabularyLabels(value, at, 1)
  if (characters) return { size: characters.length, tokens: true, characters }
  return { size: new Options(value, at, 'tokens').required('tokens', (n, path) => integer(n, path, size)), tokens: true }
}

export function readState(value: unknown, at: string): number[] {
  const size = { min: 1, max: LIMITS.STATE }
  if (typeof value === 'number') return [integer(value, at, size)]
  const layers = elements(value, at, 'a number of units, or a list of them for stacked layers', LIMITS.LAYERS)
  if (layers.length === 0) throw invalid(at, 'at least one layer', value, 'state: 64')
  return layers.map((S, k) => integer(S, `${at}[${k}]`, size))
}

export function readOutput(value: unknown, at: string): Network['output'] {
  if (typeof value === 'number' || isArray(value)) return readHead('softmax', value, at)
  if (value === null || typeof value !== 'object')
    throw invalid(at, 'a number of classes, labels, a vocabulary, { softmax }, { sigmoid } or { linear }', value)
  const labels = vocabularyLabels(value, at, 2)
  if (labels) return { size: labels.length, head: 'softmax', labels, characters: true }
  const [head, of] = new Options(value, at, 'head').only()
  return readHead(head, of, `${at}.${head}`)
}

function readHead(head: HeadName, value: unknown, at: string): Network['output'] {
  const least = head === 'softmax' ? 2 : 1
  if (isArray(value)) {
    const labels = readLabels(value, at, least)
    return { size: labels.length, head, labels, characters: false }
  }
  if (typeof value !== 'number') throw invalid(at, 'a number or labels', value)
  if (head === 'softmax' && value === 1) throw softmaxOfOne(at)
  return { size: integer(value, at, { min: least, max: LIMITS.SIZE }), head, characters: false }
}

const softmaxOfOne = (at: string) =>
  new BpttError('ERR_INVALID_ARG', 'a softmax of 1 is always 1 and learns nothing', {
    at,
    hint: 'To predict a number write output: { linear: 1 }; for yes or no write output: { sigmoid: 1 }.',
  })

/** Labels: distinct, non-empty, well-formed strings, and few enough to be kept in a model file. Frozen, since `model.labels` hands them out. */
export function readLabels(value: unknown, at: string, least: number): readonly string[] {
  const labels = elements(value, at, 'a list of labels', LIMITS.SIZE).map((label, i) => {
    if (typeof label !== 'string' || label === '') throw invalid(`${at}[${i}]`, 'a non-empty string', label)
    if (/\p{Surrogate}/u.test(label)) throw invalid(`${at}[${i}]`, 'well-formed Unicode, without half a surrogate pair', label)
    return label
  })
  if (least === 2 && labels.length === 1) throw softmaxOfOne(at)
  if (labels.length < least) throw invalid(at, least === 2 ? 'at least 2 labels' : 'at least 1 label', value)
  const seen = new Map<string, number>()
  labels.forEach((label, i) => {
    if (seen.has(label))
      throw invalid(
        `${at}[${i}]`,
        `a label that differs from ${at}[${seen.get(label)}]`,
        label,
        'Labels are the distinct classes: [...new Set(y)].sort().',
      )
    seen.set(label, i)
  })
  // 3 bytes of UTF-8 for each UTF-16 unit, 6 for an escaped one: the bound need not be exact, only above
  const bytes = labels.reduce((sum, label) => sum + 3 + Math.min(6 * label.length, 3 * JSON.stringify(label).length), 2)
  if (bytes > LIMITS.LABEL_BYTES)
    throw new BpttError('ERR_OUT_OF_RANGE', 'has too many or too long labels', {
      at,
      expected: `at most ${LIMITS.LABEL_BYTES} bytes`,
      received: `about ${bytes} bytes`,
    })
  return Object.freeze(labels)
}

/** The characters of a Vocabulary, recognised by its three members; undefined for anything else. */
function vocabularyLabels(value: object, at: string, least: number): readonly string[] | undefined {
  const { labels, encode, decode } = value as { labels?: unknown; encode?: unknown; decode?: unknown }
  if (!isArray(labels) || typeof encode !== 'function' || typeof decode !== 'function') return undefined
  const characters = readLabels(labels, `${at}.labels`, least)
  const long = characters.findIndex((label) => [...label].length !== 1)
  if (long >= 0)
    throw invalid(
      `${at}.labels[${long}]`,
      'one character',
      characters[long],
      'For other tokens number them yourself: input: { tokens: n }, output: labels.',
    )
  return characters
}
