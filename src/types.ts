/*
 * The types of the public API: what users pass and what they get. No code. The class itself is rnn.ts; the rules behind the types are
 * section 4 of docs/design.md.
 */
/// <reference lib="esnext.disposable" preserve="true" />

/** Numbers: an array or any typed array; copied during the call. */
export type Num = ArrayLike<number>
/** Exactly one key of M. */
export type OneOf<M> = { [K in keyof M]: { [P in K]: M[P] } & { [P in Exclude<keyof M, K>]?: never } }[keyof M]
export type Labels = readonly string[]

/** Numbers that are returned: a row-major copy, yours to keep. */
export interface Tensor {
  readonly data: Float32Array
  readonly shape: readonly number[]
}

/** Numbers that are accepted: flat and row-major, with a shape. `lengths` (batches only): steps of each sequence, the rest is padding. */
export interface TensorLike {
  data: Num
  shape: readonly number[]
  lengths?: Num
}

/** ONE sequence: [T] (tokens, or one feature a step), [T][r], or a tensor of shape [T] or [T, r]. */
export type Sequence = Num | ArrayLike<Num> | TensorLike

/** Characters and their numbers; made by `text.chars(corpus)`. */
export interface Vocabulary {
  readonly labels: Labels
  /** Token of each character; a character outside of the vocabulary is ERR_LABEL. */
  encode(text: string): Int32Array
  decode(ids: Num): string
}

/** Features of a step (r), or a number of different tokens, or a vocabulary (tokens that may also be given as a string). */
export type Input = number | { tokens: number } | Vocabulary
/** A number, labels or a vocabulary mean softmax; a number to predict is `{ linear: 1 }`, yes or no is `{ sigmoid: 1 }`. */
export type Output = number | Labels | Vocabulary | OneOf<{ softmax: number | Labels; sigmoid: number | Labels; linear: number | Labels }>
/** 'last': one output a sequence, at its last valid step. 'all': one output a step. */
export type Readout = 'last' | 'all'

export interface Config<I = Input, O = Output, R = Readout> {
  input: I
  /** Units of the state (s); a list for stacked layers, lowest first. */
  state: number | readonly number[]
  output: O
  /** Default 'last'. */
  readout?: R
  /** f of s_i = f(U w_i + W s_{i-1} + b). Default 'tanh'. */
  nonlinearity?: 'tanh' | 'relu' | 'sigmoid' | 'identity'
  /** Default true; 'double' keeps two bias vectors (b + bh), as PyTorch does. */
  bias?: boolean | 'double'
  /** The head's c. Default true. */
  outputBias?: boolean
  /** 'error' (default): NaN in x is an error. 'mask': a step with any NaN keeps the state and does not count. */
  missing?: 'error' | 'mask'
  /**
   * Default 'orthogonal': glorot-uniform U and V (for tokens U of unit variance), orthogonal W, zero biases. 'identity': the same with
   * W = I. 'pytorch' and 'keras': as nn.RNN and SimpleRNN start.
   */
  init?: 'orthogonal' | 'pytorch' | 'keras' | 'identity'
  /** Of the initial weights: an integer from 0 to 2^53 - 1. Default 0. */
  seed?: number
  /** Default 'auto': native, then WebAssembly, then the reference; BPTT_BACKEND changes what 'auto' means. */
  backend?: 'auto' | 'native' | 'wasm' | 'reference'
  /** At most this many threads. Default: what the machine offers, and 1 on WebAssembly, where more are Workers that share memory. */
  threads?: number
  /** 'portable': the arithmetic that every backend can do, so that all give the same bits. Default 'fast'. */
  numerics?: 'fast' | 'portable'
}

type Names<N> = N extends Labels ? N[number] : number
export type LabelOf<O> = O extends Vocabulary
  ? string
  : O extends { softmax: infer N } | { sigmoid: infer N } | { linear: infer N }
    ? Names<N>
    : Names<O>
type Step<O> = O extends { linear: any }
  ? {
      kind: 'linear'
      /** values[0] */
      value: number
      values: Float32Array
    }
  : O extends { sigmoid: any }
    ? {
        kind: 'sigmoid'
        /** those with p >= 0.5 */
        labels: LabelOf<O>[]
        probabilities: Float32Array
      }
    : {
        kind: 'softmax'
        /** the index where no labels were given */
        label: LabelOf<O>
        index: number
        probability: number
        probabilities: Float32Array
      }
export type Prediction<O, R> = R extends 'all' ? Step<O>[] : Step<O>
/** One sequence for a network with this input. */
export type X<I> = I extends Vocabulary ? string | Sequence : Sequence
/** Many sequences: a list of any lengths, or a tensor of shape [B, T] or [B, T, r]. */
export type Many<I> = ArrayLike<X<I>> | TensorLike
type Y1<O> = O extends { linear: any } ? number | Num : O extends { sigmoid: any } ? number | boolean | Num | Labels : string | number
/** Targets: one a sequence (readout 'last') or one a step ('all', where null does not count). */
export type Y<O, R> =
  | TensorLike
  | (R extends 'all' ? ArrayLike<ArrayLike<Y1<O> | null>> | (O extends Vocabulary ? Labels : never) : ArrayLike<Y1<O>>)

export interface Data<I, O, R> {
  x: Many<I>
  y: Y<O, R>
  /** [B][T], true = use: a step that is not used keeps the state and does not count. */
  mask?: ArrayLike<ArrayLike<boolean | number>>
  /** [B] */
  sampleWeights?: Num
  /** [B][T], readout 'all' only */
  stepWeights?: ArrayLike<Num>
  /** [B]: sequences of one group are never split between training and validation. */
  groups?: ArrayLike<string | number>
}

/** One layer's weights: U [s, r], W [s, s], b [s], and bh [s] with bias 'double'. */
export interface Layer<A> {
  U: A
  W: A
  b?: A | undefined
  bh?: A | undefined
}
/** All weights; the flat form is for networks of one layer. V [t, s], c [t]. */
export type Weights<A = Tensor> = ({ layers: readonly Layer<A>[] } | Layer<A>) & { V: A; c?: A | undefined }
/** The state of each layer, s: [B, s_k]. */
export interface State {
  readonly layers: readonly { readonly s: Tensor }[]
}
export interface Init {
  /** Where sequences start; default zero. An array is [B][s], for networks of one layer. */
  initialState?: State | ArrayLike<Num>
}

export interface Metric {
  value: number
  /** What the naive answer gets on the same data. */
  baseline: number
  baselineIs: 'majority class' | 'train mean' | 'last value' | 'seasonal'
}
export interface Scores {
  loss: number
  /** What the loss is a mean over: rows for softmax, scalars otherwise. */
  count: number
  metrics: Record<string, Metric>
}
export interface Progress {
  /** From 1. */
  epoch: number
  epochs: number
  /** Updates so far, and in the whole run. */
  step: number
  steps: number
  /** Mean over the epoch so far. */
  loss: number
  lr: number
  /** Of the last update, before clipping. */
  gradientNorm: number
  /** Share of this epoch's updates that were clipped by norm. */
  clippedShare: number
  sequencesPerSecond: number
  etaSeconds: number
  metrics: Record<string, Metric>
  validation?: Scores
}
export interface RunResult {
  history: Progress[]
  best: Progress
  stopped: 'finished' | 'early' | 'stop'
  /** Sequences that maxLength cut, and sequences without a step. */
  truncated: number
  empty: number
}
export interface Run extends Promise<RunResult>, AsyncIterable<Progress> {
  /** Ends after the update in flight. */
  stop(): Promise<RunResult>
}

type Decay = { lr?: number; weightDecay?: number; decayBiases?: boolean }
type Adam = Decay & { betas?: readonly [number, number]; eps?: number; amsgrad?: boolean }
/** In PyTorch's forms and with PyTorch's defaults. */
export type Optimizer = OneOf<{
  adam: Adam
  adamw: Adam
  sgd: Decay & { lr: number; momentum?: number; dampening?: number; nesterov?: boolean }
  rmsprop: Decay & { alpha?: number; eps?: number; momentum?: number; centered?: boolean }
  adagrad: Decay & { lrDecay?: number; initialAccumulator?: number; eps?: number }
}>
/** The learning rate of each update (step from 0): a pure function, or a factor on the optimiser's rate. */
export type Schedule =
  | ((step: number, steps: number) => number)
  | OneOf<{
      step: { every: number; factor: number }
      exponential: { factor: number }
      cosine: { warmup?: number }
      oneCycle: { peak: number }
      plateau: { factor?: number; patience?: number }
    }>
export interface StepOptions {
  /** Default `{ adam: { lr: 0.001 } }`. */
  optimizer?: Optimizer
  /** Upper bound of the gradient's global norm. Default 5. */
  clipNorm?: number | false
  /** Upper bound of each gradient's size. Default false. */
  clipValue?: number | false
  /**
   * What training may take outside of JavaScript. 'full' (default): what is fastest, the states of all steps. 'low': as little as can be;
   * states are kept at about √T steps and computed once more in between, which costs at most one more forward pass. A number: at most
   * so many bytes in all (as memory() counts them), and then what is fastest; ERR_OUT_OF_RANGE says the least that is possible. The
   * results are the same to the last bit.
   */
  memory?: 'full' | 'low' | number
}
export interface TrainOptions<D> extends StepOptions {
  /** Default 10. */
  epochs?: number
  /** Default 32. */
  batchSize?: number
  /** Default true. */
  shuffle?: boolean
  /** Of shuffling and of the validation split. Default 0. */
  seed?: number
  schedule?: Schedule
  /** Longer sequences are cut. */
  maxLength?: number
  /** Which part of a cut sequence stays. Default 'end'. */
  keep?: 'start' | 'end'
  /** Truncated backpropagation: over windows of so many steps, an update every `stride` (default: window), the state carried between windows (default true). */
  bptt?: { window: number; stride?: number; carryState?: boolean }
  /** Data, or a share of the training data. */
  validation?: number | D | { fraction: number; by: 'tail' | 'shuffle' | 'group' }
  /** Needs validation. Ends after `patience` epochs in a row (at least 1) that were no better. Defaults: patience 5, minDelta 0, restoreBest true. */
  earlyStopping?: { patience?: number; minDelta?: number; restoreBest?: boolean }
  classWeight?: 'balanced' | Num | Readonly<Record<string, number>>
  signal?: AbortSignal
  /** At most 10 a second, the latest wins; the last one always comes. */
  onProgress?: (p: Progress) => void
}

/** What memory() is asked about: a run of train() over `sequences` sequences of `length` steps, or an answer to `batchSize` of them. */
export interface MemoryOptions {
  /** Default 32. */
  batchSize?: number
  /** Steps of the longest sequence; with truncated backpropagation, its window. */
  length: number
  /** Of the data set, which stays in memory during a run. Default: one batch. */
  sequences?: number
  /** Default adam, which keeps two moments. */
  optimizer?: Optimizer
  /** As in train(). Default 'full'. */
  memory?: 'full' | 'low' | number
  /** Default 'train'. */
  task?: 'train' | 'predict'
}
/** Bytes outside of JavaScript, by purpose; String(memory) is a table. */
export interface Memory {
  readonly parameters: number
  readonly gradients: number
  /** Of optimisers. */
  readonly moments: number
  /** The weights as the kernels want them. */
  readonly packed: number
  /** Inputs, targets and their weights. */
  readonly data: number
  /** The states, and what else goes from one operation to the next. */
  readonly states: number
  /** The kernels' own room: of each thread, or of the WebAssembly module. */
  readonly workspace: number
  readonly total: number
}

/** stateGradientNorms: per layer [B, T+1], slot k = ||dL/ds_k||. */
export type Backward = { gradients: Weights & { x: Tensor; initialState: State }; stateGradientNorms: Tensor[] }
