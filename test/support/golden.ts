/* Runs of 100 updates and the hashes of the weights that they end with, by class of arithmetic: in Node, in Workers, in browsers. */
import { lengthsOf, sequencesOf, tokensOf } from './tasks.js'
import { mulberry32 } from './vectors.js'

/** Each 100 updates: 4 batches of 16 from 53 sequences in 25 epochs, or as many windows. */
const lengths = lengthsOf(53, 11)
const next = mulberry32(5)
const perStep = <T>(value: () => T) => lengths.map((length) => Array.from({ length }, value))
export const runs = {
  'stacked, softmax at the end, adam': {
    config: { input: 5, state: [19, 10], output: 4, seed: 11 },
    data: { x: sequencesOf(lengths, 5), y: lengths.map((_, b) => b % 4) },
    options: { epochs: 25, batchSize: 16, seed: 3 },
  },
  'tokens, relu, linear at every step, nesterov, weights': {
    config: {
      input: { tokens: 9 },
      state: 33,
      output: { linear: 3 },
      readout: 'all',
      nonlinearity: 'relu',
      bias: 'double',
      init: 'pytorch',
    },
    data: {
      x: tokensOf(lengths, 9),
      y: perStep(() => [next() % 7, next() % 5, 1].map((v) => v / 7)),
      sampleWeights: lengths.map((_, b) => (b % 3) / 2),
    },
    options: {
      epochs: 25,
      batchSize: 16,
      optimizer: { sgd: { lr: 0.02, momentum: 0.9, nesterov: true, weightDecay: 0.01 } },
      clipNorm: 0.5,
    },
  },
  'sigmoid, truncated, rmsprop, cosine': {
    config: { input: 3, state: 17, output: { sigmoid: 2 }, readout: 'all', nonlinearity: 'sigmoid' },
    data: {
      x: sequencesOf(Array(16).fill(20), 3),
      y: Array.from({ length: 16 }, () => Array.from({ length: 20 }, () => [next() % 2, next() % 2])),
    },
    options: {
      epochs: 25,
      batchSize: 16,
      optimizer: { rmsprop: { centered: true, momentum: 0.5 } },
      bptt: { window: 7, stride: 5 },
      schedule: { cosine: { warmup: 10 } },
    },
  },
} as const

/** In the order of `runs`. A new hash here means that trained weights change for every user: say so in CHANGELOG.md. */
export const GOLDEN = {
  'mul-add': ['7bbd50954896cdfa', 'ebd87b481e85047c', '43ab7fcfce385597'],
  fma: ['7a7c6323f1aab06e', '0e23e5b533425a50', '6a8c507b3adf9544'],
}
