/*
 * A network as the rest of the library sees it: every default filled in, every choice checked (check/config.ts makes it from a Config).
 * Plain data, so that it can be written to a file or posted to a Worker.
 */

export type HeadName = 'softmax' | 'sigmoid' | 'linear'
export type NonlinearityName = 'tanh' | 'relu' | 'sigmoid' | 'identity'
export type InitName = 'orthogonal' | 'pytorch' | 'keras' | 'identity'

export interface Network {
  /** The lecture's r: features of a step, or number of different tokens. */
  readonly input: {
    readonly size: number
    readonly tokens: boolean /** characters of the tokens, where they come from a Vocabulary */
    readonly characters?: readonly string[]
  }
  /** The lecture's s, one for each layer, lowest first. */
  readonly state: readonly number[]
  /** The lecture's t, with the head that fixes output function and loss. */
  readonly output: {
    readonly size: number
    readonly head: HeadName
    readonly labels?: readonly string[] /** labels are the characters of a Vocabulary: targets and answers may be strings of them */
    readonly characters: boolean
  }
  readonly readout: 'last' | 'all'
  readonly nonlinearity: NonlinearityName
  readonly bias: boolean | 'double'
  readonly outputBias: boolean
  readonly missing: 'error' | 'mask'
  readonly init: InitName
  readonly seed: number
}

/** Features that layer k takes: the input's for the lowest, the state below for the others. */
export const layerInput = (network: Network, k: number) => (k === 0 ? network.input.size : network.state[k - 1]!)
