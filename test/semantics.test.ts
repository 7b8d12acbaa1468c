/*
 * What masks, missing readings, empty sequences, weights and targets that do not count mean: as features of results, and against the
 * formulas written out. How they are read from users' arrays is tested with sequences and targets.
 */
import { RNN, text } from 'bptt'
import { describe, expect, it } from 'vitest'
import { BACKENDS, onEach } from './support/targets.js'
import { sequencesOf, signs } from './support/tasks.js'

onEach(BACKENDS, ({ config }) => {
  const make = (more: object = {}) =>
    new RNN({ input: 3, state: 8, output: { softmax: 4 }, readout: 'all', ...config, ...more } as never) as unknown as RNN
  const x = sequencesOf([6, 3, 5], 3)
  const y = x.map((steps, b) => steps.map((_, i) => (b + i) % 4))
  const keep = [
    [1, 0, 0, 1, 1, 0],
    [0, 1, 1],
    [1, 1, 1, 1, 1],
  ]
  const kept = <T>(list: T[][]) => list.map((steps, b) => steps.filter((_, i) => keep[b]![i]))

  describe('a masked step', () => {
    it('keeps the state, so everything is as if it were not there', async () => {
      const model = make()
      const masked = await model.gradients({ x, y, mask: keep })
      const short = await model.gradients({ x: kept(x), y: kept(y) })
      expect(masked.loss).toBe(short.loss)
      expect((masked.gradients as never as { W: unknown }).W).toEqual((short.gradients as never as { W: unknown }).W)
      expect(masked.finalState).toEqual(short.finalState)
      const [dx, T] = [masked.gradients.x.data, 6]
      keep.forEach((row, b) =>
        row.forEach((use, i) => !use && expect(Array.from(dx.subarray((b * T + i) * 3, (b * T + i + 1) * 3))).toEqual([0, 0, 0])),
      )
      expect(masked.stateGradientNorms[0]!.data[1]).toBe(masked.stateGradientNorms[0]!.data[2])
      model.dispose()
    })

    it('is the same in training, evaluation and by NaN', async () => {
      const results: unknown[] = []
      const gaps = x.map((steps, b) => steps.map((step, i) => (keep[b]![i] ? step : [step[0], Number.NaN, step[2]])))
      for (const data of [
        { x, y, mask: keep },
        { x: kept(x), y: kept(y) },
        { x: gaps, y },
      ]) {
        const model = make({ missing: 'mask' })
        await model.train(data as never, { epochs: 3, batchSize: 2 })
        results.push([Array.from(model.W.data), await model.evaluate(data as never)])
        model.dispose()
      }
      expect(results[1]).toEqual(results[0])
      expect(results[2]).toEqual(results[0])
    })

    it('shows the state and the answer that it keeps; only padding is 0', async () => {
      const model = make({ missing: 'mask' })
      const gaps = x.map((steps, b) => steps.map((step, i) => (keep[b]![i] ? step : [Number.NaN, 0, 0])))
      const initialState = [1, 2, 3].map((v) => Array(8).fill(v / 4))
      const { states, outputs, logits } = await model.forward(gaps, { initialState })
      const row = (tensor: { data: Float32Array }, b: number, i: number, size: number) =>
        Array.from(tensor.data.subarray((b * 6 + i) * size, (b * 6 + i + 1) * size))
      expect(row(states[0]!, 0, 1, 8)).toEqual(row(states[0]!, 0, 0, 8))
      expect(row(outputs, 0, 2, 4)).toEqual(row(outputs, 0, 0, 4))
      expect(row(states[0]!, 1, 0, 8)).toEqual(initialState[1])
      const [, V, c] = [0, model.V.data, model.c!.data]
      row(logits, 1, 0, 4).forEach((z, n) =>
        expect(z).toBeCloseTo(
          initialState[1]!.reduce((sum, s, j) => sum + s * V[n * 8 + j]!, c[n]!),
          5,
        ),
      )
      expect(row(states[0]!, 1, 4, 8)).toEqual(Array(8).fill(0))
      expect(row(outputs, 1, 4, 4)).toEqual([0, 0, 0, 0])
      model.dispose()
    })
  })

  it('an empty sequence keeps its initial state, answers from it, and counts nowhere', async () => {
    const model = make({ readout: 'last', output: { softmax: 2 } })
    const [full, none] = [sequencesOf([4, 2], 3), []]
    const data = { x: [full[0]!, none, full[1]!], y: [1, 0, 0] }
    const initialState = [0, 1, 2].map((v) => Array(8).fill(v / 2))
    const { finalState, outputs } = await model.forward(data.x, { initialState })
    expect(Array.from(finalState.layers[0]!.s.data.subarray(8, 16))).toEqual(initialState[1])
    expect(outputs.data[2]! + outputs.data[3]!).toBeCloseTo(1, 6)
    const scores = await model.evaluate(data)
    expect(scores).toEqual(await model.evaluate({ x: [full[0]!, full[1]!], y: [1, 0] }))
    expect(scores.count).toBe(2)
    expect(await model.train(data, { epochs: 1 })).toMatchObject({ empty: 1, truncated: 0 })
    const all = make()
    expect(await all.predictMany([[], full[1]!])).toMatchObject([[], [{ kind: 'softmax' }, { kind: 'softmax' }]])
    expect(await all.predictMany([])).toEqual([])
    model.dispose()
    all.dispose()
  })

  it('sequences that are all empty have a gradient of 0, over windows too', async () => {
    const model = make()
    const { loss, finalState, stateGradientNorms } = await model.gradients({ x: [[], []], y: [[], []] }, { bptt: { window: 2 } })
    expect({ loss, norms: Array.from(stateGradientNorms[0]!.data) }).toEqual({ loss: 0, norms: [0, 0] })
    expect(finalState.layers[0]!.s.shape).toEqual([2, 8])
    model.dispose()
  })

  it('a batch in which nothing counts has loss 0, gradient 0, and changes nothing', async () => {
    const model = make()
    const before = Array.from(model.W.data)
    const nothing = { x, y: x.map((steps) => steps.map(() => null)) } as never
    const { loss, gradients } = await model.gradients(nothing)
    expect(loss).toBe(0)
    expect((gradients as never as { V: { data: Float32Array } }).V.data.every((v) => v === 0)).toBe(true)
    expect(await model.evaluate(nothing)).toMatchObject({ loss: 0, count: 0 })
    expect(await model.trainer({ optimizer: { sgd: { lr: 1 } } }).step(nothing)).toMatchObject({ loss: 0, gradientNorm: 0 })
    expect(Array.from(model.W.data)).toEqual(before)
    model.dispose()
  })

  it('null, -100 in integer arrays, and a step weight of 0 are the same', async () => {
    const model = make()
    const out = (b: number, i: number) => (b + 2 * i) % 3 === 0
    const padded = new Int32Array(3 * 6).fill(3)
    y.forEach((row, b) => row.forEach((v, i) => (padded[b * 6 + i] = out(b, i) ? -100 : v)))
    const loss = async (data: object) => (await model.gradients({ x, ...data } as never)).gradients
    const first = await loss({ y: y.map((row, b) => row.map((v, i) => (out(b, i) ? null : v))) })
    expect(await loss({ y: { data: padded, shape: [3, 6] } })).toEqual(first)
    expect(await loss({ y: y.map((row, b) => Int16Array.from(row, (v, i) => (out(b, i) ? -100 : v))) })).toEqual(first)
    expect(await loss({ y, stepWeights: y.map((row, b) => row.map((_, i) => (out(b, i) ? 0 : 1))) })).toEqual(first)
    expect(await loss({ y })).not.toEqual(first)
    model.dispose()
  })

  describe('the loss is Σwℓ / Σw', () => {
    const sampleWeights = [2, 0, 0.5]
    const stepWeights = y.map((row) => row.map((_, i) => 1 + (i % 3)))
    const weight = (b: number, i: number) => sampleWeights[b]! * stepWeights[b]![i]!

    it.each([
      [
        'softmax',
        { softmax: 4 },
        y as unknown[][],
        (z: number[], t: number) => Math.log(z.reduce((a, v) => a + Math.exp(v), 0)) - z[t]!,
        1,
      ],
      [
        'sigmoid',
        { sigmoid: 2 },
        y.map((row) => row.map((v) => [v % 2, v / 4])),
        (z: number[], t: number[]) => z.reduce((a, v, j) => a + Math.log1p(Math.exp(v)) - t[j]! * v, 0),
        2,
      ],
      [
        'linear',
        { linear: 2 },
        y.map((row) => row.map((v) => [v, -v])),
        (z: number[], t: number[]) => z.reduce((a, v, j) => a + (v - t[j]!) ** 2, 0),
        2,
      ],
    ] as const)('of %s', async (_, output, targets, row, scalars) => {
      const model = make({ output })
      const { logits } = await model.forward(x)
      const O = logits.shape[2]!
      let [sum, weights, count] = [0, 0, 0]
      x.forEach((steps, b) =>
        steps.forEach((_, i) => {
          sum +=
            weight(b, i) *
            (row as (z: number[], t: unknown) => number)(
              Array.from(logits.data.subarray((b * 6 + i) * O, (b * 6 + i + 1) * O)),
              targets[b]![i],
            )
          weights += weight(b, i) * scalars
          count += weight(b, i) === 0 ? 0 : scalars
        }),
      )
      const data = { x, y: targets, sampleWeights, stepWeights } as never
      expect((await model.gradients(data)).loss).toBeCloseTo(sum / weights, 5)
      expect((await model.gradients(data, { reduction: 'sum' })).loss).toBeCloseTo(sum, 4)
      const scores = await model.evaluate(data)
      expect(scores.loss).toBeCloseTo(sum / weights, 5)
      expect(scores.count).toBe(count)
      expect((await model.trainer({ optimizer: { sgd: { lr: 0 } } }).step(data)).loss).toBeCloseTo(sum / weights, 5)
      model.dispose()
    })

    it('a sample that weighs 2 is a sample that is there twice', async () => {
      const model = make()
      const twice = await model.gradients({ x: [x[0]!, x[0]!, x[1]!], y: [y[0]!, y[0]!, y[1]!] })
      const heavy = await model.gradients({ x: [x[0]!, x[1]!], y: [y[0]!, y[1]!], sampleWeights: [2, 1] })
      expect(heavy.loss).toBeCloseTo(twice.loss, 6)
      model.dispose()
    })

    it('classWeight weighs by class, balanced by how rare it is', async () => {
      const rows = sequencesOf([3, 3, 3, 3], 3)
      const labels = ['a', 'b', 'a', 'a']
      const run = async (data: object, options: object) => {
        const model = make({ output: ['a', 'b'], readout: 'last' })
        await model.train(
          { x: rows, y: labels, ...data } as never,
          { epochs: 1, clipNorm: false, optimizer: { sgd: { lr: 0.5 } }, ...options } as never,
        )
        const weights = Array.from(model.V.data)
        model.dispose()
        return weights
      }
      expect(await run({}, { classWeight: { b: 3 } })).toEqual(await run({ sampleWeights: [1, 3, 1, 1] }, {}))
      expect(await run({}, { classWeight: [2, 6] })).toEqual(await run({ sampleWeights: [2, 6, 2, 2] }, {}))
      expect(await run({}, { classWeight: 'balanced' })).toEqual(await run({ sampleWeights: [4 / 6, 2, 4 / 6, 4 / 6] }, {}))
    })
  })

  it('metrics stand beside what a naive answer gets', async () => {
    const rows = sequencesOf([4, 4, 4, 4, 4], 1)
    const classes = new RNN({ input: 1, state: 4, output: ['a', 'b'], ...config })
    const { metrics } = await classes.evaluate({ x: rows, y: ['a', 'b', 'a', 'a', 'a'] })
    expect(metrics['accuracy']).toMatchObject({ baseline: 0.8, baselineIs: 'majority class' })
    const answers = await classes.predictMany(rows)
    expect(metrics['accuracy']!.value).toBe(answers.filter(({ label }, b) => label === (b === 1 ? 'b' : 'a')).length / 5)
    const series = new RNN({ input: 1, state: 4, output: { linear: 1 }, ...config })
    const next = rows.map((steps) => steps.at(-1)![0]! + 0.01)
    const scores = await series.evaluate({ x: rows, y: next })
    expect(scores.metrics['mse']).toMatchObject({ baselineIs: 'last value' })
    expect(scores.metrics['mse']!.baseline).toBeCloseTo(1e-4, 6)
    expect(scores.metrics['mse']!.value).toBeCloseTo(scores.loss, 6)
    expect((await series.evaluate({ x: rows, y: [5, 5, 5, 5, 5.5] })).metrics['mse']).toMatchObject({
      baselineIs: 'train mean',
      baseline: expect.closeTo(0.04, 5),
    })
    classes.dispose()
    series.dispose()
  })

  it('predictions say what the head means', async () => {
    const steps = sequencesOf([3], 3)[0]!
    const labelled = make({ output: { sigmoid: ['x', 'y', 'z'] }, readout: 'last' })
    labelled.setWeights({ V: new Float32Array(24), c: [5, -5, 0] } as never)
    expect(await labelled.predict(steps)).toEqual({ kind: 'sigmoid', labels: ['x', 'z'], probabilities: expect.any(Float32Array) })
    const linear = make({ output: { linear: 2 }, readout: 'last' })
    linear.setWeights({ V: new Float32Array(16), c: [1.5, -2] } as never)
    expect(await linear.predict(steps)).toEqual({ kind: 'linear', value: 1.5, values: Float32Array.of(1.5, -2) })
    const ties = make({ output: 3, readout: 'last' })
    ties.setWeights({ V: new Float32Array(24), c: [0, 1, 1] } as never)
    expect(await ties.predict(steps)).toMatchObject({ kind: 'softmax', label: 1, index: 1 })
    expect(ties.labels).toEqual([0, 1, 2])
    for (const model of [labelled, linear, ties]) model.dispose()
  })

  it('what is asked about may be changed or given away as soon as the call is made', async () => {
    for (const [state, B, T] of [
      [8, 5, 6],
      [8, 40, 300], // several passes
      [260, 2, 3], // whose weights are drawn in slices
    ] as const) {
      const numbers = Float32Array.from({ length: B * T * 3 }, (_, i) => Math.sin(i))
      const asked = () => ({ data: numbers.slice(), shape: [B, T, 3] })
      const first = ({ data }: ReturnType<typeof asked>) => ({ data: data.subarray(0, T * 3), shape: [T, 3] })
      const right = make({ state })
      const want = await right.predictMany(asked())
      const model = make({ state })
      const [filled, given, waiting] = [asked(), asked(), asked()]
      const answers = [model.predictMany(filled), model.predictMany(given), model.predict(first(waiting) as never)]
      filled.data.fill(Number.NaN)
      structuredClone(given.data, { transfer: [given.data.buffer] })
      waiting.data.fill(9)
      expect(await Promise.all(answers)).toEqual([want, want, want[0]])
      const [idle, gone] = [asked(), asked()]
      const once = model.predictMany(idle)
      idle.data.fill(9)
      expect(await once).toEqual(want)
      const one = model.predict(first(gone) as never)
      structuredClone(gone.data, { transfer: [gone.data.buffer] })
      expect(await one).toEqual(want[0])
      right.dispose()
      model.dispose()
    }
  })

  it('one long sequence among many short ones: answers are never padded; what must be says so where it cannot be had', async () => {
    const model = make({ input: 1, state: 2 })
    const x = [new Float32Array(100_000), ...Array.from({ length: 30_000 }, () => [1])]
    const answers = (await model.predictMany(x)) as unknown as unknown[][]
    expect([answers.length, answers[0]!.length, answers[1]!.length]).toEqual([30_001, 100_000, 1])
    await expect(model.forward(x)).rejects.toMatchObject({
      code: 'ERR_OUT_OF_MEMORY',
      message: expect.stringContaining('[30001, 100000, 4] could not be had. All sequences are padded'),
    })
    model.dispose()
  })

  it('text goes in as strings and comes out as characters', async () => {
    const v = text.chars('hello world')
    const model = new RNN({ input: v, state: 16, output: v, readout: 'all', ...config })
    await model.train(
      { x: ['hello worl', 'ello worl'], y: ['ello world', 'llo world'] },
      { epochs: 150, optimizer: { adam: { lr: 0.02 } } },
    )
    expect((await model.predict('hello worl')).map(({ label }) => label).join('')).toBe('ello world')
    expect(await model.predict(v.encode('hello'))).toEqual(await model.predict('hello'))
    model.dispose()
  })

  it('extreme numbers stay finite where they can', async () => {
    const model = make({ output: { softmax: 3 }, readout: 'last' })
    model.setWeights({ V: new Float32Array(24), c: [0, 1e30, -1e30] } as never)
    const one = { x: [[[1, 1, 1]]] }
    expect((await model.gradients({ ...one, y: [0] })).loss).toBe(Math.fround(1e30))
    expect((await model.gradients({ ...one, y: [1] })).loss).toBe(0)
    expect(Array.from((await model.forward(one.x)).outputs.data)).toEqual([0, 1, 0].map((p) => expect.closeTo(p, 30)))
    const { probabilities } = (await model.predict([[1e30, -1e30, 1e30]])) as { probabilities: Float32Array }
    expect(probabilities.reduce((a, p) => a + p, 0)).toBeCloseTo(1, 6)
    model.dispose()
  })

  it('learns what can be learned', async () => {
    const many = sequencesOf(Array(160).fill(6), 2, 8)
    const model = new RNN({ input: 2, state: 12, output: ['down', 'up'], seed: 1, ...config })
    const data = { x: many, y: signs(many).map((s) => (s ? 'up' : 'down') as 'up' | 'down') }
    const { history } = await model.train(data, { epochs: 40, optimizer: { adam: { lr: 0.02 } } })
    expect(history.at(-1)!.loss).toBeLessThan(history[0]!.loss / 3)
    expect((await model.evaluate(data)).metrics['accuracy']!.value).toBeGreaterThan(0.95)
    model.dispose()
  })
})
