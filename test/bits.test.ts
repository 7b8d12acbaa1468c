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
import { GOLDEN, runs } from './support/golden.js'
import { BACKENDS, onEach, TARGETS } from './support/targets.js'
import { hashOf, lengthsOf, sequencesOf, tokensOf } from './support/tasks.js'

onEach(TARGETS, ({ config, arithmetic }) => {
  for (const threads of config.backend === 'native' ? [1, 2, 3, 8] : config.backend === 'wasm' ? [1, 2] : [1])
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
    for (const threads of config.backend === 'native' ? [1, 2, 3, 8] : config.backend === 'wasm' ? [1, 2] : [1]) {
      const model = new RNN({ input: 40, state: 150, output: 60, readout: 'all', ...config, threads, numerics: 'portable' })
      const some = lengthsOf(70, 13)
      await model.train({ x: sequencesOf(some, 40), y: tokensOf(some, 60) }, { epochs: 1, batchSize: 35 })
      hashes.add(hashOf(model))
      model.dispose()
    }
    expect([...hashes]).toEqual(['9e7912a21980f334'])
  })
})

/** A batch too small to be divided by sequences: native threads divide the units of a step, and must not show it. */
onEach(BACKENDS.slice(0, 2), ({ config }) => {
  it.each([1, 2, 3])('few sequences of a large layer do not depend on the number of threads, nor on memory: %i', async (batchSize) => {
    const hashes = new Set<string>()
    for (const threads of config.backend === 'native' ? [1, 2, 3, 5] : [1, 2])
      for (const memory of ['full', 'low'] as const) {
        const model = new RNN({ input: 7, state: 520, output: 3, readout: 'all', ...config, threads, numerics: 'portable' })
        const some = lengthsOf(4, 20)
        await model.train({ x: sequencesOf(some, 7), y: tokensOf(some, 3) }, { epochs: 1, batchSize, memory })
        hashes.add(hashOf(model))
        model.dispose()
      }
    expect(hashes.size).toBe(1)
  })
})
