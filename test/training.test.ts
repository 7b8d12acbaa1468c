/*
 * What train() does around the updates, which are proved elsewhere: order and seeds, validation, early stopping, schedules, windows, cuts,
 * and what a run reports.
 */
import { type Progress, RNN, type RunResult } from 'bptt'
import { describe, expect, it } from 'vitest'
import type { Network } from '#lib/network/network.js'
import { split } from '#lib/training/split.js'
import { BACKENDS, onEach } from './support/targets.js'
import { hashOf, lengthsOf, sequencesOf, signs, weightsOf } from './support/tasks.js'

const x = sequencesOf(lengthsOf(30, 9), 2)
const y = signs(x)
const data = { x, y }

onEach(BACKENDS, ({ config }) => {
  const make = (more: object = {}) =>
    new RNN({ input: 2, state: 7, output: { softmax: 2 }, ...config, ...more } as never) as unknown as RNN<number, { softmax: number }>
  const sgd = { sgd: { lr: 0.1 } } as const

  /** Weights and history after training. */
  async function trained(
    options: object,
    more: object = {},
    of: object = data,
  ): Promise<{ weights: Float32Array; hash: string; result: RunResult }> {
    const model = make(more)
    const result = await model.train(of as never, options)
    const outcome = { weights: weightsOf(model), hash: hashOf(model), result }
    model.dispose()
    return outcome
  }

  it('is trainer().step() over the batches in order', async () => {
    const optimizer = { adam: { lr: 0.01, weightDecay: 0.1, amsgrad: true } } as const
    const { weights, result } = await trained({ epochs: 2, batchSize: 8, shuffle: false, optimizer, clipNorm: 0.1 })
    const model = make()
    const trainer = model.trainer({ optimizer, clipNorm: 0.1 })
    const losses: number[] = []
    let norm = 0
    for (let epoch = 0; epoch < 2; epoch++)
      for (let b = 0; b < 30; b += 8) {
        const step = await trainer.step({ x: x.slice(b, b + 8), y: y.slice(b, b + 8) })
        losses.push(step.loss * Math.min(8, 30 - b))
        norm = step.gradientNorm
      }
    expect(weightsOf(model)).toEqual(weights)
    expect(result.history[1]!.loss).toBeCloseTo(losses.slice(4).reduce((a, b) => a + b) / 30, 6)
    expect(result.history[1]!.gradientNorm).toBe(norm)
    expect(result.history[1]!.clippedShare).toBe(1)
    model.dispose()
  })

  it('has the documented defaults', async () => {
    const explicit = {
      epochs: 10,
      batchSize: 32,
      optimizer: { adam: { lr: 0.001 } },
      clipNorm: 5,
      clipValue: false,
      shuffle: true,
      seed: 0,
      keep: 'end',
    }
    const implicit = await trained({})
    expect(implicit.hash).toBe((await trained(explicit)).hash)
    expect(implicit.result.history).toHaveLength(10)
    expect(implicit.result).toMatchObject({ stopped: 'finished', truncated: 0, empty: 0 })
  })

  it('starts each run from the weights as they are, with fresh moments', async () => {
    const model = make()
    const options = { epochs: 2, optimizer: { sgd: { lr: 0.1, momentum: 0.9 } }, shuffle: false } as const
    await model.train(data, options)
    const between = weightsOf(model)
    await model.train(data, options)
    const other = make()
    other.setWeights({
      ...model.layers[0],
      U: slice(between, 0, 14, [7, 2]),
      W: slice(between, 14, 63, [7, 7]),
      b: slice(between, 63, 70, [7]),
      V: slice(between, 70, 84, [2, 7]),
      c: slice(between, 84, 86, [2]),
    } as never)
    await other.train(data, options)
    expect(weightsOf(other)).toEqual(weightsOf(model))
    model.dispose()
    other.dispose()
  })

  it('shuffles by seed, never by the clock', async () => {
    const [a, b, c, straight] = await Promise.all(
      [{ seed: 1 }, { seed: 1 }, { seed: 2 }, { shuffle: false }].map((o) => trained({ epochs: 2, batchSize: 4, ...o })),
    )
    expect(b!.hash).toBe(a!.hash)
    expect(new Set([a!.hash, c!.hash, straight!.hash]).size).toBe(3)
  })

  it('the initial weights follow config.seed and init', async () => {
    const weights = (more: object) => {
      const model = make({ state: 5, ...more })
      const { W, b } = model
      model.dispose()
      return { W: Array.from(W.data), b: Array.from(b!.data) }
    }
    expect(weights({ seed: 3 })).toEqual(weights({ seed: 3 }))
    expect(weights({ seed: 3 })).not.toEqual(weights({ seed: 4 }))
    const { W, b } = weights({})
    for (let i = 0; i < 5; i++)
      for (let j = 0; j < 5; j++)
        expect(Array.from({ length: 5 }, (_, k) => W[k * 5 + i]! * W[k * 5 + j]!).reduce((p, q) => p + q)).toBeCloseTo(i === j ? 1 : 0, 5)
    expect(b).toEqual([0, 0, 0, 0, 0])
    const pytorch = weights({ init: 'pytorch' })
    expect(Math.max(...pytorch.W.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(5))
    expect(pytorch.b.some((v) => v !== 0)).toBe(true)
    expect(weights({ init: 'identity' }).W).toEqual(Array.from({ length: 25 }, (_, i) => (i % 6 === 0 ? 1 : 0)))
  })

  describe('validation', () => {
    /** 20 sequences of one step that say who they are; labels alternate in fours. */
    const who = Array.from({ length: 20 }, (_, b) => [[b / 20, 1]])
    const labels = who.map((_, b) => (b % 4 === 0 ? 1 : 0))
    /** Trained on the complement of `held`, in this order, nothing shuffled. */
    const without = (held: number[], options: object = {}) => {
      const left = who.map((_, b) => b).filter((b) => !held.includes(b))
      return trained(
        { epochs: 1, batchSize: 32, shuffle: false, optimizer: sgd, ...options },
        {},
        { x: left.map((b) => who[b]), y: left.map((b) => labels[b]) },
      )
    }
    const run = (validation: unknown, more: object = {}) =>
      trained({ epochs: 1, batchSize: 32, shuffle: false, optimizer: sgd, validation }, {}, { x: who, y: labels, ...more })

    it("'tail' keeps the last", async () => {
      const { hash, result } = await run({ fraction: 0.25, by: 'tail' })
      expect(hash).toBe((await without([15, 16, 17, 18, 19])).hash)
      const model = make()
      const scores = { x: who.slice(15), y: labels.slice(15) }
      await model.train({ x: who.slice(0, 15), y: labels.slice(0, 15) }, { epochs: 1, batchSize: 32, shuffle: false, optimizer: sgd })
      expect(result.history[0]!.validation).toEqual(await model.evaluate(scores))
      model.dispose()
    })

    it('data of its own trains on everything', async () => {
      const { hash, result } = await run({ x: who.slice(0, 3), y: labels.slice(0, 3) })
      expect(hash).toBe((await without([])).hash)
      expect(result.history[0]!.validation!.count).toBe(3)
    })

    it('a fraction alone is stratified by class, by seed', async () => {
      const { hash, result } = await run(0.2)
      expect(result.history[0]!.validation!.count).toBe(4) // a fifth of 5 and of 15
      expect(result.history[0]!.validation!.metrics['accuracy']!.baseline).toBe(0.75)
      expect(hash).toBe((await run(0.2)).hash)
      expect(hash).not.toBe((await run({ fraction: 0.2, by: 'tail' })).hash)
    })

    it('groups are never divided', async () => {
      const groups = who.map((_, b) => `patient ${Math.floor(b / 4)}`)
      const whole = new Set(
        (await Promise.all([0, 1, 2, 3, 4].map((g) => without([0, 1, 2, 3].map((i) => g * 4 + i))))).map(({ hash }) => hash),
      )
      expect(whole.size).toBe(5)
      for (const validation of [0.2, { fraction: 0.2, by: 'group' }]) {
        const { hash, result } = await run(validation, { groups })
        expect(whole.has(hash)).toBe(true)
        expect(result.history[0]!.validation!.count).toBe(4)
      }
    })

    it("'shuffle' holds the fraction, whatever the classes", async () => {
      const { result } = await run({ fraction: 0.35, by: 'shuffle' })
      expect(result.history[0]!.validation!.count).toBe(7)
    })
  })

  describe('early stopping', () => {
    /** The learning rate makes the validation loss rise after the second epoch. */
    const schedule = (step: number) => (step < 2 ? 0.05 : -0)
    const worse = (step: number) => (step < 2 ? 0.05 : 3)
    const options = { epochs: 40, batchSize: 64, optimizer: sgd, shuffle: false, validation: { x, y }, clipNorm: false } as const

    it('waits for patience, restores the best weights, and says so', async () => {
      const { result, hash } = await trained({ ...options, schedule: worse, earlyStopping: { patience: 3 } })
      const best = result.history.reduce((a, b) => (b.validation!.loss < a.validation!.loss ? b : a))
      expect(result.stopped).toBe('early')
      expect(result.best).toEqual(best)
      expect(result.history.length).toBe(best.epoch + 3)
      expect(best.epoch).toBeLessThan(result.history.length)
      expect(hash).toBe((await trained({ ...options, schedule: worse, epochs: best.epoch })).hash)
      const last = await trained({ ...options, schedule: worse, earlyStopping: { patience: 3, restoreBest: false } })
      expect(last.hash).not.toBe(hash)
    })

    it('patience 0 and 1 both stop at the first epoch that is no better, and not before', async () => {
      for (const patience of [0, 1]) {
        const { result } = await trained({ ...options, schedule: worse, earlyStopping: { patience } })
        expect(result.best.epoch).toBeGreaterThan(1)
        expect(result.history.length).toBe(result.best.epoch + 1)
      }
    })

    it('minDelta is what counts as better', async () => {
      const { result } = await trained({ ...options, schedule, earlyStopping: { patience: 2, minDelta: 10 } })
      expect(result.history.length).toBe(3)
      expect(result.best.epoch).toBe(1)
    })

    it('without it, a run ends with its last weights', async () => {
      const { result, hash } = await trained({ ...options, schedule: worse, epochs: 5 })
      expect(result.stopped).toBe('finished')
      expect(hash).not.toBe((await trained({ ...options, schedule: worse, epochs: 2 })).hash)
    })
  })

  describe('the learning rate', () => {
    const rates = async (options: object) =>
      (await trained({ epochs: 8, batchSize: 30, optimizer: sgd, ...options })).result.history.map(({ lr }) => lr)
    it.each([
      ['constant', {}, Array(8).fill(0.1)],
      ['a function', { schedule: (step: number, steps: number) => step / steps }, [0, 1, 2, 3, 4, 5, 6, 7].map((i) => i / 8)],
      ['step', { schedule: { step: { every: 3, factor: 0.5 } } }, [0.1, 0.1, 0.1, 0.05, 0.05, 0.05, 0.025, 0.025]],
      ['exponential', { schedule: { exponential: { factor: 0.9 } } }, [0, 1, 2, 3, 4, 5, 6, 7].map((i) => 0.1 * 0.9 ** i)],
      ['cosine', { schedule: { cosine: {} } }, [0, 1, 2, 3, 4, 5, 6, 7].map((i) => 0.05 * (1 + Math.cos((Math.PI * i) / 8)))],
      [
        'cosine after warm-up',
        { schedule: { cosine: { warmup: 4 } } },
        [0.02, 0.04, 0.06, 0.08, 0.1, ...[1, 2, 3].map((i) => 0.05 * (1 + Math.cos((Math.PI * i) / 4)))],
      ],
    ])('%s', async (_, options, want) => {
      const got = await rates(options)
      got.forEach((lr, i) => expect(lr).toBeCloseTo(want[i]!, 9))
    })

    it('oneCycle rises to its peak and falls far below', async () => {
      const got = await rates({ schedule: { oneCycle: { peak: 0.5 } }, epochs: 20 })
      expect(Math.max(...got)).toBeCloseTo(0.5, 9)
      expect(got[0]).toBeCloseTo(0.02, 9)
      expect(got.at(-1)).toBeCloseTo(2e-6, 12)
    })

    it('plateau falls when the loss does not', async () => {
      const got = await rates({ schedule: { plateau: { factor: 0.5, patience: 1 } }, optimizer: { sgd: { lr: 1e-9 } } })
      expect(got).toEqual([1, 1, 1, 0.5, 0.5, 0.25, 0.25, 0.125].map((f) => f * 1e-9))
    })

    it('is what updates use', async () => {
      const schedule = (step: number) => 0.1 / (1 + step)
      const { hash } = await trained({ epochs: 3, batchSize: 30, optimizer: sgd, schedule, shuffle: false })
      const model = make()
      const trainer = model.trainer({ optimizer: sgd })
      for (let i = 0; i < 3; i++) await trainer.step(data, { lr: schedule(i) })
      expect(hashOf(model)).toBe(hash)
      model.dispose()
    })
  })

  describe('bptt', () => {
    const long = sequencesOf([9, 9, 4, 7], 2)
    const each = long.map((steps, b) => steps.map((_, i) => (b + i) % 2))
    const options = { epochs: 2, batchSize: 4, shuffle: false, optimizer: sgd }
    const all = { readout: 'all' }

    it('makes one update a window, and passes the state on as a constant', async () => {
      const { hash, result } = await trained({ ...options, bptt: { window: 4 } }, all, { x: long, y: each })
      expect(result.history[0]!.steps).toBe(6)
      const model = make(all)
      const trainer = model.trainer({ optimizer: sgd })
      for (let epoch = 0; epoch < 2; epoch++) {
        let states = long.map(() => Array(7).fill(0) as number[])
        for (const from of [0, 4, 8]) {
          const rows = [0, 1, 2, 3].filter((b) => long[b]!.length > from)
          const cut = <T>(list: T[][]) => rows.map((b) => list[b]!.slice(from, from + 4))
          const { finalState } = await trainer.step({ x: cut(long), y: cut(each) } as never, { initialState: rows.map((b) => states[b]!) })
          states = states.map((state, b) =>
            rows.includes(b) ? Array.from(finalState.layers[0]!.s.data.slice(rows.indexOf(b) * 7, rows.indexOf(b) * 7 + 7)) : state,
          )
        }
      }
      expect(hashOf(model)).toBe(hash)
      model.dispose()
    })

    it('a window as long as the sequences is none', async () => {
      expect((await trained({ ...options, bptt: { window: 9 } }, all, { x: long, y: each })).hash).toBe(
        (await trained(options, all, { x: long, y: each })).hash,
      )
    })

    it('a stride below the window, and no carried state, are other gradients', async () => {
      const hashes = await Promise.all(
        [{ window: 4 }, { window: 4, stride: 2 }, { window: 4, carryState: false }].map(
          async (bptt) => (await trained({ ...options, bptt }, all, { x: long, y: each })).hash,
        ),
      )
      expect(new Set(hashes).size).toBe(3)
    })

    it("with readout 'last' goes back over the last window only", async () => {
      const { hash } = await trained({ ...options, bptt: { window: 3 } }, {}, { x: long, y: [0, 1, 0, 1] })
      const model = make()
      const trainer = model.trainer({ optimizer: sgd })
      for (let epoch = 0; epoch < 2; epoch++) {
        const lead = await model.forward(long.map((steps) => steps.slice(0, -3)))
        await trainer.step({ x: long.map((steps) => steps.slice(-3)), y: [0, 1, 0, 1] }, { initialState: lead.finalState })
      }
      expect(hashOf(model)).toBe(hash)
      model.dispose()
    })
  })

  it('maxLength cuts the start away, or the end, and counts what it cut', async () => {
    const long = sequencesOf([9, 2, 6], 2)
    const [end, start] = await Promise.all(
      (['end', 'start'] as const).map((keep) => trained({ epochs: 1, maxLength: 4, keep }, {}, { x: long, y: [0, 1, 0] })),
    )
    expect(end!.result.truncated).toBe(2)
    expect(end!.hash).toBe((await trained({ epochs: 1 }, {}, { x: long.map((s) => s.slice(-4)), y: [0, 1, 0] })).hash)
    expect(start!.hash).toBe((await trained({ epochs: 1 }, {}, { x: long.map((s) => s.slice(0, 4)), y: [0, 1, 0] })).hash)
  })

  it('weight decay spares the biases unless it is told otherwise', async () => {
    const still = { x: [[[0, 0]]], y: [0], sampleWeights: [0] }
    const decayed = async (decayBiases?: boolean) => {
      const model = make()
      model.setWeights({ b: Array(7).fill(1), W: Array(49).fill(1) } as never)
      await model
        .trainer({ optimizer: { sgd: { lr: 0.5, weightDecay: 0.1, ...(decayBiases !== undefined && { decayBiases }) } } })
        .step(still)
      const both = [model.W.data[0], model.b!.data[0]]
      model.dispose()
      return both
    }
    expect(await decayed()).toEqual([Math.fround(0.95), 1])
    expect(await decayed(true)).toEqual([Math.fround(0.95), Math.fround(0.95)])
  })

  it('clipNorm bounds the step, and the report tells', async () => {
    const model = make()
    const before = weightsOf(model)
    const { history } = await model.train(data, { epochs: 1, batchSize: 30, optimizer: { sgd: { lr: 1 } }, clipNorm: 1e-3 })
    const moved = Math.hypot(...weightsOf(model).map((w, i) => w - before[i]!))
    expect(moved).toBeCloseTo(1e-3, 5)
    expect(history[0]).toMatchObject({ clippedShare: 1 })
    expect(history[0]!.gradientNorm).toBeGreaterThan(1e-3)
    model.dispose()
  })

  it('reports whole epochs: numbers that fit together', async () => {
    const seen: Progress[] = []
    const { result } = await trained({ epochs: 4, batchSize: 7, onProgress: (p: Progress) => void seen.push(p) })
    expect(result.history.map(({ epoch, epochs, step, steps }) => [epoch, epochs, step, steps])).toEqual(
      [1, 2, 3, 4].map((e) => [e, 4, 5 * e, 20]),
    )
    for (const p of result.history) {
      expect(p.loss).toBeGreaterThan(0)
      expect(p.sequencesPerSecond).toBeGreaterThan(0)
      expect(p.metrics['accuracy']!.value).toBeGreaterThanOrEqual(0)
      expect(p.metrics['accuracy']!.baseline).toBeGreaterThanOrEqual(0.5)
    }
    expect(result.history.at(-1)!.etaSeconds).toBe(0)
    expect(result.best).toEqual(result.history.reduce((a, b) => (b.loss < a.loss ? b : a)))
    expect(seen.at(-1)).toMatchObject({ epoch: 4, step: 20 })
  })
})

function slice(weights: Float32Array, from: number, to: number, shape: number[]) {
  return { data: weights.slice(from, to), shape }
}

it('validation by group or class does not look at all sequences once for each', () => {
  const count = 100_000 // once for each takes half a minute
  const values = Int32Array.from({ length: count }, (_, id) => id >> 2)
  const network = { output: { head: 'softmax', size: count }, readout: 'last' } as Network
  const request = { fraction: 0.25, by: 'auto', seed: 0 } as const
  const begin = performance.now()
  for (const groups of [values, undefined]) {
    const { validation } = split(network, count, { values, weights: new Float32Array(count).fill(1) }, { ...request, groups })
    expect(validation.length).toBe(count / 4)
  }
  expect(performance.now() - begin).toBeLessThan(5000)
})
