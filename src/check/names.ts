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
  bptt: { of: 'train(data, { bptt: { … } })', names: ['window', 'stride', 'carryState'] },
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
const none = (remedy: string) => `It does not exist here: ${remedy}.`

/** Names of other libraries, in lower case without _ and -, by the answer in our words. */
const FOREIGN: readonly (readonly [answer: string, names: string])[] = [
  [here('state: 64'), 'units hidden hiddensize hiddenunits hiddendim statesize size'],
  [here('state: [128, 64], one number for each layer, lowest first'), 'layers numlayers nlayers hiddenlayers'],
  [here('input: 4 (features of a step), input: { tokens: 26 }, or a vocabulary'), 'inputsize inputdim inputshape inputlayer features inputs vocabulary vocabsize vocab'],
  [here("output: ['yes', 'no'], output: 5 (classes), { sigmoid: 3 } or { linear: 1 }"), 'outputsize outputdim outputlayer outputs classes numclasses labels'],
  [here("readout: 'all' (an output at every step) or 'last'"), 'returnsequences'],
  [here('finalState, which forward() returns'), 'returnstate'],
  [here('stream(), which keeps its state, or train(data, { bptt: { window: 64, carryState: true } })'), 'stateful'],
  [here("nonlinearity: 'tanh' | 'relu' | 'sigmoid' | 'identity'; what the outputs go through follows from output"), 'activation activationfunction recurrentactivation'],
  [here("bias: true | false | 'double'"), 'usebias'],
  [here("init: 'orthogonal' | 'pytorch' | 'keras' | 'identity'"), 'initializer kernelinitializer recurrentinitializer biasinitializer weightinit'],
  [none('arrays are always [sequence][step][feature]'), 'batchfirst timemajor'],
  [none('for a second direction train another network on reversed sequences'), 'bidirectional'],
  [none('reverse the sequences'), 'gobackwards'],
  [none('use weightDecay inside the optimizer, or earlyStopping with validation'), 'dropout recurrentdropout l1 l2 regularization kernelregularizer l2reg'],
  [none("the cell is the plain (Elman) one; choose its function by nonlinearity: 'tanh' | 'relu' | 'sigmoid' | 'identity'"), 'cell celltype type mode lstm gru'],
  [here("backend: 'auto' | 'native' | 'wasm' | 'reference'"), 'device gpu'],
  [none('numbers are float32'), 'dtype'],
  [here('lr, inside the optimizer: train(data, { optimizer: { adam: { lr: 0.001 } } })'), 'lr learningrate eta alpha'],
  [here('schedule, of train(data, { schedule: { cosine: {} } })'), 'lrscheduler scheduler learningratescheduler lrschedule'],
  [none('the loss follows from output (softmax: cross-entropy, sigmoid: binary cross-entropy, linear: mean squared error)'), 'loss lossfunction lossfn costfunction cost criterion'],
  [none('evaluate(data) and every Progress carry the metrics that suit the output'), 'metrics'],
  [here('epochs, of train(data, { epochs: 10 })'), 'iterations maxiterations iter nepochs numepochs maxepochs'],
  [none('leave a for await (const progress of model.train(…)) loop by break, or use earlyStopping'), 'errorthresh errorthreshold targeterror error'],
  [here('onProgress, or for await (const progress of model.train(…))'), 'log logperiod verbose callback callbacks callbackperiod onepochend'],
  [here('train(data, options)'), 'fit'],
  [none('say output in new RNN({ … }) and optimizer in train(data, { … })'), 'compile'],
  [here('validation: 0.2'), 'validationsplit valsplit testsplit'],
  [here('validation: { x, y }'), 'validationdata'],
  [here('sampleWeights, of the data: train({ x, y, sampleWeights })'), 'sampleweight'],
  [here('clipNorm: 5 (global norm) or clipValue'), 'clip gradientclip gradclip clipgradient clipgradients globalclipnorm maxgradnorm gradientclipping'],
  [here('signal: AbortSignal.timeout(ms)'), 'timeout'],
  [here('maxLength'), 'maxlen'],
  [here('nothing to say: sequences may differ in length; train(data, { maxLength: 100 }) cuts long ones'), 'sequencelength seqlen timesteps steps masking maskzero padding'],
  [here('bptt: { window: 64 }'), 'tbptt window'],
  [here("keep: 'start' | 'end', which part of a cut sequence stays"), 'truncate'],
  [here('threads'), 'numthreads nthreads workers'],
  [here('betas: [0.9, 0.999]'), 'beta1 beta2'],
  [here('eps'), 'epsilon'],
  [here('alpha, of optimizer.rmsprop'), 'rho smoothing'],
  [here('weightDecay, inside the optimizer'), 'decay'],
  [here('seed'), 'randomseed randomstate rngseed'],
  [here('setWeights(weights), once the network is made'), 'weights'],
  [here('optimizer: { adam: { lr: 0.001 } }'), 'optimizername solver'],
  [here('optimizer'), 'optimiser'],
]

const normal = (name: string) => name.toLowerCase().replace(/[-_\s]/g, '')

/** What to say about an option that does not exist at this place; undefined: nothing comes near. */
export function remedyFor(name: string, place: Place): string | undefined {
  const names: readonly string[] = PLACES[place].names
  const wanted = normal(name)
  const same = names.find((n) => normal(n) === wanted)
  if (same) return here(same)
  const foreign = FOREIGN.find(([, foreign]) => foreign.split(' ').includes(wanted))
  if (foreign) return foreign[0]
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
