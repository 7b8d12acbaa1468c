/* What users may pass as configuration and options, what they get where they pass something else, and that nothing is read twice. */
import { afterEach, describe, expect, it } from 'vitest'
import { checkSize, readConfig } from '#lib/check/config.js'
import { PLACES, remedyFor } from '#lib/check/names.js'
import {
  readForwardOptions,
  readGradientsOptions,
  readPyTorchOptions,
  readStepCall,
  readStepOptions,
  readStreamOptions,
  readTrainOptions,
} from '#lib/check/options.js'
import { thrownBy } from './support/mistakes.js'

const base = { input: 4, state: 64, output: ['EI', 'IE', 'N'] }
const { network } = readConfig(base)
const characters = (labels: string[]) => ({ labels, encode: () => new Int32Array(), decode: () => '' })

const config = (change: object) => thrownBy(() => readConfig({ ...base, ...change }))
const train = (options: unknown, of = network) => thrownBy(() => readTrainOptions(options, of))

describe('a configuration', () => {
  it('has the documented defaults', () => {
    expect(readConfig(base)).toEqual({
      network: {
        input: { size: 4, tokens: false },
        state: [64],
        output: { size: 3, head: 'softmax', labels: ['EI', 'IE', 'N'], characters: false },
        readout: 'last',
        nonlinearity: 'tanh',
        bias: true,
        outputBias: true,
        missing: 'error',
        init: 'orthogonal',
        seed: 0,
      },
      backend: 'auto',
      threads: undefined,
      numerics: 'fast',
    })
  })

  it('says everything that it can say', () => {
    const chosen = {
      readout: 'all',
      nonlinearity: 'relu',
      bias: 'double',
      outputBias: false,
      missing: 'mask',
      init: 'pytorch',
      seed: 2 ** 53 - 1,
    }
    const { network, ...rest } = readConfig({ ...base, state: [128, 64], ...chosen, backend: 'wasm', threads: 3, numerics: 'portable' })
    expect(network).toMatchObject({ ...chosen, state: [128, 64] })
    expect(rest).toEqual({ backend: 'wasm', threads: 3, numerics: 'portable' })
  })

  it.each([
    [5, { size: 5, head: 'softmax', characters: false }],
    [{ softmax: 2 }, { size: 2, head: 'softmax', characters: false }],
    [{ softmax: ['a', 'b'] }, { size: 2, head: 'softmax', labels: ['a', 'b'], characters: false }],
    [{ sigmoid: 1 }, { size: 1, head: 'sigmoid', characters: false }],
    [{ sigmoid: ['wet'] }, { size: 1, head: 'sigmoid', labels: ['wet'], characters: false }],
    [
      { linear: 1, softmax: undefined },
      { size: 1, head: 'linear', characters: false },
    ],
    [characters(['a', 'é', '😀']), { size: 3, head: 'softmax', labels: ['a', 'é', '😀'], characters: true }],
  ])('reads output %o', (output, expected) => expect(readConfig({ ...base, output }).network.output).toEqual(expected))

  it('reads tokens and vocabularies as input', () => {
    expect(readConfig({ ...base, input: { tokens: 26 } }).network.input).toEqual({ size: 26, tokens: true })
    expect(readConfig({ ...base, input: characters(['a', 'b']) }).network.input).toEqual({ size: 2, tokens: true, characters: ['a', 'b'] })
  })

  it.each([1.5, Number.NaN, Infinity, '64', null, 64n, true, {}, [], ['64'], [1, , 2], undefined, () => 1, Symbol()])(
    'does not take state %o',
    (state) => {
      expect(config({ state }).code).toBe('ERR_INVALID_ARG')
    },
  )
  it.each([0, -1, 65_537, 2 ** 31, 2 ** 32 + 1, 2 ** 53])('does not take state %d, and says the range', (state) => {
    expect(config({ state })).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      at: 'config.state',
      expected: 'an integer at least 1 and at most 65536',
      received: String(state),
    })
  })
  it('names the layer', () => expect(config({ state: [3, 0] }).at).toBe('config.state[1]'))

  it('refuses what no memory holds, by arithmetic alone', () => {
    expect(config({ state: [65_536, 65_536] })).toMatchObject({ code: 'ERR_OUT_OF_RANGE', at: 'config' })
    expect(config({ input: { tokens: 2 ** 24 }, state: 1024 }).code).toBe('ERR_OUT_OF_RANGE')
    checkSize(readConfig({ ...base, state: 16_384 }).network)
  })

  it.each([{ output: 1 }, { output: ['one'] }, { output: { softmax: 1 } }, { output: { softmax: ['one'] } }])(
    'answers a softmax of one by the remedy: %o',
    (change) => {
      const { code, hint } = config(change)
      expect(code).toBe('ERR_INVALID_ARG')
      expect(hint).toContain('{ linear: 1 }')
      expect(hint).toContain('{ sigmoid: 1 }')
    },
  )

  it.each([
    [{ output: ['a', 'b', 'a'] }, 'config.output[2]'],
    [{ output: ['a', ''] }, 'config.output[1]'],
    [{ output: ['a', 3] }, 'config.output[1]'],
    [{ output: ['a', '\ud800'] }, 'config.output[1]'],
    [{ output: { sigmoid: [] } }, 'config.output.sigmoid'],
    [{ output: { sigmoid: 1, linear: 1 } }, 'config.output'],
    [{ output: {} }, 'config.output'],
    [{ output: { linear: '1' } }, 'config.output.linear'],
    [{ output: new Float32Array(3) }, 'config.output'],
    [{ input: '4' }, 'config.input'],
    [{ input: [4] }, 'config.input'],
    [{ input: characters(['a', 'bc']) }, 'config.input.labels[1]'],
    [{ input: characters([]) }, 'config.input.labels'],
    [{ input: undefined }, 'config.input'],
    [{ readout: 'first' }, 'config.readout'],
    [{ nonlinearity: 'gelu' }, 'config.nonlinearity'],
    [{ bias: 1 }, 'config.bias'],
    [{ outputBias: 'double' }, 'config.outputBias'],
    [{ missing: true }, 'config.missing'],
    [{ init: 'zeros' }, 'config.init'],
    [{ backend: 'gpu' }, 'config.backend'],
    [{ numerics: 'exact' }, 'config.numerics'],
    [{ threads: '2' }, 'config.threads'],
    [{ seed: 0.5 }, 'config.seed'],
  ])('refuses %o', (change, at) => expect(config(change)).toMatchObject({ code: 'ERR_INVALID_ARG', at }))

  it.each([
    { threads: 0 },
    { threads: -1 },
    { threads: 1e9 },
    { seed: -1 },
    { seed: 2 ** 53 },
    { input: 0 },
    { input: 2 ** 25 },
    { output: -3 },
    { input: { tokens: 0 } },
  ])('says the range of %o', (change) => expect(config(change).code).toBe('ERR_OUT_OF_RANGE'))
  it.each([undefined, null, 4, 'x', [], new Float32Array(1)])('is not %o', (value) =>
    expect(thrownBy(() => readConfig(value)).code).toBe('ERR_INVALID_ARG'),
  )
  it('keeps labels few enough for a model file', () =>
    expect(config({ output: Array.from({ length: 200_000 }, (_, i) => `label number ${i}`) })).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      at: 'config.output',
    }))
})

describe('options of train()', () => {
  it('have the documented defaults', () => {
    const expected = {
      optimizer: { kind: 'adam', lr: 0.001, weightDecay: 0, decayBiases: false, betas: [0.9, 0.999], eps: 1e-8, amsgrad: false },
      clipNorm: 5,
      clipValue: undefined,
      epochs: 10,
      batchSize: 32,
      shuffle: true,
      seed: 0,
      schedule: { kind: 'constant' },
      maxLength: undefined,
      keep: 'end',
      memory: 'full',
      bptt: undefined,
      validation: undefined,
      earlyStopping: undefined,
      classWeight: undefined,
      signal: undefined,
      onProgress: undefined,
    }
    expect(readTrainOptions(undefined, network)).toEqual(expected)
    expect(readTrainOptions({ epochs: undefined, optimizer: undefined }, network)).toEqual(expected)
  })

  it.each([
    [{ adam: {} }, { kind: 'adam', lr: 0.001, weightDecay: 0, betas: [0.9, 0.999], eps: 1e-8, amsgrad: false }],
    [
      { adamw: { amsgrad: true, betas: new Float64Array([0, 0.5]) } },
      { kind: 'adamw', lr: 0.001, weightDecay: 0.01, betas: [0, 0.5], eps: 1e-8, amsgrad: true },
    ],
    [{ sgd: { lr: 0 } }, { kind: 'sgd', lr: 0, weightDecay: 0, momentum: 0, dampening: 0, nesterov: false }],
    [
      { sgd: { lr: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0.5, decayBiases: true } },
      { kind: 'sgd', momentum: 0.9, nesterov: true, decayBiases: true },
    ],
    [{ rmsprop: {} }, { kind: 'rmsprop', lr: 0.01, alpha: 0.99, eps: 1e-8, momentum: 0, centered: false }],
    [
      { adagrad: undefined, adam: { lr: 1 } },
      { kind: 'adam', lr: 1 },
    ],
    [{ adagrad: {} }, { kind: 'adagrad', lr: 0.01, lrDecay: 0, initialAccumulator: 0, eps: 1e-10 }],
  ])('reads optimizer %o', (optimizer, expected) => expect(readStepOptions({ optimizer }).optimizer).toMatchObject(expected))

  it.each([
    [{ step: { every: 3, factor: 0.5 } }, { kind: 'step', every: 3, factor: 0.5 }],
    [{ exponential: { factor: 0.97 } }, { kind: 'exponential', factor: 0.97 }],
    [{ cosine: {} }, { kind: 'cosine', warmup: 0 }],
    [{ oneCycle: { peak: 0.1 } }, { kind: 'oneCycle', peak: 0.1 }],
    [{ plateau: {} }, { kind: 'plateau', factor: 0.1, patience: 10 }],
  ])('reads schedule %o', (schedule, expected) => expect(readTrainOptions({ schedule }, network).schedule).toEqual(expected))

  it('reads the rest', () => {
    const schedule = (step: number) => step
    const onProgress = () => {}
    const { signal } = new AbortController()
    const data = { x: [], get y() { throw new Error('read') } } // biome-ignore format: one line
    const options = {
      schedule,
      onProgress,
      signal,
      validation: data,
      earlyStopping: {},
      bptt: { window: 8 },
      clipNorm: false,
      clipValue: 1,
      maxLength: 9,
      keep: 'start',
    }
    expect(readTrainOptions(options, network)).toMatchObject({
      schedule: { kind: 'function', of: schedule },
      onProgress,
      signal,
      earlyStopping: { patience: 5, minDelta: 0, restoreBest: true },
      bptt: { window: 8, stride: 8, carryState: true },
      clipNorm: undefined,
      clipValue: 1,
      maxLength: 9,
      keep: 'start',
    })
    expect((readTrainOptions(options, network).validation as { data: unknown }).data).toBe(data)
    expect(readTrainOptions({ validation: 0.2 }, network).validation).toEqual({ fraction: 0.2, by: 'auto' })
    expect(readTrainOptions({ validation: { fraction: 0.2, by: 'tail' } }, network).validation).toEqual({ fraction: 0.2, by: 'tail' })
  })

  it('reads class weights by class, by label and by number', () => {
    const read = (classWeight: unknown, of = network) => readTrainOptions({ classWeight }, of).classWeight
    expect(read('balanced')).toBe('balanced')
    expect(read(new Float32Array([1, 2, 4]))).toEqual([1, 2, 4])
    expect(read({ N: 3, EI: 0 })).toEqual([0, 1, 3])
    expect(read({ 1: 7 }, readConfig({ ...base, output: 2 }).network)).toEqual([1, 7])
    expect(train({ classWeight: { X: 1 } })).toMatchObject({ code: 'ERR_LABEL', at: 'options.classWeight["X"]' })
    expect(train({ classWeight: { toString: 1 } }).code).toBe('ERR_LABEL')
    expect(train({ classWeight: [1, 2] })).toMatchObject({ code: 'ERR_SHAPE_MISMATCH', received: '2' })
    expect(train({ classWeight: 'auto' }).code).toBe('ERR_INVALID_ARG')
    expect(train({ classWeight: [0, 0, 0] }).code).toBe('ERR_INVALID_ARG')
    expect(train({ classWeight: 'balanced' }, readConfig({ ...base, output: { linear: 1 } }).network).code).toBe('ERR_INVALID_ARG')
  })

  it.each([
    [{ epochs: '10' }, 'options.epochs'],
    [{ epochs: 1.5 }, 'options.epochs'],
    [{ batchSize: null }, 'options.batchSize'],
    [{ shuffle: 1 }, 'options.shuffle'],
    [{ keep: 'middle' }, 'options.keep'],
    [{ optimizer: 'adam' }, 'options.optimizer'],
    [{ optimizer: {} }, 'options.optimizer'],
    [{ optimizer: { adam: {}, sgd: { lr: 1 } } }, 'options.optimizer'],
    [{ optimizer: { sgd: {} } }, 'options.optimizer.sgd.lr'],
    [{ optimizer: { sgd: undefined } }, 'options.optimizer'],
    [{ optimizer: { sgd: { lr: 1, nesterov: true } } }, 'options.optimizer.sgd.nesterov'],
    [{ optimizer: { sgd: { lr: 1, dampening: 0.1 } } }, 'options.optimizer.sgd.dampening'],
    [{ optimizer: { sgd: { lr: 1, nesterov: true, momentum: 0.9, dampening: 0.1 } } }, 'options.optimizer.sgd.nesterov'],
    [{ optimizer: { adam: { lr: Number.NaN } } }, 'options.optimizer.adam.lr'],
    [{ optimizer: { adam: { lr: 1e400 } } }, 'options.optimizer.adam.lr'],
    [{ optimizer: { adam: { lr: 1e39 } } }, 'options.optimizer.adam.lr'],
    [{ optimizer: { adam: { betas: [0.9] } } }, 'options.optimizer.adam.betas'],
    [{ clipNorm: Number.NaN }, 'options.clipNorm'],
    [{ clipNorm: true }, 'options.clipNorm'],
    [{ schedule: 'cosine' }, 'options.schedule'],
    [{ schedule: { step: {} } }, 'options.schedule.step.every'],
    [{ bptt: 8 }, 'options.bptt'],
    [{ bptt: {} }, 'options.bptt.window'],
    [{ validation: { fraction: 0.2 } }, 'options.validation.by'],
    [{ validation: true }, 'options.validation'],
    [{ earlyStopping: {} }, 'options.earlyStopping'],
    [{ signal: {} }, 'options.signal'],
    [{ signal: { aborted: false, addEventListener() {} } }, 'options.signal'],
    [{ onProgress: 'log' }, 'options.onProgress'],
  ])('refuses %o', (options, at) => expect(train(options)).toMatchObject({ code: 'ERR_INVALID_ARG', at }))

  it.each([
    { epochs: 0 },
    { batchSize: -1 },
    { optimizer: { adam: { lr: -1 } } },
    { optimizer: { adam: { betas: [0.9, 1] } } },
    { optimizer: { rmsprop: { alpha: 1.1 } } },
    { optimizer: { adam: { eps: 0 } } },
    { optimizer: { rmsprop: { eps: 1e-46 } } },
    { optimizer: { adagrad: { eps: 0 } } },
    { clipNorm: 0 },
    { clipValue: -1 },
    { validation: 0 },
    { validation: 1 },
    { validation: 20 },
    { bptt: { window: 8, stride: 9 } },
    { bptt: { window: 0 } },
    { schedule: { plateau: { factor: 1 } } },
    { maxLength: 0 },
  ])('says the range of %o', (options) => expect(train(options).code).toBe('ERR_OUT_OF_RANGE'))
})

describe('options of the smaller methods', () => {
  it('are read', () => {
    expect(readStepCall(undefined)).toEqual({ initialState: undefined, lr: undefined })
    expect(readStepCall({ lr: 0, initialState: [[1]] })).toEqual({ initialState: [[1]], lr: 0 })
    expect(readForwardOptions({ initialState: 3 })).toEqual({ initialState: 3 })
    expect(readGradientsOptions({ bptt: { window: 4 } })).toEqual({
      initialState: undefined,
      reduction: 'mean',
      bptt: { window: 4, stride: 4 },
    })
    expect(readStreamOptions(undefined)).toEqual({ batch: 1 })
    expect(readPyTorchOptions({ output: 2 })).toEqual({
      output: { size: 2, head: 'softmax', characters: false },
      readout: 'last',
      rnn: 'rnn.',
      head: 'head.',
      nonlinearity: 'tanh',
    })
    expect(thrownBy(() => readGradientsOptions({ bptt: { window: 4, carryState: true } })).code).toBe('ERR_UNKNOWN_OPTION')
    expect(thrownBy(() => readPyTorchOptions(undefined)).code).toBe('ERR_INVALID_ARG')
  })
})

describe('an unknown option', () => {
  it.each([
    ['units', 'state: 64'],
    ['hiddenSize', 'state: 64'],
    ['hidden_size', 'state: 64'],
    ['hiddenLayers', 'state: [128, 64]'],
    ['returnSequences', "readout: 'all'"],
    ['activation', 'nonlinearity'],
    ['learningRate', 'optimizer: { adam: { lr'],
    ['lr', 'optimizer: { adam: { lr'],
    ['lossFunction', 'does not exist here'],
    ['dropout', 'does not exist here'],
    ['bidirectional', 'does not exist here'],
    ['epochs', 'is an option of train(data'],
    ['read_out', 'Here it is readout'],
    ['nonlinarity', 'Did you mean nonlinearity?'],
  ])('of the configuration, %s, is answered in our words', (name, words) => {
    const error = config({ [name]: 1 })
    expect(error).toMatchObject({ code: 'ERR_UNKNOWN_OPTION', at: `config.${name}` })
    expect(error.hint).toContain(words)
    expect(error.message).toContain(words)
  })
  it.each([
    ['learningRate', 'optimizer: { adam: { lr'],
    ['leaningRate', 'batchSize'],
    ['batch_size', 'Here it is batchSize'],
    ['fit', 'train(data, options)'],
    ['loss', 'follows from output'],
    ['iterations', 'epochs'],
    ['errorThresh', 'earlyStopping'],
    ['validationSplit', 'validation: 0.2'],
  ])('of train(), %s, is answered in our words', (name, words) => expect(train({ [name]: 1 }).message).toContain(words))

  it('is found at every depth', () => {
    expect(train({ optimizer: { adam: { beta1: 0.9 } } })).toMatchObject({ code: 'ERR_UNKNOWN_OPTION', at: 'options.optimizer.adam.beta1' })
    expect(train({ optimizer: { Adam: {} } }).hint).toBe('Here it is adam.')
    expect(train({ optimizer: { adam: { momentum: 0.9 } } }).hint).toContain('optimizer.sgd')
    expect(config({ output: { logistic: 3 } })).toMatchObject({
      code: 'ERR_UNKNOWN_OPTION',
      at: 'config.output.logistic',
      expected: 'softmax, sigmoid, linear',
    })
    expect(config({ 'a b': 3 }).at).toBe('config["a b"]')
  })
  it('is never one of ours', () => {
    for (const [place, { names }] of Object.entries(PLACES))
      for (const name of names) expect(remedyFor(name, place as keyof typeof PLACES), name).toBe(`Here it is ${name}.`)
  })
})

describe('attacks by the language', () => {
  afterEach(() => {
    delete (Object.prototype as Record<string, unknown>)['state']
    delete (Object.prototype as Record<string, unknown>)['hiddenSize']
  })

  it('every property is read once', () => {
    const reads = new Map<string, number>()
    const counted = (path: string, value: object): object => {
      const copy = {}
      for (const [key, v] of Object.entries(value))
        Object.defineProperty(copy, key, {
          enumerable: true,
          get: () => {
            reads.set(`${path}.${key}`, (reads.get(`${path}.${key}`) ?? 0) + 1)
            return v !== null && typeof v === 'object' && !Array.isArray(v) ? counted(`${path}.${key}`, v) : v
          },
        })
      return copy
    }
    readConfig(counted('config', { ...base, output: { sigmoid: 3 }, input: { tokens: 4 }, seed: 3, threads: 1 }))
    const options = {
      optimizer: { sgd: { lr: 1, momentum: 0.5 } },
      schedule: { step: { every: 1, factor: 1 } },
      bptt: { window: 3, stride: 2 },
      validation: { fraction: 0.5, by: 'tail' },
      earlyStopping: { patience: 2 },
      classWeight: { N: 2 },
    }
    readTrainOptions(counted('options', options), network)
    expect(reads.size).toBe(7 + 18)
    expect([...reads].filter(([, times]) => times !== 1)).toEqual([])
  })

  it('a polluted prototype says nothing', () => {
    Object.assign(Object.prototype, { state: 7, hiddenSize: 1e9 })
    expect(thrownBy(() => readConfig({ input: 1, output: 2 }))).toMatchObject({ code: 'ERR_INVALID_ARG', at: 'config.state' })
    expect(readConfig(base).network.state).toEqual([64])
  })
  it('an inherited option says nothing', () => {
    expect(readConfig({ ...base, __proto__: { readout: 'all', nonsense: 1 } }).network.readout).toBe('last')
    expect(thrownBy(() => readConfig(JSON.parse('{"input":1,"state":1,"output":2,"__proto__":{"readout":"all"}}'))).code).toBe(
      'ERR_UNKNOWN_OPTION',
    )
  })
  it('null prototypes, frozen objects and proxies work', () => {
    expect(readConfig(Object.assign(Object.create(null), base)).network).toEqual(network)
    expect(readConfig(new Proxy(Object.freeze({ ...base }), {})).network).toEqual(network)
  })
  it("the user's own exception passes through", () => {
    const own = new Error('mine')
    const options = { get epochs(): number { throw own } } // biome-ignore format: one line
    expect(() => readTrainOptions(options, network)).toThrow(own)
  })
  it('nothing is converted', () => {
    const number = {
      valueOf: () => expect.unreachable(),
      toString: () => expect.unreachable(),
      [Symbol.toPrimitive]: () => expect.unreachable(),
    }
    expect(config({ state: number }).code).toBe('ERR_INVALID_ARG')
    expect(config({ seed: number }).code).toBe('ERR_INVALID_ARG')
    expect(train({ epochs: number }).code).toBe('ERR_INVALID_ARG')
  })
})
