/*
 * What users pass as sequences and targets, as flat arrays: the types. input.ts makes Sequences, targets.ts makes Targets, state.ts reads
 * initial states and upstream gradients; batch.ts builds frames from them. Everything here is a copy: no array of the user is kept.
 *
 * A step that does not count as input (mask false, or NaN with missing 'mask') leaves the state as it is in all layers, so it is simply
 * left out of `rows`; outputs are expanded again through `steps`.
 */

/** Sequences, end to end. B sequences, N rows in all, R features. */
export interface Sequences {
  /** B */
  readonly count: number
  /** Tokens [N], or features [N, R]: only the steps that count as input. */
  readonly rows: Int32Array | Float32Array
  /** [B + 1] first row of each sequence; the last is N. */
  readonly offsets: Int32Array
  /** [B] steps as the user sees them: after maxLength, with the masked ones. */
  readonly lengths: Int32Array
  /** [B] steps as the user gave them, before maxLength; `lengths` itself where nothing was cut. */
  readonly given: Int32Array
  /** T of a tensor [B, T] or [B, T, r]: targets, masks and weights may be padded to it. undefined for a list of sequences. */
  readonly padded: number | undefined
  /** [N] position of each row in the user's (cut) sequence; undefined where no step was left out. */
  readonly steps: Int32Array | undefined
  /** [B] first step kept of the user's sequence (all 0 with keep 'start'); undefined where nothing was cut. */
  readonly cut: Int32Array | undefined
  /** Sequences that maxLength cut. */
  readonly truncated: number
  /** Sequences without a row. */
  readonly empty: number
  /** `rows` is the user's own array (SequenceOptions.lend). */
  readonly lent: boolean
}

/** One row a sequence with readout 'last', one for each row of Sequences (the same offsets) with 'all'. t outputs. */
export interface Targets {
  /** softmax: class of each row [rows]; sigmoid, linear: [rows, t]. */
  readonly values: Int32Array | Float32Array
  /** softmax [rows], else [rows, t]; 0 = not counted. A sequence without a row is not counted. */
  readonly weights: Float32Array
}

export interface SequenceOptions {
  /** [B][T], true or 1 = use. */
  mask?: unknown
  maxLength?: number | undefined
  /** Default 'end'. */
  keep?: 'start' | 'end'
  /** What the sequences are called in messages. Default 'x'. */
  at?: string
  /**
   * `rows` may be the user's own array, where nothing in it has to be changed: for who hands them on before the call ends, and never
   * looks at them again. Large data are then read once, not copied twice into memory that the system must first provide.
   */
  lend?: boolean
  /** Whether no sequences at all are fine (predictMany([])); otherwise that is ERR_EMPTY. */
  allowNone?: boolean
}

export interface TargetOptions {
  /** [B] */
  sampleWeights?: unknown
  /** [B][T], readout 'all' only. */
  stepWeights?: unknown
  /** 'balanced': n / (classes present · rows of the class), over what counts. Softmax only. */
  classWeight?: 'balanced' | readonly number[] | undefined
  /** Default 'y'. */
  at?: string
}

/** What backward() starts from, dense, T = the longest length; places past a length mean nothing. */
export interface Upstream {
  /** [B, T, t], or [B, t] with readout 'last'. */
  readonly logits: Float32Array | undefined
  /** [B, T, s_k] for each layer. */
  readonly states: readonly Float32Array[] | undefined
}
