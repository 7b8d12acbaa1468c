/*
 * The promise of docs/numerics.md: the same bits after 100 updates on every backend, instruction set and number of threads of a class of
 * arithmetic. The reference is one of class mul-add; class fma is held to the reference with exactly emulated fused operations.
 */
import { RNN } from 'bptt'
import { expect, it } from 'vitest'
import type { Engine, Job } from '#lib/backends/engine.js'
import { readConfig } from '#lib/check/config.js'
import { Core } from '#lib/model/core.js'
import { weightTensors } from '#lib/model/weights.js'
import { createFused } from '#lib/reference/engine.js'
import { train } from '#lib/training/train.js'
import { BACKENDS, onEach, TARGETS } from './support/targets.js'
import { hashOf, lengthsOf, sequencesOf, tokensOf } from './support/tasks.js'
import { mulberry32 } from './support/vectors.js'

/** Each 100 updates: 4 batches of 16 from 53 sequences in 25 epochs, or as many windows. */
const lengths = lengthsOf(53, 11)
const next = mulberry32(5)
const perStep = <T>(value: () => T) => lengths.map((length) => Array.from({ length }, value))
const runs = {
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
const GOLDEN = {
  'mul-add': ['7bbd50954896cdfa', 'ebd87b481e85047c', '43ab7fcfce385597'],
  fma: ['7a7c6323f1aab06e', '0e23e5b533425a50', '6a8c507b3adf9544'],
}

onEach(TARGETS, ({ config, arithmetic }) => {
  for (const threads of config.backend === 'native' ? [1, 2, 3, 8] : [1])
    it.each(Object.keys(runs).map((name, i) => [name, i] as const))(`${threads} thread${threads > 1 ? 's' : ''}: %s`, async (name, i) => {
      const run = runs[name as keyof typeof runs]
      const model = new RNN({ ...run.config, ...config, threads } as never)
      await model.train(run.data as never, run.options as never)
      expect(hashOf(model)).toBe(GOLDEN[arithmetic][i])
      model.dispose()
    })
})

it.each(Object.keys(runs).map((name, i) => [name, i] as const))(
  'class fma is what exact fused operations give: %s',
  async (name, i) => {
    const run = runs[name as keyof typeof runs]
    const { network, ...runtime } = readConfig({ ...run.config, backend: 'reference' })
    const core = new Core(network, runtime)
    const oracle = createFused()
    const engine: Engine = { description: oracle.description, submit: async (job: Job) => oracle.run(job), stop() {}, dispose() {} }
    Object.assign(core, { engine })
    await train(() => core, run.data, run.options)
    expect(hashOf(weightTensors(core.layout.table, core.weights()))).toBe(GOLDEN.fma[i])
  },
  60_000,
)

/** Sizes at which work is really divided among threads and blocks, too slow for the reference. */
onEach(BACKENDS.slice(0, 2), ({ config }) => {
  it('large layers do not depend on the number of threads, nor on the backend', async () => {
    const hashes = new Set<string>()
    for (const threads of config.backend === 'native' ? [1, 2, 3, 8] : [1]) {
      const model = new RNN({ input: 40, state: 150, output: 60, readout: 'all', ...config, threads, numerics: 'portable' })
      const some = lengthsOf(70, 13)
      await model.train({ x: sequencesOf(some, 40), y: tokensOf(some, 60) }, { epochs: 1, batchSize: 35 })
      hashes.add(hashOf(model))
      model.dispose()
    }
    expect([...hashes]).toEqual(['9e7912a21980f334'])
  })
})
