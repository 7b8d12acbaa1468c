/*
 * The public class: each method reads its arguments into plain data (check/, sequences/) and hands them to training/, inference/ or files/.
 * The rules behind the methods are section 4 of docs/design.md. What few programs use is imported where it is used: loading everything
 * would take half of the time to a first prediction.
 */
import { type Choices, readConfig } from './check/config.js'
import { readForwardOptions, readGradientsOptions, readMemoryOptions, readPyTorchOptions, readStreamOptions } from './check/options.js'
import { notThis } from './errors.js'
import type { Model } from './files/model-file.js'
import type { Bytes } from './files/safetensors.js'
import { readSource } from './files/source.js'
import { evaluate } from './inference/evaluate.js'
import { longest } from './inference/expand.js'
import { forward } from './inference/forward.js'
import { predictions } from './inference/predict.js'
import { Stream } from './inference/stream.js'
import { configOf } from './model/config-of.js'
import { Core } from './model/core.js'
import { memory } from './model/memory.js'
import { readWeights, stacked } from './model/read-weights.js'
import { weightTensors } from './model/weights.js'
import { platform } from './platform/platform.js'
import { readOneSequence, readSequences } from './sequences/input.js'
import { readInitialState, readUpstream } from './sequences/state.js'
import { readExamples } from './training/dataset.js'
import { train } from './training/train.js'
import { trainer } from './training/trainer.js'
import type {
  Backward,
  Config,
  Data,
  Init,
  Input,
  LabelOf,
  Layer,
  Many,
  Memory,
  MemoryOptions,
  Num,
  Output,
  Prediction,
  Readout,
  Run,
  Scores,
  State,
  StepOptions,
  Tensor,
  TensorLike,
  TrainOptions,
  Weights,
  X,
} from './types.js'

export type AnyRNN = RNN<Input, Output, Readout>

/** How a model is made from what is not a Config: a file's content. */
const FROM = Symbol('from')

/**
 * A recurrent network: s_i = f(U w_i + W s_{i-1} + b), o_i = softmax(V s_i + c), with its weights and the engine that runs it.
 *
 * Everything long runs off the event loop and is asynchronous; argument errors of asynchronous methods reject, and change nothing.
 * Errors are BpttError. Weights are drawn at first use from `config.seed`.
 *
 * @example
 * const model = new RNN({ input: 4, state: 64, output: ['EI', 'IE', 'N'] })
 * await model.train({ x, y })
 * const { label, probability } = await model.predict(x[0])
 */
export class RNN<const I extends Input = Input, const O extends Output = Output, const R extends Readout = 'last'> {
  readonly #core: Core
  readonly #config: Config<I, O, R>

  /** @throws ERR_INVALID_ARG, ERR_OUT_OF_RANGE, ERR_UNKNOWN_OPTION, with the place and what to type instead */
  constructor(config: Config<I, O, R>) {
    const from = (config as { [FROM]?: Model } | undefined)?.[FROM]
    const { network, ...runtime }: Choices = from
      ? { network: from.network, backend: 'auto', threads: undefined, numerics: 'fast' }
      : readConfig(config)
    this.#core = new Core(network, runtime, from?.weights)
    this.#config = configOf(network, runtime) as Config<I, O, R>
  }

  static #of(model: unknown): Core {
    if (typeof model === 'object' && model !== null && #core in model) return model.#core
    throw notThis('a model', model, 'model.method(…)')
  }

  static #make<M>(model: Model): M {
    return new RNN({ [FROM]: model } as unknown as Config) as M
  }

  /** The configuration with every default filled in; frozen. */
  get config(): Config<I, O, R> {
    RNN.#of(this)
    return this.#config
  }

  /** Of the outputs; their numbers where no labels were given. */
  get labels(): readonly LabelOf<O>[] {
    const { labels, size } = RNN.#of(this).network.output
    return (labels ?? Array.from({ length: size }, (_, j) => j)) as LabelOf<O>[]
  }

  get parameterCount(): number {
    return RNN.#of(this).layout.table.count
  }

  /** Weights of each layer, lowest first: copies. During a run, those of its last report. */
  get layers(): readonly Layer<Tensor>[] {
    return tensorsOf(RNN.#of(this)).layers
  }

  /** Input weights [s, r] of a network of one layer: a copy. A stacked network has them in `layers`, and throws here. */
  get U(): Tensor {
    return oneLayer(RNN.#of(this), 'U')!
  }
  /** Recurrent weights [s, s], as U. */
  get W(): Tensor {
    return oneLayer(RNN.#of(this), 'W')!
  }
  /** Bias [s], as U; undefined with bias: false. */
  get b(): Tensor | undefined {
    return oneLayer(RNN.#of(this), 'b')
  }
  /** Output weights [t, s]: a copy. */
  get V(): Tensor {
    return tensorsOf(RNN.#of(this)).V
  }
  /** Output bias [t]; undefined with outputBias: false. */
  get c(): Tensor | undefined {
    return tensorsOf(RNN.#of(this)).c
  }

  /**
   * Replaces weights; what is left out stays. Each is flat numbers, an array of rows, or { data, shape }. Another model gives all of its own.
   * What was asked before is still answered from the old ones.
   * @throws ERR_SHAPE_MISMATCH, ERR_NONFINITE, ERR_BUSY; then nothing was changed
   */
  setWeights(weights: Partial<Weights<Num | ArrayLike<Num> | TensorLike>>): void {
    const core = RNN.#of(this)
    const release = core.startWriting('setWeights()')
    try {
      const given = typeof weights === 'object' && weights !== null && #core in weights ? tensorsOf(weights.#core) : weights
      core.setWeights(readWeights(core.layout.table, core.weights(), given))
    } finally {
      release()
    }
  }

  /**
   * Trains from the current weights with fresh moments. The Run can be awaited, iterated (one Progress an epoch) and stopped.
   * Rejects with ERR_NONFINITE where loss or gradient is not finite, with the signal's reason on abort, with what onProgress threw; the
   * weights are then those of the last whole update.
   */
  train(data: Data<I, O, R>, options?: TrainOptions<Data<I, O, R>>): Run {
    return train(() => RNN.#of(this), data, options)
  }

  /** Single updates for your own loop. The moments live as long as the trainer. */
  trainer(options?: StepOptions): {
    /** One update on these sequences as one batch. `lr`: instead of the optimiser's. */
    step(data: Data<I, O, R>, o?: Init & { lr?: number }): Promise<{ loss: number; gradientNorm: number; finalState: State }>
  } {
    return trainer(RNN.#of(this), options)
  }

  /** The answer for ONE sequence. */
  async predict(x: X<I>): Promise<Prediction<O, R>> {
    const core = checked(RNN.#of(this))
    const [answer] = await predictions(core, readOneSequence(core.network, x, { lend: true }))
    return answer as Prediction<O, R>
  }

  /** The answers for many sequences. */
  async predictMany(xs: Many<I>): Promise<Prediction<O, R>[]> {
    const core = checked(RNN.#of(this))
    return (await predictions(core, readSequences(core.network, xs, { allowNone: true, lend: true, at: 'xs' }))) as Prediction<O, R>[]
  }

  /**
   * logits = V s + c and outputs [B, T, t], or [B, t] with readout 'last'; states [B, T, s_k] after each step, for each layer; 0 past a
   * sequence's length. finalState: after its last step.
   */
  async forward(
    xs: Many<I>,
    o?: Init,
  ): Promise<{ logits: Tensor; outputs: Tensor; states: Tensor[]; finalState: State; lengths: Int32Array }> {
    const core = checked(RNN.#of(this))
    const { initialState } = readForwardOptions(o)
    const sequences = readSequences(core.network, xs, { at: 'xs' })
    return forward(core, sequences, readInitialState(core.network, initialState as State, sequences.count))
  }

  /**
   * The loss over all sequences as one batch, and its gradients: of U, W, b, V, c, of x [B, T, r] (for tokens: of their one-hot vectors)
   * and of the initial state; and ‖dL/ds_k‖ [B, T+1] for every step k, for each layer. With `bptt`, the sum over windows of each
   * window's gradient, the states between them constants.
   */
  async gradients(
    data: Data<I, O, R>,
    o?: Init & { reduction?: 'mean' | 'sum'; bptt?: { window: number; stride?: number } },
  ): Promise<Backward & { loss: number; finalState: State }> {
    const core = checked(RNN.#of(this))
    const { initialState, reduction, bptt } = readGradientsOptions(o)
    const { sequences, targets } = readExamples(core, data, '')
    const initial = readInitialState(core.network, initialState as State, sequences.count)
    const options = { initial, reduction, bptt, weights: core.held() }
    return core.inTurn(async () => (await import('./inference/gradients.js')).gradients(core, sequences, targets, options))
  }

  /** The same from gradients of your own loss: of the logits, shaped as forward() gives them, of the states [B, T, s_k], or of both. */
  async backward(xs: Many<I>, upstream: { logits?: TensorLike; states?: readonly TensorLike[] }, o?: Init): Promise<Backward> {
    const core = checked(RNN.#of(this))
    const { initialState } = readForwardOptions(o)
    const sequences = readSequences(core.network, xs, { at: 'xs' })
    const given = readUpstream(core.network, upstream, sequences.count, longest(sequences))
    const initial = readInitialState(core.network, initialState as State, sequences.count)
    return core.inTurn(async () => (await import('./inference/gradients.js')).backward(core, sequences, given, initial))
  }

  /** This backend's gradients against central differences of the float64 reference: about 1e-6 where all is well. */
  async gradCheck(data: Data<I, O, R>): Promise<{ maxRelativeError: number; at: string }> {
    const core = checked(RNN.#of(this))
    const { sequences, targets } = readExamples(core, data, '')
    const { gradCheck } = await import('./inference/gradcheck.js')
    return gradCheck(core, sequences, targets)
  }

  /** Loss and metrics over data, with what a naive answer gets beside each metric. */
  async evaluate(data: Data<I, O, R>): Promise<Scores> {
    const core = checked(RNN.#of(this))
    const { sequences, targets } = readExamples(core, data, '')
    return evaluate(core, sequences, targets)
  }

  /**
   * One step at a time, for `batch` sequences side by side (default 1), from the weights as they are now.
   * push(w) takes [batch·r] numbers or [batch] tokens and returns the outputs [batch·t]: always the same array.
   */
  stream(o?: { batch?: number }): { push(w: number | Num): Float32Array; state: State; reset(row?: number): void } {
    const core = checked(RNN.#of(this))
    return new Stream(core, readStreamOptions(o).batch)
  }

  /**
   * Bytes outside of JavaScript, by purpose: what this model's engine holds now (nothing before it was needed; streams have an engine of
   * their own), or, asked with options, what a run of train() over sequences of one length, or an answer to them, takes of a fresh model.
   * `String(model.memory())` is a table.
   * @throws ERR_OUT_OF_RANGE where a limit is too low, with the least that is possible
   */
  memory(o?: MemoryOptions): Memory {
    const core = checked(RNN.#of(this))
    return memory(core, readMemoryOptions(o))
  }

  /** Writes the model as one safetensors file that PyTorch can open, atomically. Node only. @throws ERR_IO */
  async save(path: string): Promise<void> {
    const bytes = await encoded(RNN.#of(this))
    await platform().writeFile(path, bytes)
  }

  /** The same file as bytes: in an ArrayBuffer of their own, as Blob and File want them. */
  async toBytes(): Promise<Bytes> {
    return encoded(RNN.#of(this))
  }

  /** Reads what save() or toBytes() wrote. @throws ERR_IO, ERR_MODEL_… */
  static async load<M = AnyRNN>(from: string | URL | Blob | ArrayBuffer | Uint8Array): Promise<M> {
    const { bytes, file } = await readSource(from, platform().readFile)
    const { decodeModel } = await import('./files/model-file.js')
    return RNN.#make<M>(await decodeModel(bytes, file === undefined ? {} : { file }))
  }

  /**
   * Reads a state dict of an nn.RNN and an nn.Linear from safetensors: sizes from the shapes, `rnn` and `head` are the prefixes of their
   * names (default 'rnn.' and 'head.'), the two biases become one. @throws ERR_IO, ERR_MODEL_…
   */
  static async fromPyTorch<const O extends Output, const R extends Readout = 'last'>(
    from: string | Uint8Array,
    o: { output: O; readout?: R; rnn?: string; head?: string; nonlinearity?: 'tanh' | 'relu' },
  ): Promise<RNN<number, O, R>> {
    const options = readPyTorchOptions(o)
    const { bytes, file } = await readSource(from, platform().readFile)
    const { readStateDict } = await import('./files/pytorch.js')
    return RNN.#make(await readStateDict(bytes, options, file === undefined ? {} : { file }))
  }

  /** What computes, and why nothing better does. Choosing is put off until it is needed, this getter included. */
  get backend(): {
    name: string
    isa: string
    arithmetic: 'fma' | 'mul-add'
    threads: number
    why: { candidate: string; refused: string }[]
  } {
    const core = RNN.#of(this)
    const { name, isa, arithmetic, threads, alone } = core.description
    const why: { candidate: string; refused: string }[] = core.backend.why.map((refusal) => ({ ...refusal }))
    if (alone) why.push({ candidate: `${name}, ${core.options.threads} threads`, refused: alone })
    return { name, isa, arithmetic: arithmetic as 'fma' | 'mul-add', threads, why }
  }

  /** Frees the memory outside of JavaScript now rather than at garbage collection. What runs on the model rejects with ERR_DISPOSED. */
  dispose(): void {
    RNN.#of(this).dispose()
  }

  [Symbol.dispose](): void {
    this.dispose()
  }
}

function checked(core: Core): Core {
  core.check()
  return core
}

function tensorsOf(core: Core) {
  core.check()
  return weightTensors(core.layout.table, core.weights())
}

function oneLayer(core: Core, name: 'U' | 'W' | 'b'): Tensor | undefined {
  if (core.network.state.length > 1) throw stacked(name, name)
  return tensorsOf(core).layers[0]![name]
}

async function encoded(core: Core): Promise<Bytes> {
  core.check()
  const held = core.held()
  return core.inTurn(async () => {
    const { encodeModel } = await import('./files/model-file.js')
    return encodeModel(core.network, held ?? core.weights())
  })
}
