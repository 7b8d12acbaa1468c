/* What `require('bptt')` gives. Only exports. */
export { configure } from './configure.js'
export { type Diagnosis, doctor } from './doctor.js'
export { BpttError, type ErrorCode } from './errors.js'
export { type AnyRNN, RNN } from './rnn.js'
export { padSequences } from './sequences/pad.js'
export { text } from './sequences/text.js'
export type {
  Backward,
  Config,
  Data,
  Init,
  Input,
  Labels,
  Layer,
  Many,
  Memory,
  MemoryOptions,
  Metric,
  Num,
  Optimizer,
  Output,
  Prediction,
  Progress,
  Readout,
  Run,
  RunResult,
  Schedule,
  Scores,
  Sequence,
  State,
  StepOptions,
  Tensor,
  TensorLike,
  TrainOptions,
  Vocabulary,
  Weights,
  X,
  Y,
} from './types.js'
