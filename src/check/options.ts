/* From the options of train(), trainer() and the smaller methods to settings with every default filled in (docs/design.md, section 4). */
import { BpttError, show } from '../errors.js'
import type { Network } from '../network/network.js'
import type { Budget } from '../plan/segments.js'
import type { OptimizerSettings, ScheduleSettings, TrainSettings, UpdateSettings } from '../training/settings.js'
import { NONLINEARITIES, READOUTS, readOutput } from './config.js'
import { LIMITS } from './limits.js'
import { choice, elements, fieldsOf, finite, integer, invalid, Options, string } from './values.js'

const wrong = (at: string, summary: string, hint?: string) => new BpttError('ERR_INVALID_ARG', summary, { at, hint })

/** Options of trainer(). */
export const readStepOptions = (options: unknown, at = 'options'): UpdateSettings => readUpdate(new Options(options, at, 'trainer'))

/** Options of train(). What the data must offer for them (groups, enough sequences) is checked where the data is read. */
export function readTrainOptions<D = unknown>(options: unknown, network: Network, at = 'options'): TrainSettings<D> {
  const o = new Options(options, at, 'train')
  const settings: TrainSettings<D> = {
    ...readUpdate(o),
    epochs: o.integer('epochs', 10, 1, LIMITS.COUNT),
    batchSize: o.integer('batchSize', 32, 1, LIMITS.COUNT),
    shuffle: o.boolean('shuffle', true),
    seed: o.integer('seed', 0, 0, Number.MAX_SAFE_INTEGER),
    schedule: o.read('schedule', { kind: 'constant' }, readSchedule),
    maxLength: o.integer('maxLength', undefined, 1, LIMITS.COUNT),
    keep: o.choice('keep', 'end', ['start', 'end']),
    bptt: o.read('bptt', undefined, readBptt),
    validation: o.read('validation', undefined, (value, path) => readValidation<D>(value, path)),
    earlyStopping: o.read('earlyStopping', undefined, readEarlyStopping),
    classWeight: o.read('classWeight', undefined, (value, path) => readClassWeight(value, path, network)),
    signal: o.read('signal', undefined, readSignal),
    onProgress: o.read('onProgress', undefined, readCallback<NonNullable<TrainSettings['onProgress']>>),
  }
  if (settings.earlyStopping && !settings.validation)
    throw wrong(o.path('earlyStopping'), 'needs validation, whose loss it watches', 'Add validation: 0.2, or validation: { x, y }.')
  return settings
}

function readUpdate(o: Options<'train'> | Options<'trainer'>): UpdateSettings {
  const bound = (name: 'clipNorm' | 'clipValue', fallback: number | undefined) =>
    (o as Options<'trainer'>).read(name, fallback, (value, at) => {
      if (value === false) return undefined
      if (typeof value !== 'number') throw invalid(at, 'a number or false', value)
      return finite(value, at, { min: 0, max: Infinity, above: true })
    })
  return {
    optimizer: (o as Options<'trainer'>).read('optimizer', readOptimizer({ adam: {} }, 'optimizer'), readOptimizer),
    clipNorm: bound('clipNorm', 5),
    clipValue: bound('clipValue', undefined),
    memory: (o as Options<'trainer'>).read('memory', 'full', readMemory),
  }
}

function readMemory(value: unknown, at: string): Budget {
  if (typeof value === 'number') return finite(value, at, { min: 0, max: Infinity, above: true })
  return choice(value, at, ['full', 'low'] as const)
}

/** Options of memory(): undefined where none are given. */
export function readMemoryOptions(options: unknown, at = 'options') {
  if (options === undefined) return undefined
  const o = new Options(options, at, 'memory')
  const batchSize = o.integer('batchSize', 32, 1, LIMITS.COUNT)
  return {
    batchSize,
    length: o.required('length', integerFrom1),
    sequences: o.integer('sequences', batchSize, 1, LIMITS.COUNT),
    optimizer: o.read('optimizer', readOptimizer({ adam: {} }, 'optimizer'), readOptimizer),
    memory: o.read('memory', 'full', readMemory),
    task: o.choice('task', 'train', ['train', 'predict']),
  }
}

/** Smaller ones are 0 as float32, and then a gradient of 0 makes a weight NaN. */
const LEAST_EPS = 1e-45

/** PyTorch's defaults, except that weight decay spares the biases. */
function readOptimizer(value: unknown, at: string): OptimizerSettings {
  const [kind, given] = new Options(value, at, 'optimizer', 'optimizer: { adam: { lr: 0.001 } }').only()
  const path = `${at}.${kind}`
  const decay = (o: Options<'adam' | 'adamw' | 'sgd' | 'rmsprop' | 'adagrad'>, lr: number, weightDecay = 0) => ({
    lr: o.number('lr', lr, 0),
    weightDecay: o.number('weightDecay', weightDecay, 0),
    decayBiases: o.boolean('decayBiases', false),
  })
  switch (kind) {
    case 'adam':
    case 'adamw': {
      const o = new Options(given, path, kind)
      return {
        kind,
        ...decay(o, 0.001, kind === 'adamw' ? 0.01 : 0),
        betas: o.read('betas', [0.9, 0.999], readBetas),
        eps: o.number('eps', 1e-8, LEAST_EPS),
        amsgrad: o.boolean('amsgrad', false),
      }
    }
    case 'sgd': {
      const o = new Options(given, path, kind)
      if (o.get('lr') === undefined)
        throw wrong(`${path}.lr`, 'is missing: sgd has no default learning rate', 'optimizer: { sgd: { lr: 0.1 } }')
      const momentum = o.number('momentum', 0, 0, { max: 1 })
      const dampening = o.number('dampening', 0, 0, { max: 1 })
      const nesterov = o.boolean('nesterov', false)
      if (dampening > 0 && momentum === 0)
        throw wrong(`${path}.dampening`, 'needs momentum above 0, whose new share it lessens', 'Add momentum: 0.9, or leave dampening out.')
      if (nesterov && (momentum === 0 || dampening !== 0)) throw wrong(`${path}.nesterov`, 'needs momentum above 0 and no dampening')
      return { kind, ...decay(o, 0), momentum, dampening, nesterov }
    }
    case 'rmsprop': {
      const o = new Options(given, path, kind)
      return {
        kind,
        ...decay(o, 0.01),
        alpha: o.number('alpha', 0.99, 0, { max: 1 }),
        eps: o.number('eps', 1e-8, LEAST_EPS),
        momentum: o.number('momentum', 0, 0, { max: 1 }),
        centered: o.boolean('centered', false),
      }
    }
    case 'adagrad': {
      const o = new Options(given, path, kind)
      return {
        kind,
        ...decay(o, 0.01),
        lrDecay: o.number('lrDecay', 0, 0),
        initialAccumulator: o.number('initialAccumulator', 0, 0),
        eps: o.number('eps', 1e-10, LEAST_EPS),
      }
    }
  }
}

function readBetas(value: unknown, at: string): [number, number] {
  const betas = elements(value, at, 'two numbers', 2)
  if (betas.length !== 2) throw wrong(at, 'must be two numbers', 'betas: [0.9, 0.999]')
  const [first, second] = betas.map((beta, i) => finite(beta, `${at}[${i}]`, { min: 0, max: 1, below: true }))
  return [first!, second!]
}

function readSchedule(value: unknown, at: string): ScheduleSettings {
  if (typeof value === 'function') return { kind: 'function', of: value as (step: number, steps: number) => number }
  const [kind, given] = new Options(value, at, 'schedule', 'schedule: { cosine: { warmup: 100 } }, or a function of (step, steps)').only()
  const path = `${at}.${kind}`
  const factor = (v: unknown, where: string) => finite(v, where, { min: 0, max: Infinity, above: true })
  switch (kind) {
    case 'step': {
      const o = new Options(given, path, 'stepSchedule')
      return { kind, every: o.required('every', integerFrom1), factor: o.required('factor', factor) }
    }
    case 'exponential':
      return { kind, factor: new Options(given, path, kind).required('factor', factor) }
    case 'cosine':
      return { kind, warmup: new Options(given, path, kind).integer('warmup', 0, 0, LIMITS.COUNT) }
    case 'oneCycle':
      return { kind, peak: new Options(given, path, kind).required('peak', factor) }
    case 'plateau': {
      const o = new Options(given, path, kind)
      return {
        kind,
        factor: o.number('factor', 0.1, 0, { max: 1, above: true, below: true }),
        patience: o.integer('patience', 10, 0, LIMITS.COUNT),
      }
    }
  }
}

const integerFrom1 = (value: unknown, at: string) => integer(value, at, { min: 1, max: LIMITS.COUNT })

function readBptt(value: unknown, at: string) {
  const o = new Options(value, at, 'bptt', 'bptt: { window: 64 }')
  return { ...readWindow(o), carryState: o.boolean('carryState', true) }
}

/** { window, stride } with stride at most window, so that no step is left out. */
function readWindow(o: Options<'bptt'> | Options<'window'>): { window: number; stride: number } {
  const window = o.required('window', integerFrom1)
  return { window, stride: (o as Options<'window'>).integer('stride', window, 1, window) }
}

const SPLITS = ['tail', 'shuffle', 'group'] as const

function readValidation<D>(value: unknown, at: string): NonNullable<TrainSettings<D>['validation']> {
  const share = (v: unknown, where: string) => finite(v, where, { min: 0, max: 1, above: true, below: true })
  if (typeof value === 'number') return { fraction: share(value, at), by: 'auto' }
  if (value !== null && typeof value === 'object' && ['x', 'y'].some((name) => Object.hasOwn(value, name))) return { data: value as D }
  const o = new Options(value, at, 'validation', 'validation: 0.2, { x, y } or { fraction: 0.2, by: "tail" }')
  const fraction = o.required('fraction', share)
  if (o.get('by') === undefined)
    throw wrong(o.path('by'), 'is missing', "Say by: 'tail' (the last sequences), 'shuffle' or 'group'; or validation: 0.2.")
  return { fraction, by: o.choice('by', 'tail', SPLITS) }
}

function readEarlyStopping(value: unknown, at: string) {
  const o = new Options(value, at, 'earlyStopping', 'earlyStopping: { patience: 5 }')
  return {
    patience: o.integer('patience', 5, 0, LIMITS.COUNT),
    minDelta: o.number('minDelta', 0, 0),
    restoreBest: o.boolean('restoreBest', true),
  }
}

/** To one weight for each class. In a record, labels (or class numbers, where there are no labels) that are left out weigh 1. */
function readClassWeight(value: unknown, at: string, { output }: Network): 'balanced' | number[] {
  if (output.head !== 'softmax')
    throw wrong(
      at,
      `is for softmax outputs, and this output is ${output.head}`,
      'Weigh sequences by sampleWeights, or steps by stepWeights, in the data.',
    )
  if (value === 'balanced') return value
  const weight = (v: unknown, where: string) => finite(v, where, { min: 0, max: Infinity })
  let weights: number[]
  const record = fieldsOf(value)
  if (record) {
    weights = new Array<number>(output.size).fill(1)
    const { labels } = output
    const classes = new Map<string, number>((labels ?? weights).map((label, i) => [labels ? String(label) : String(i), i]))
    for (const [label, given] of record) {
      const i = classes.get(label)
      if (i === undefined)
        throw new BpttError('ERR_LABEL', 'is not a class of this network', { at: `${at}[${show(label)}]`, received: show(label) })
      weights[i] = weight(given, `${at}[${show(label)}]`)
    }
  } else {
    weights = elements(value, at, "'balanced', one number for each class, or { label: weight }", LIMITS.SIZE).map((v, i) =>
      weight(v, `${at}[${i}]`),
    )
    if (weights.length !== output.size)
      throw new BpttError('ERR_SHAPE_MISMATCH', 'does not fit the output', {
        at,
        expected: `${output.size} weights, one for each class`,
        received: show(weights.length),
      })
  }
  if (!weights.some((w) => w > 0)) throw wrong(at, 'has no weight above 0')
  return weights
}

/** Also one of a library that came before the platform's. */
function readSignal(value: unknown, at: string): AbortSignal {
  const { aborted, addEventListener, removeEventListener } = Object(value) as Partial<AbortSignal>
  if (typeof aborted !== 'boolean' || typeof addEventListener !== 'function' || typeof removeEventListener !== 'function')
    throw invalid(at, 'an AbortSignal', value, 'const stop = new AbortController(), then signal: stop.signal.')
  return value as AbortSignal
}

function readCallback<F>(value: unknown, at: string): F {
  if (typeof value !== 'function') throw invalid(at, 'a function', value)
  return value as F
}

/** Options of forward() and backward(). The initial state is checked where the batch is known. */
export const readForwardOptions = (options: unknown, at = 'options') => ({
  initialState: new Options(options, at, 'forward').get('initialState'),
})

/** Options of trainer().step(). lr undefined: the optimiser's. */
export function readStepCall(options: unknown, at = 'options') {
  const o = new Options(options, at, 'step')
  return { initialState: o.get('initialState'), lr: o.number('lr', undefined, 0) }
}

/** Options of gradients(). */
export function readGradientsOptions(options: unknown, at = 'options') {
  const o = new Options(options, at, 'gradients')
  return {
    initialState: o.get('initialState'),
    reduction: o.choice('reduction', 'mean', ['mean', 'sum']),
    bptt: o.read('bptt', undefined, (value, path) => readWindow(new Options(value, path, 'window', 'bptt: { window: 64 }'))),
  }
}

/** Options of stream(). */
export const readStreamOptions = (options: unknown, at = 'options') => ({
  batch: new Options(options, at, 'stream').integer('batch', 1, 1, LIMITS.STREAM_ROWS),
})

/** Options of RNN.fromPyTorch(). */
export function readPyTorchOptions(options: unknown, at = 'options') {
  if (options === undefined) throw wrong(at, 'is missing', "RNN.fromPyTorch(file, { output: ['ham', 'spam'] })")
  const o = new Options(options, at, 'fromPyTorch')
  return {
    output: o.required('output', readOutput),
    readout: o.choice('readout', 'last', READOUTS),
    rnn: o.read('rnn', 'rnn.', string),
    head: o.read('head', 'head.', string),
    nonlinearity: o.choice('nonlinearity', 'tanh', NONLINEARITIES),
  }
}
