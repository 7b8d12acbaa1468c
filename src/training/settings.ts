/* What train() and trainer() were asked for, with every default filled in (check/options.ts makes it from the user's options). */

import type { Budget } from '../plan/segments.js'

interface Decay {
  readonly lr: number
  readonly weightDecay: number
  readonly decayBiases: boolean
}
export type OptimizerSettings =
  | (Decay & { readonly kind: 'sgd'; readonly momentum: number; readonly dampening: number; readonly nesterov: boolean })
  | (Decay & {
      readonly kind: 'rmsprop'
      readonly alpha: number
      readonly eps: number
      readonly momentum: number
      readonly centered: boolean
    })
  | (Decay & { readonly kind: 'adagrad'; readonly lrDecay: number; readonly initialAccumulator: number; readonly eps: number })
  | (Decay & {
      readonly kind: 'adam' | 'adamw'
      readonly betas: readonly [number, number]
      readonly eps: number
      readonly amsgrad: boolean
    })

export type ScheduleSettings =
  | { readonly kind: 'constant' }
  | { readonly kind: 'function'; readonly of: (step: number, steps: number) => number }
  | { readonly kind: 'step'; readonly every: number; readonly factor: number }
  | { readonly kind: 'exponential'; readonly factor: number }
  | { readonly kind: 'cosine'; readonly warmup: number }
  | { readonly kind: 'oneCycle'; readonly peak: number }
  | { readonly kind: 'plateau'; readonly factor: number; readonly patience: number }

export interface UpdateSettings {
  readonly optimizer: OptimizerSettings
  /** undefined: off */
  readonly clipNorm: number | undefined
  readonly clipValue: number | undefined
  readonly memory: Budget
}

export interface TrainSettings<D = unknown> extends UpdateSettings {
  readonly epochs: number
  readonly batchSize: number
  readonly shuffle: boolean
  readonly seed: number
  readonly schedule: ScheduleSettings
  readonly maxLength: number | undefined
  readonly keep: 'start' | 'end'
  readonly bptt: { readonly window: number; readonly stride: number; readonly carryState: boolean } | undefined
  readonly validation:
    | { readonly data: D }
    | {
        readonly fraction: number /** auto: by groups where given, else stratified (readout last, softmax), else shuffled */
        readonly by: 'tail' | 'shuffle' | 'group' | 'auto'
      }
    | undefined
  readonly earlyStopping: { readonly patience: number; readonly minDelta: number; readonly restoreBest: boolean } | undefined
  readonly classWeight: 'balanced' | readonly number[] | undefined
  readonly signal: AbortSignal | undefined
  readonly onProgress: ((progress: import('../types.js').Progress) => void) | undefined
}
