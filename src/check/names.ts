/*
 * Every option name of the public API, by place; and what people who come from other libraries type instead. One table each: an
 * unknown option is answered from here. What the values may be is in config.ts and options.ts.
 */

const DECAY = ['lr', 'weightDecay', 'decayBiases'] as const
const UPDATE = ['optimizer', 'clipNorm', 'clipValue', 'memory'] as const

/** Place → how users write it, and its option names. */
export const PLACES = {
  config: {
    of: 'new RNN({ … })',
    names: ['input', 'state', 'output', 'readout', 'nonlinearity', 'bias', 'outputBias', 'missing', 'init', 'seed', 'backend', 'threads', 'numerics'],
  },
  tokens: { of: 'input', names: ['tokens'] },
  head: { of: 'output', names: ['softmax', 'sigmoid', 'linear'] },
  train: {
    of: 'train(data, { … })',
    names: [...UPDATE, 'epochs', 'batchSize', 'shuffle', 'seed', 'schedule', 'maxLength', 'keep', 'bptt', 'validation', 'earlyStopping', 'classWeight', 'signal', 'onProgress'],
  },
  trainer: { of: 'trainer({ … })', names: UPDATE },
  step: { of: 'trainer().step(data, { … })', names: ['initialState', 'lr'] },
  optimizer: { of: 'optimizer', names: ['adam', 'adamw', 'sgd', 'rmsprop', 'adagrad'] },
  adam: { of: 'optimizer.adam', names: [...DECAY, 'betas', 'eps', 'amsgrad'] },
  adamw: { of: 'optimizer.adamw', names: [...DECAY, 'betas', 'eps', 'amsgrad'] },
  sgd: { of: 'optimizer.sgd', names: [...DECAY, 'momentum', 'dampening', 'nesterov'] },
  rmsprop: { of: 'optimizer.rmsprop', names: [...DECAY, 'alpha', 'eps', 'momentum', 'centered'] },
  adagrad: { of: 'optimizer.adagrad', names: [...DECAY, 'lrDecay', 'initialAccumulator', 'eps'] },
  schedule: { of: 'schedule', names: ['step', 'exponential', 'cosine', 'oneCycle', 'plateau'] },
  stepSchedule: { of: 'schedule.step', names: ['every', 'factor'] },
  exponential: { of: 'schedule.exponential', names: ['factor'] },
  cosine: { of: 'schedule.cosine', names: ['warmup'] },
  oneCycle: { of: 'schedule.oneCycle', names: ['peak'] },
  plateau: { of: 'schedule.plateau', names: ['factor', 'patience'] },
  bptt: { of: 'bptt', names: ['window', 'stride', 'carryState'] },
  validation: { of: 'validation', names: ['fraction', 'by'] },
  earlyStopping: { of: 'earlyStopping', names: ['patience', 'minDelta', 'restoreBest'] },
  data: { of: 'data', names: ['x', 'y', 'mask', 'sampleWeights', 'stepWeights', 'groups'] },
  forward: { of: 'forward(xs, { … })', names: ['initialState'] },
  gradients: { of: 'gradients(data, { … })', names: ['initialState', 'reduction', 'bptt'] },
  window: { of: 'gradients(data, { bptt: { … } })', names: ['window', 'stride'] },
  stream: { of: 'stream({ … })', names: ['batch'] },
  memory: { of: 'memory({ … })', names: ['batchSize', 'length', 'sequences', 'optimizer', 'memory', 'task'] },
  fromPyTorch: { of: 'RNN.fromPyTorch(file, { … })', names: ['output', 'readout', 'rnn', 'head', 'nonlinearity'] },
  padSequences: { of: 'padSequences(xs, { … })', names: ['maxlen', 'padding', 'truncating', 'value'] },
  configure: { of: 'configure({ … })', names: ['worker'] },
} as const satisfies Record<string, { of: string; names: readonly string[] }>

export type Place = keyof typeof PLACES
export type NameIn<P extends Place> = (typeof PLACES)[P]['names'][number]

const here = (what: string) => `Here it is ${what}.`
const state = here('state: 64')
const stacked = here('state: [128, 64], one number for each layer, lowest first')
const input = here('input: 4 (features of a step), input: { tokens: 26 }, or a vocabulary')
const output = here("output: ['yes', 'no'], output: 5 (classes), { sigmoid: 3 } or { linear: 1 }")
const lr = here('lr, inside the optimizer: train(data, { optimizer: { adam: { lr: 0.001 } } })')
const loss = 'It does not exist here: the loss follows from output (softmax: cross-entropy, sigmoid: binary cross-entropy, linear: mean squared error).'
const epochs = here('epochs, of train(data, { epochs: 10 })')
const progress = here('onProgress, or for await (const progress of model.train(…))')
const clip = here('clipNorm: 5 (global norm) or clipValue')
const threshold = 'It does not exist here: leave a for await (const progress of model.train(…)) loop by break, or use earlyStopping.'
const lengths = here('nothing to say: sequences may differ in length; train(data, { maxLength: 100 }) cuts long ones')
const none = (remedy: string) => `It does not exist here: ${remedy}.`
const regularise = none('use weightDecay inside the optimizer, or earlyStopping with validation')
const elman = none("the cell is the plain (Elman) one; choose its function by nonlinearity: 'tanh' | 'relu' | 'sigmoid' | 'identity'")
const nonlinearity = here("nonlinearity: 'tanh' | 'relu' | 'sigmoid' | 'identity'; what the outputs go through follows from output")
const init = here("init: 'orthogonal' | 'pytorch' | 'keras' | 'identity'")
const schedule = here('schedule, of train(data, { schedule: { cosine: {} } })')

/** Names of other libraries, in lower case without _ and -, with the answer in our words. */
const FOREIGN: ReadonlyMap<string, string> = new Map(
  Object.entries({
    units: state, hidden: state, hiddensize: state, hiddenunits: state, hiddendim: state, statesize: state, size: state,
    layers: stacked, numlayers: stacked, nlayers: stacked, hiddenlayers: stacked,
    inputsize: input, inputdim: input, inputshape: input, inputlayer: input, features: input, inputs: input, vocabulary: input, vocabsize: input, vocab: input,
    outputsize: output, outputdim: output, outputlayer: output, outputs: output, classes: output, numclasses: output, labels: output,
    returnsequences: here("readout: 'all' (an output at every step) or 'last'"),
    returnstate: here('finalState, which forward() returns'),
    stateful: here('stream(), which keeps its state, or train(data, { bptt: { window: 64, carryState: true } })'),
    activation: nonlinearity, activationfunction: nonlinearity, recurrentactivation: nonlinearity,
    usebias: here("bias: true | false | 'double'"),
    initializer: init, kernelinitializer: init, recurrentinitializer: init, biasinitializer: init, weightinit: init,
    batchfirst: none('arrays are always [sequence][step][feature]'), timemajor: none('arrays are always [sequence][step][feature]'),
    bidirectional: none('for a second direction train another network on reversed sequences'), gobackwards: none('reverse the sequences'),
    dropout: regularise, recurrentdropout: regularise, l1: regularise, l2: regularise, regularization: regularise, kernelregularizer: regularise,
    cell: elman, celltype: elman, type: elman, mode: elman, lstm: elman, gru: elman,
    device: here("backend: 'auto' | 'native' | 'wasm' | 'reference'"), gpu: here("backend: 'auto' | 'native' | 'wasm' | 'reference'"),
    dtype: none('numbers are float32'),
    lr, learningrate: lr, eta: lr, alpha: lr,
    lrscheduler: schedule, scheduler: schedule, learningratescheduler: schedule, lrschedule: schedule,
    loss, lossfunction: loss, lossfn: loss, costfunction: loss, cost: loss, criterion: loss,
    metrics: none('evaluate(data) and every Progress carry the metrics that suit the output'),
    iterations: epochs, maxiterations: epochs, iter: epochs, nepochs: epochs, numepochs: epochs, maxepochs: epochs,
    errorthresh: threshold, errorthreshold: threshold, targeterror: threshold, error: threshold,
    log: progress, logperiod: progress, verbose: progress, callback: progress, callbacks: progress, callbackperiod: progress, onepochend: progress,
    fit: here('train(data, options)'), compile: none('say output in new RNN({ … }) and optimizer in train(data, { … })'),
    validationsplit: here('validation: 0.2'), valsplit: here('validation: 0.2'), validationdata: here('validation: { x, y }'), testsplit: here('validation: 0.2'),
    sampleweight: here('sampleWeights, of the data: train({ x, y, sampleWeights })'),
    clip, gradientclip: clip, gradclip: clip, clipgradient: clip, clipgradients: clip, globalclipnorm: clip, maxgradnorm: clip, gradientclipping: clip,
    timeout: here('signal: AbortSignal.timeout(ms)'),
    maxlen: here('maxLength'), sequencelength: lengths, seqlen: lengths, timesteps: lengths, steps: lengths, masking: lengths, maskzero: lengths, padding: lengths,
    tbptt: here('bptt: { window: 64 }'), truncate: here("keep: 'start' | 'end', which part of a cut sequence stays"), window: here('bptt: { window: 64 }'),
    numthreads: here('threads'), nthreads: here('threads'), workers: here('threads'),
    beta1: here('betas: [0.9, 0.999]'), beta2: here('betas: [0.9, 0.999]'), epsilon: here('eps'), rho: here('alpha, of optimizer.rmsprop'), smoothing: here('alpha, of optimizer.rmsprop'),
    decay: here('weightDecay, inside the optimizer'), l2reg: regularise,
    randomseed: here('seed'), randomstate: here('seed'), rngseed: here('seed'),
    weights: here('setWeights(weights), once the network is made'),
    optimizername: here('optimizer: { adam: { lr: 0.001 } }'), optimiser: here('optimizer'), solver: here('optimizer: { adam: { lr: 0.001 } }'),
  }),
)

const normal = (name: string) => name.toLowerCase().replace(/[-_\s]/g, '')

/** What to say about an option that does not exist at this place; undefined: nothing comes near. */
export function remedyFor(name: string, place: Place): string | undefined {
  const names: readonly string[] = PLACES[place].names
  const wanted = normal(name)
  const same = names.find((n) => normal(n) === wanted)
  if (same) return here(same)
  const foreign = FOREIGN.get(wanted)
  if (foreign) return foreign
  const elsewhere = Object.values(PLACES).filter((p) => (p.names as readonly string[]).includes(name))
  if (elsewhere.length) return `${name} is an option of ${elsewhere.map(({ of }) => of).join(', ')}.`
  const meant = nearest(name, names)
  return meant && `Did you mean ${meant}?`
}

/** The name that was probably meant; undefined: nothing comes near. */
export function nearest(name: string, names: readonly string[]): string | undefined {
  const wanted = normal(name)
  const best = names.map((n) => ({ n, d: distance(normal(n), wanted) })).sort((a, b) => a.d - b.d)[0]
  return best && best.d <= Math.max(1, Math.floor(wanted.length / 3)) ? best.n : undefined
}

/** Edits between two strings of at most 40 characters: one inserted, left out or replaced, or two neighbours swapped. */
function distance(a: string, b: string): number {
  const from = a.slice(0, 40)
  const to = b.slice(0, 40)
  const rows = [Array.from({ length: to.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= from.length; i++) {
    const above = rows[i - 1]!
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const swapped = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      row.push(Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + Number(from[i - 1] !== to[j - 1]), swapped ? rows[i - 2]![j - 2]! + 1 : Infinity))
    }
    rows.push(row)
  }
  return rows[from.length]![to.length]!
}
