/*
 * The operations of a plan: one table from which the C++ and AssemblyScript constants are generated (src/build.mjs).
 *
 * A plan is an Int32Array of instructions, each `opcode, argument, argument, …` in the order of the names below. Every interpreter
 * (reference/, native/, assembly/) executes the same instructions over the same memory map, in the order of operations of
 * docs/numerics.md. Control flow is two constructs: GUARD ends a frame early, SEGMENTS runs a part of the plan over stretches of time.
 *
 * Letters: T steps, B sequences of the batch, R rows (= Σ lengths of the batch), K inner and N outer size of a matrix [N, K].
 *
 * Arguments
 *   @name   an address (memory.ts: region and offset) or NONE (-1); the text says which buffer it is and its shape
 *   others  plain integers: sizes, or one of the enumerations below
 *
 * Buffers of activations hold packed rows (frame.ts) of `stride(size)` floats, the size rounded up to 16; what lies between size and
 * stride is scratch that no reduction may read. Parameters are dense [N, K] row-major. "rows" says how many rows a buffer has now.
 */

/** How many rows an operand has in a frame. */
export const Rows = { STEPS: 0, BATCH: 1 } as const
/** Nonlinearity of a recurrent layer. */
export const Cell = { TANH: 0, RELU: 1, SIGMOID: 2, IDENTITY: 3 } as const
/** Output layer: fixes both the activation and the loss. */
export const Head = { SOFTMAX: 0, SIGMOID: 1, LINEAR: 2 } as const
/** What reaches a layer's states from above: nothing, a row for each step, or one row for each sequence, at its last step. */
export const Above = { NONE: 0, STEPS: 1, LAST: 2 } as const
/** The form in which PACK prepares a matrix M [N, K] for a backend's own kernels. */
export const Pack = { PROJECT: 0, PROJECT_DX: 1, GATHER: 2 } as const
/** What makes an operand move from segment to segment. */
export const By = { SEGMENT: 0, ROW: 1, BEFORE: 2 } as const
export const Optimizer = { SGD: 0, RMSPROP: 1, ADAGRAD: 2, ADAM: 3, ADAMW: 4 } as const

export const OPERATIONS = {
  /** dst[0 .. units·16 floats) = +0. */
  ZERO: ['@dst', 'units'],
  /** dst = src, units of 64 bytes. */
  COPY: ['@dst', '@src', 'units'],
  /** The batch's inputs, packed: dst[row(i, q), 0..K) = data[base[q] + i, 0..K) (dense rows of K); the rest of the stride = +0. */
  FETCH: ['@dst', '@data', 'K'],
  /** dst [B, S]: row q = carry[init[q]] (rows of stride(S)), or zeros where init[q] < 0. */
  STATE_IN: ['@dst', '@carry', 'S'],
  /** carry[slot[q]] = the state after step saved[q] of sequence q (row index into s, or s0's row q where -1); nothing where slot[q] < 0. */
  STATE_OUT: ['@carry', '@s0', '@s', 'S'],
  /** The backend's own copy of the parameter matrix M [N, K] in pack form `form`. The reference does nothing here. */
  PACK: ['@pack', '@M', 'N', 'K', 'form'],
  /** y[row, n] = bias[n] (+ bias2[n], rounded) then + Σ_k x[row, k]·M[n, k], k ascending (Pack.PROJECT). */
  PROJECT: ['@y', '@x', '@M', '@pack', '@bias', '@bias2', 'N', 'K', 'rows'],
  /** Token input: y[row(i, q), n] = bias[n] (+ bias2[n]) + M[n, tokens[base[q] + i]] (Pack.GATHER); tokens are int32 in [0, K). */
  GATHER: ['@y', '@tokens', '@M', '@pack', '@bias', '@bias2', 'N', 'K'],
  /** s (holding U w + b on entry) [R, S]: s_i = f(s_i + W s_{i-1}), the chain going on over k ascending, for all steps; s_0 = s0 [B, S]. */
  RECUR: ['@s', '@s0', '@W', '@pack', 'S', 'cell'],
  /** dst [B, S]: row q = the state after the last step of sequence q (row last[q] of s, or s0's row q where -1). */
  LAST: ['@dst', '@s0', '@s', 'S'],
  /**
   * Loss of logits z [rows, N] against targets at row tbase[q] (+ i for STEPS; none of it counts where i < from[q]):
   * int32 classes [·] for SOFTMAX, float32 [·, N] otherwise; weights float32 [·] for SOFTMAX, [·, N] otherwise.
   * rowLoss (float64 pairs [rows, 2]) = Σ wℓ of the row, and the row's score (hits for SOFTMAX and SIGMOID, squared error for LINEAR);
   * in a segment too it has all rows of the frame.
   * dz = dL/dz·scale (may be z itself), or NONE.
   */
  LOSS: ['@dz', '@z', '@targets', '@weights', '@rowLoss', 'N', 'head', 'rows'],
  /** result.LOSS and result.SCORE = sums of rowLoss in packed row order. */
  SUM_LOSS: ['@rowLoss', 'rows'],
  /** o[row] = softmax, sigmoid or identity of z[row, 0..N) (o may be z). */
  ACTIVATE: ['@o', '@z', 'N', 'head', 'rows'],
  /** dx[row, k] (+)= Σ_n dy[row, n]·M[n, k], n ascending, from +0, or from dx where accumulate = 1 (Pack.PROJECT_DX). */
  PROJECT_DX: ['@dx', '@dy', '@M', '@pack', 'N', 'K', 'rows', 'accumulate'],
  /**
   * Backpropagation through time of RECUR, steps descending: g_i = above_i + Σ_n d_{i+1}[n]·W[n, k] (n ascending, from above or +0);
   * d_i = g_i·f'(s_i), then |d| < 2⁻¹⁰⁰ becomes +0. above [R or B, S] may be d itself where kind is STEPS. after [B, S], of a segment
   * that is not the last: d of the step behind it, where the loop begins.
   * g [R, S] and g0 [B, S] (g_0 = dL/ds_0), where given, receive the total gradients; g0 of a sequence without steps is what kind LAST
   * has above it, else +0.
   */
  RECUR_BACK: ['@d', '@s', '@after', '@above', 'aboveKind', '@W', '@pack', 'S', 'cell', '@g', '@g0'],
  /** dM[n, k] += Σ_rows dy[row, n]·x[row, k], rows descending (packed order), continuing from dM. */
  PROJECT_DW: ['@dM', '@dy', '@x', 'N', 'K', 'rows'],
  /** The same for W: x is the state before the row, from s0 [B, K] and s [R, K]. */
  RECUR_DW: ['@dM', '@d', '@s', '@s0', 'N', 'K'],
  /** db[n] += Σ_rows dy[row, n], rows descending. */
  BIAS_DW: ['@db', '@dy', 'N', 'rows'],
  /** Token input: dM[n, token] += dy[row, n], rows descending; pack is room of stride(N)·K floats. */
  GATHER_DW: ['@dM', '@dy', '@tokens', '@pack', 'N', 'K'],
  /** result.NORM = ‖gradients‖₂ over a dense block, float64. */
  NORM: ['@gradients', 'units'],
  /** norms [B] and [R] (float64): ‖g0[q]‖₂ and ‖g[row]‖₂. */
  STEP_NORMS: ['@norms0', '@norms', '@g0', '@g', 'S'],
  /** result.CLIP = min(1, constants[maxNorm] / (result.NORM + 1e-6)) as float32. */
  CLIP: ['maxNorm'],
  /** Ends the frame, and the job, with result.STATUS = NONFINITE_LOSS or NONFINITE_GRADIENT, before anything is updated. */
  GUARD: [],
  /**
   * One optimiser step over dense blocks: parameters p, gradients g, moments m, v, a (NONE where unused). The first matrixUnits units
   * are matrices, the rest biases: weight decay spares those unless decayBiases. Scalars: Scalar table of optimizers.ts, from the frame.
   */
  UPDATE: ['@p', '@g', '@m', '@v', '@a', 'units', 'matrixUnits', 'optimizer', 'flags'],
  /**
   * The next `count` instructions (MOVE is one) run once for each segment of `steps` steps, the last of which may be shorter; a frame
   * without steps is one segment. In order of time, or (order 1) against it; the segment that comes first leaves out the leading `skip`
   * of them. Each time they see the segment as if it were the frame (plan/frame.ts, segment()). Never nested.
   */
  SEGMENTS: ['steps', 'order', 'skip', 'count'],
  /**
   * Of the next instruction, in SEGMENTS: its argument number `argument` moves. In segment m, whose first row is row f of the frame and
   * whose step before has p rows (0 for m = 0), its address lies further by m·units (SEGMENT) or f·units (ROW: operands with rows of
   * `units` for all steps of the frame); BEFORE: from m = 1 on it is rows + (f − p)·units, the step before in such an operand.
   */
  MOVE: ['argument', 'by', 'units', '@rows'],
} as const

/** Bits of UPDATE's flags. */
export const UpdateFlag = { NESTEROV: 1, CENTERED: 2, AMSGRAD: 4, MOMENTUM: 8, DECAY: 16, DECAY_BIASES: 32, CLIP_VALUE: 64 } as const

export type OperationName = keyof typeof OPERATIONS
/** Opcode of each operation: its place in the table, from 1 (0 ends a plan). */
export const Opcode = Object.fromEntries(Object.keys(OPERATIONS).map((name, i) => [name, i + 1])) as Record<OperationName, number>
export const operationNames = Object.keys(OPERATIONS) as OperationName[]

/** Fields of the record of eight float64 that each frame leaves. */
export const Result = { STATUS: 0, LOSS: 1, SCORE: 2, NORM: 3, CLIP: 4 } as const
export const RESULT_FIELDS = 8
/** result.STATUS: PENDING where a job ended before the frame began, PAUSED where the frame goes on later. */
export const Status = { PENDING: 0, DONE: 1, NONFINITE_LOSS: 2, NONFINITE_GRADIENT: 3, STOPPED: 4, PAUSED: 5 } as const
