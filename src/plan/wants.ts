/* What a plan is asked for (compile.ts): what it does beyond running the network forward, for how many rows, and where its data lie. */
import { NONE } from './memory.js'
import type { Optimizer } from './operations.js'

/** Room for B sequences of R rows in all. */
export interface Capacity {
  readonly B: number
  readonly R: number
}

/** Where the data of a call lie, addresses in DATA. */
export interface DataPlaces {
  /** Tokens, or dense rows of features. */
  readonly x: number
  readonly targets: number
  readonly weights: number
  /** backward(): dL/dlogits in packed rows of stride(t): [R] with readout 'all', else [B]. */
  readonly dz: number
  /** backward(): the same as [R] rows where states are given too and the readout is 'last', and dL/ds of each layer, [R] rows of stride(s_k). */
  readonly dzSteps: number
  readonly ds: readonly number[]
}
export const noData: DataPlaces = { x: NONE, targets: NONE, weights: NONE, dz: NONE, dzSteps: NONE, ds: [] }

export interface Update {
  readonly optimizer: keyof typeof Optimizer
  /** UpdateFlag bits. */
  readonly flags: number
  /** Blocks of moments in HOME, NONE where unused. */
  readonly m: number
  readonly v: number
  readonly a: number
  readonly maxNorm: number | undefined
}

export interface Wants {
  /** Prepare the weights for the kernels first: needed whenever they have changed since. */
  readonly pack?: boolean
  readonly logits?: boolean
  readonly outputs?: boolean
  readonly loss?: boolean
  /** From the loss, or from data.dz (and data.ds) without one. */
  readonly gradients?: 'fresh' | 'added'
  readonly dx?: boolean
  /** ‖dL/ds‖ for each layer and step, and dL/ds_0. */
  readonly stateGradients?: boolean
  readonly update?: Update
  /** Start from, and keep, carried states: `slots` rows for each layer, from this unit of CARRY on. */
  readonly carry?: { readonly slots: number; readonly unit: number }
  /** Go through time in stretches, with room for one of them. Not with outputs, logits, dx and stateGradients, nor gradients that are given. */
  readonly segments?: Segments
  /** Read out at other steps than the network does. */
  readonly readout?: 'last' | 'all'
}

/** How a training step goes through time (plan/memory.ts says what that takes). */
export interface Segments {
  /** Steps of a segment. */
  readonly steps: number
  /** At most so many segments in a frame: longer sequences have no room. */
  readonly most: number
  /** The states of all steps stay for the way back; otherwise those at the segments' borders, from which the others are computed anew. */
  readonly keepStates: boolean
}
