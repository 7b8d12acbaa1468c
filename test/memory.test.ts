/*
 * memory: what a run may take outside of JavaScript, and memory(), which says it. Less memory is the same bits; √T of it is enough; a
 * limit that is too low says the least; what memory() says is what the engine has, in its regions and in the process.
 */
import { type BpttError, type Memory, RNN, type TrainOptions } from 'bptt'
import { describe, expect, it } from 'vitest'
import { readConfig } from '#lib/check/config.js'
import { Core } from '#lib/model/core.js'
import { compile } from '#lib/plan/compile.js'
import { Layout } from '#lib/plan/layout.js'
import { NONE } from '#lib/plan/memory.js'
import { chooseSegments } from '#lib/plan/segments.js'
import { noData } from '#lib/plan/wants.js'
import { train } from '#lib/training/train.js'
import { inChild } from './support/child.js'
import { errorOf } from './support/mistakes.js'
import { BACKENDS, onEach, TARGETS } from './support/targets.js'
import { lengthsOf, sequencesOf, tokensOf, weightsOf } from './support/tasks.js'

type Options = TrainOptions<never>
const lengths = lengthsOf(13, 23)
const x = sequencesOf(lengths, 5)
const manyRows = sequencesOf(
  Array.from({ length: 520 }, () => 9),
  1,
)
const classes = (n: number) => lengths.map((_, b) => (b * 5) % n)
const perStep = (n: number) => lengths.map((length, b) => Array.from({ length }, (_, i) => (i % 7 === 3 ? null : (b + i) % n)))
const run = { epochs: 2, batchSize: 4, optimizer: { adam: { lr: 0.01 } } } as const
/** Networks and data of many kinds. */
type Any = any

const tasks: Record<string, { config: Any; data: Any; options?: Options }> = {
  'read out at the end': { config: { input: 5, state: 20, output: 3 }, data: { x, y: classes(3) } },
  'read out at every step, stacked': {
    config: { input: 5, state: [18, 7], output: 4, readout: 'all', bias: 'double', nonlinearity: 'relu' },
    data: { x, y: perStep(4) },
  },
  tokens: {
    config: { input: { tokens: 11 }, state: 33, output: { sigmoid: 2 } },
    data: { x: tokensOf(lengths, 11), y: lengths.map((n) => [n % 2, n % 3 ? 1 : 0]) },
  },
  'windows that overlap, the state carried': {
    config: { input: 5, state: [9, 16], output: { linear: 1 }, readout: 'all' },
    data: { x, y: x.map((steps) => steps.map(([first]) => first!)) },
    options: { bptt: { window: 7, stride: 4 } },
  },
  'the last window, the state carried to it': {
    config: { input: 5, state: 12, output: 3 },
    data: { x, y: classes(3) },
    options: { bptt: { window: 6 } },
  },
  'segments of so many rows that each packs anew': {
    config: { input: 1, state: [5, 6], output: { linear: 1 }, readout: 'all' },
    data: { x: manyRows, y: manyRows },
    options: { batchSize: 520 },
  },
}

/** Weights and losses after a run. */
async function trained(config: Any, data: Any, options: Options): Promise<string> {
  const model = new RNN(config)
  const { history } = await model.train(data, { ...run, ...options })
  const weights = weightsOf(model)
  model.dispose()
  return JSON.stringify([Array.from(weights), history.map(({ loss, gradientNorm }) => [loss, gradientNorm])])
}

/** The least that the message of a limit too low says. */
const leastOf = (error: Error) => Number(/at least (\d+) bytes/.exec(error.message)?.[1])

onEach(TARGETS, ({ config: target }) => {
  it.each(Object.entries(tasks))('gives the same bits in any memory: %s', async (_, { config, data, options }) => {
    const net = { ...config, ...target }
    const full = await trained(net, data, { ...options })
    expect(await trained(net, data, { ...options, memory: 'low' })).toBe(full)
    const error = (await errorOf(() => trained(net, data, { ...options, memory: 1 }))) as BpttError
    expect([error.code, error.at, error.received]).toEqual(['ERR_OUT_OF_RANGE', 'options.memory', '1 bytes'])
    const least = leastOf(error)
    expect(least).toBeGreaterThan(1000)
    for (const memory of [least, Math.ceil(least * 1.05), least * 10]) expect(await trained(net, data, { ...options, memory })).toBe(full)
    expect(leastOf(await errorOf(() => trained(net, data, { ...options, memory: least - 1 })))).toBe(least)
  })

  it('gives the same bits to a trainer, and the state that it leaves', async () => {
    const { config, data } = tasks['read out at every step, stacked']!
    const [full, low] = await Promise.all(
      (['full', 'low'] as const).map(async (memory) => {
        const model = new RNN({ ...config, ...target }) as Any
        const trainer = model.trainer({ memory })
        const first = await trainer.step(data)
        const second = await trainer.step(data, { initialState: first.finalState })
        const weights = Array.from(weightsOf(model))
        model.dispose()
        return JSON.stringify([first, second, weights])
      }),
    )
    expect(low).toBe(full)
  })
})

describe('a limit', () => {
  const data = { x, y: classes(3) }
  const model = () => new RNN({ input: 5, state: 20, output: 3, backend: 'reference' })

  it('changes nothing where it is too low: the next run has the bits of a first one', async () => {
    const [tried, fresh] = [model(), model()]
    await expect(tried.train(data, { ...run, memory: 100 })).rejects.toMatchObject({ code: 'ERR_OUT_OF_RANGE' })
    await tried.train(data, run)
    await fresh.train(data, run)
    expect(weightsOf(tried)).toEqual(weightsOf(fresh))
    expect(tried.memory()).toEqual(fresh.memory())
  })

  it.each([0, -1, Number.NaN, Infinity, 'little', '1e6', null, true])('is no %s', async (memory) => {
    await expect(model().train(data, { memory } as Any)).rejects.toMatchObject({ at: 'options.memory' })
    expect(() => model().trainer({ memory } as Any)).toThrow(/options\.memory/)
    expect(() => model().memory({ length: 3, memory } as Any)).toThrow(/options\.memory/)
  })
})

onEach(BACKENDS, ({ config: target }) => {
  it('reads weights into the array of those before, unless somebody holds them', async () => {
    const { network, ...runtime } = readConfig({ input: 5, state: 20, output: 3, ...target })
    const core = new Core(network, runtime)
    const once = () => train(() => core, { x, y: classes(3) }, { epochs: 1 })
    const first = core.weights()
    const drawn = first.slice()
    await once()
    if (target.backend === 'native') expect(core.weights()).toBe(first)
    const held = core.held()!
    const then = held.slice()
    expect(then).not.toEqual(drawn)
    await once()
    expect(held).toEqual(then)
    expect(core.weights()).not.toEqual(then)
    const last = core.weights()
    await once()
    if (target.backend === 'native') expect(core.weights()).toBe(last)
    core.dispose()
  })
})

describe('low memory', () => {
  const update = { optimizer: 'SGD', flags: 0, m: NONE, v: NONE, a: NONE, maxNorm: undefined } as const
  const bytes = (T: number, budget: 'full' | 'low', more: Any = {}) => {
    const layout = new Layout(readConfig({ input: 8, state: 256, output: 3, ...more }).network)
    const capacity = { B: 32, R: 32 * T }
    const wants = { loss: true, gradients: 'fresh', update } as const
    const { segments } = chooseSegments(layout, wants, capacity, noData, T, budget)
    return compile(layout, { ...wants, ...(segments && { segments }) }, capacity, noData).scratchBytes
  }

  it.each([{}, { state: [256, 64] }, { input: { tokens: 40 } }])('grows with the root of the steps: %j', (more) => {
    for (const T of [1024, 4096, 16384]) {
      const ratio = bytes(4 * T, 'low', more) / bytes(T, 'low', more)
      expect(ratio).toBeGreaterThan(1.8)
      expect(ratio).toBeLessThan(2.2)
    }
    expect(bytes(1000, 'low', more)).toBeLessThan(bytes(1000, 'full', more) / 9)
  })

  it('takes no more than all at once where sequences are short', () => {
    for (const T of [1, 2, 3, 5]) expect(bytes(T, 'low')).toBeLessThanOrEqual(bytes(T, 'full'))
  })

  it('is found soon, however many steps there are', () => {
    const layout = new Layout(readConfig({ input: 1, state: 8, output: 2 }).network)
    const T = 2e6 // with the packed forms worked out for each length, half a minute
    const begin = performance.now()
    chooseSegments(layout, { pack: true, loss: true, gradients: 'fresh', update }, { B: 1, R: T }, noData, T, 'low')
    expect(performance.now() - begin).toBeLessThan(4000)
  })

  it('keeps little more than the states where it need not be low', () => {
    const states = 32 * 256 * 4 * 8192
    expect(bytes(8192, 'full') / states).toBeLessThan(1.1)
  })
})

describe('memory()', () => {
  const steps = 40
  const many = 30
  const data = { x: sequencesOf(Array(many).fill(steps), 5), y: Array.from({ length: many }, (_, b) => b % 3) }
  const config = { input: 5, state: 20, output: 3 } as const

  onEach(BACKENDS, ({ config: target }) => {
    it('says before a run what the engine has after it', async () => {
      const none = new RNN({ ...config, ...target }).memory()
      expect(none.total).toBe(0)
      for (const memory of ['full', 'low'] as const)
        for (const optimizer of [{ adam: {} }, { sgd: { lr: 0.1 } }, { adam: { amsgrad: true } }]) {
          const model = new RNN({ ...config, ...target })
          const asked = model.memory({ batchSize: 8, length: steps, sequences: many, memory, optimizer })
          await model.train(data, { batchSize: 8, epochs: 1, memory, optimizer })
          expect(model.memory()).toEqual(asked)
          model.dispose()
        }
    })

    it('answers for a sequence of any length in the memory of a stretch, with the same bits', async () => {
      const steps = 24_000 // of 128 units: more than are worth having at a time
      const model = new RNN({ input: 1, state: 128, output: 3, init: 'pytorch', ...target })
      const x = [Float32Array.from({ length: steps }, (_, i) => Math.sin(i * i))]
      const [answer] = await model.predictMany(x)
      const { loss } = await model.evaluate({ x, y: [1] })
      expect(model.memory().states).toBeLessThan(0.8 * steps * 128 * 4)
      const { outputs } = await model.forward(x)
      expect(answer!.probabilities).toEqual(outputs.data)
      expect(loss).toBeCloseTo(-Math.log(outputs.data[1]!), 5)
      model.dispose()
    })

    it('says what an answer takes', async () => {
      const model = new RNN({ ...config, ...target })
      const asked = model.memory({ batchSize: many, length: steps, task: 'predict' })
      await model.predictMany(data.x)
      expect(model.memory()).toEqual(asked)
    })
  })

  it('adds up, and is a table as a string', () => {
    const asked = new RNN({ ...config, backend: 'reference' }).memory({ length: 10 })
    const { total, ...purposes } = asked
    expect(Object.values(purposes).reduce((sum, size) => sum + size)).toBe(total)
    expect(Object.keys(asked)).toEqual(['parameters', 'gradients', 'moments', 'packed', 'data', 'states', 'workspace', 'total'])
    expect(String(asked).split('\n')).toHaveLength(8)
    expect(String(asked)).toMatch(/^parameters +\d[\d.]* kB$/m)
  })

  it('wants to know how long', () => {
    expect(() => new RNN(config).memory({} as Any)).toThrow(/options\.length/)
    expect(() => new RNN(config).memory({ length: 3, steps: 3 } as Any)).toThrow(/options\.steps/)
  })

  // What the process grows by, in whole: JavaScript has the data and the weights once more, and its own heap.
  it.runIf(process.platform === 'linux')(
    'is what the process grows by',
    async () => {
      const program = `
      const make = () => new RNN({ input: 32, state: 256, output: 3, backend: process.argv.at(-2), threads: 1, init: 'pytorch' })
      const data = { x: { data: new Float32Array(32 * 300 * 32).fill(0.1), shape: [32, 300, 32] }, y: new Int32Array(32) }
      const peak = () => Number(/VmHWM:\\s*(\\d+)/.exec(require('fs').readFileSync('/proc/self/status', 'utf8'))[1]) * 1024
      await new RNN({ input: 1, state: 1, output: 2, backend: process.argv.at(-2) }).predict([1])
      const before = peak(), memory = process.argv.at(-1), model = make()
      await model.train(data, { epochs: 1, memory })
      console.log(JSON.stringify({ grown: peak() - before, ...model.memory() }))`
      for (const backend of ['native', 'wasm'])
        for (const memory of ['full', 'low']) {
          const { code, output } = await inChild(program, ['--no-warnings'], 60_000, [backend, memory])
          expect(code, output).toBe(0)
          const { grown, total, states } = JSON.parse(output) as Memory & { grown: number }
          console.log(
            `${backend}, ${memory}: the process grew by ${(grown / 1e6).toFixed(1)} MB, memory() says ${(total / 1e6).toFixed(1)} MB, states ${(states / 1e6).toFixed(1)} MB`,
          )
          expect(grown).toBeGreaterThan(states)
          expect(grown).toBeLessThan(1.5 * total + 24e6)
        }
    },
    120_000,
  )
})
