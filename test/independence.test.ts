/*
 * What a result may not depend on: the other rows of the batch, their order, how sequences are cut into calls and chunks, the number of
 * threads. All to the last bit.
 */
import { RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { thrownBy } from './support/mistakes.js'
import { BACKENDS, find, onEach } from './support/targets.js'
import { hashOf, lengthsOf, sequencesOf, signs, tokensOf, weightsOf } from './support/tasks.js'

const lengths = [5, 12, 0, 1, 9, 12, 3, 7]
const x = sequencesOf(lengths, 6)
const longest = 12

onEach(BACKENDS, ({ config }) => {
  const make = (more: object = {}) =>
    new RNN({ input: 6, state: [21, 13], output: 5, readout: 'all', seed: 4, ...config, ...more } as never) as RNN
  const rowsOf = (tensor: { shape: readonly number[]; data: Float32Array }, b: number, n: number) => {
    const size = tensor.shape.slice(2).reduce((a, c) => a * c, 1)
    const T = tensor.shape[1]!
    return Array.from(tensor.data.subarray(b * T * size, (b * T + n) * size))
  }

  it('a batch of ragged sequences gives what each gives alone', async () => {
    const model = make()
    const all = await model.forward(x)
    expect(all.logits.shape).toEqual([8, longest, 5])
    for (const [b, one] of x.entries()) {
      const alone = await model.forward([one])
      expect(alone.lengths[0]).toBe(lengths[b])
      for (const name of ['logits', 'outputs'] as const)
        expect(rowsOf(alone[name], 0, lengths[b]!)).toEqual(rowsOf(all[name], b, lengths[b]!))
      for (const k of [0, 1]) {
        expect(rowsOf(alone.states[k]!, 0, lengths[b]!)).toEqual(rowsOf(all.states[k]!, b, lengths[b]!))
        const S = [21, 13][k]!
        expect(Array.from(alone.finalState.layers[k]!.s.data)).toEqual(
          Array.from(all.finalState.layers[k]!.s.data.subarray(b * S, b * S + S)),
        )
      }
      expect(all.outputs.data.slice((b * longest + lengths[b]!) * 5, (b + 1) * longest * 5).every((v) => v === 0)).toBe(true)
    }
    model.dispose()
  })

  it('nor does the gradient of one sequence depend on the others', async () => {
    const model = make()
    const y = x.map((steps, b) => steps.map((_, i) => (b + i) % 5))
    const all = await model.gradients({ x, y }, { reduction: 'sum' })
    for (const b of [1, 4, 6]) {
      const alone = await model.gradients({ x: [x[b]!], y: [y[b]!] }, { reduction: 'sum' })
      expect(rowsOf(alone.gradients.x, 0, lengths[b]!)).toEqual(rowsOf(all.gradients.x, b, lengths[b]!))
      const norms = (from: typeof all, row: number, T: number) =>
        Array.from(from.stateGradientNorms[0]!.data.subarray(row * (T + 1), row * (T + 1) + lengths[b]! + 1))
      expect(norms(alone, 0, lengths[b]!)).toEqual(norms(all, b, longest))
    }
    model.dispose()
  })

  it('the order of a batch changes the order of the answers, and nothing else', async () => {
    const model = make()
    const order = [3, 0, 7, 5, 1, 6, 2, 4]
    const straight = await model.forward(x)
    const shuffled = await model.forward(order.map((b) => x[b]!))
    order.forEach((b, i) => expect(rowsOf(shuffled.logits, i, lengths[b]!)).toEqual(rowsOf(straight.logits, b, lengths[b]!)))
    model.dispose()
  })

  it('every form of the same data gives the same', async () => {
    const model = make()
    const flat = x.map((steps) => Float32Array.from(steps.flat()))
    const padded = new Float32Array(8 * longest * 6).fill(7)
    flat.forEach((row, b) => padded.set(row, b * longest * 6))
    const forms = [
      x,
      flat.map((data, b) => ({ data, shape: [lengths[b]!, 6] })),
      x.map((steps) => steps.map((step) => Float32Array.from(step))),
      { data: padded, shape: [8, longest, 6], lengths },
    ]
    const [first, ...others] = await Promise.all(forms.map((form) => model.forward(form as never)))
    for (const other of others) expect(other.logits).toEqual(first!.logits)
    model.dispose()
  })

  it('predict() is predictMany() of one, and thousands of rows in chunks are what they are one by one', async () => {
    const model = make({ state: 40, readout: 'last' })
    const many = sequencesOf(lengthsOf(900, 31), 6, 3)
    const answers = (await model.predictMany(many)) as unknown as { probabilities: Float32Array; index: number; label: number }[]
    for (const b of [0, 1, 17, 444, 899]) {
      const alone = (await model.predict(many[b]!)) as unknown as (typeof answers)[number]
      expect(alone).toEqual(answers[b])
      expect(alone.probabilities[alone.index]).toBe(Math.max(...alone.probabilities))
    }
    model.dispose()
  })

  it('reads of several passes, side by side and while a run begins and ends, change nothing of each other, nor what the caller changes meanwhile', async () => {
    const model = new RNN({ input: 2, state: 8, output: { linear: 1 }, ...config })
    const many = (seed: number) => {
      const lengths = lengthsOf(100, 250)
      return { lengths, data: Float32Array.from(sequencesOf([100 * 250], 2, seed)[0]!.flat()) }
    }
    const xs = [1, 2, 3].map(many).map(({ lengths, data }) => ({ data, shape: [100, 250, 2], lengths }))
    const one = async (k: number) => (await model.predictMany({ ...xs[k]!, data: xs[k]!.data.slice() })).map(({ value }) => value)
    const expected = [await one(0), await one(1), await one(2)]
    const idle = { data: xs[0]!.data.slice(0, 40), shape: [4, 5, 2] }
    const run = model.train({ x: idle, y: [1, 2, 3, 4] }, { epochs: 1, optimizer: { sgd: { lr: 0 } } })
    const together = xs.map((x) => model.predictMany(x))
    for (const { data } of xs) data.fill(9)
    await run
    const after = model.train({ x: idle, y: [1, 2, 3, 4] }, { epochs: 1, optimizer: { sgd: { lr: 0 } } })
    for (const [k, answers] of together.entries()) expect((await answers).map(({ value }) => value)).toEqual(expected[k])
    await after
    model.dispose()
  })

  it("readout 'last' is the last of 'all'", async () => {
    const all = make()
    const last = make({ readout: 'last' })
    last.setWeights({ layers: all.layers, V: all.V, c: all.c } as never)
    const [a, l] = [await all.forward(x), await last.forward(x)]
    for (const b of lengths.keys())
      if (lengths[b]! > 0) expect(Array.from(l.logits.data.subarray(b * 5, b * 5 + 5))).toEqual(rowsOf(a.logits, b, lengths[b]!).slice(-5))
    const answers = (await last.predictMany(x)) as unknown as { index: number }[]
    const steps = (await all.predictMany(x)) as unknown as { index: number }[][]
    answers.forEach((answer, b) => lengths[b]! > 0 && expect(answer).toEqual(steps[b]!.at(-1)))
    expect(steps.map((list) => list.length)).toEqual(lengths)
    all.dispose()
    last.dispose()
  })

  it('a sequence in pieces, the state carried on, gives what it gives whole', async () => {
    const model = make()
    const whole = await model.forward(x)
    const cuts = [0, 1, 4, 9, 12]
    let initialState: typeof whole.finalState | undefined
    for (const [i, to] of cuts.slice(1).entries()) {
      const from = cuts[i]!
      const piece = await model.forward(
        x.map((steps) => steps.slice(from, to)),
        initialState && { initialState },
      )
      for (const b of lengths.keys()) {
        const n = Math.max(0, Math.min(lengths[b]!, to) - from)
        const T = piece.logits.shape[1]!
        expect(Array.from(piece.logits.data.subarray(b * T * 5, (b * T + n) * 5))).toEqual(
          rowsOf(whole.logits, b, from + n).slice(from * 5),
        )
      }
      initialState = piece.finalState
    }
    expect(initialState).toEqual(whole.finalState)
    model.dispose()
  })

  describe('stream()', () => {
    it('gives what forward() gives, step by step, in one array', async () => {
      const model = make()
      const { outputs, finalState } = await model.forward([x[1]!])
      const live = model.stream()
      const first = live.push(x[1]![0]!)
      expect(Array.from(first)).toEqual(rowsOf(outputs, 0, 1))
      for (const [i, w] of x[1]!.entries()) {
        if (i === 0) continue
        expect(live.push(i % 2 ? w : Float32Array.from(w))).toBe(first)
        expect(Array.from(first)).toEqual(rowsOf(outputs, 0, i + 1).slice(-5))
      }
      expect(live.state).toEqual(finalState)
      live.reset()
      expect(Array.from(live.push(x[1]![0]!))).toEqual(rowsOf(outputs, 0, 1))
      model.dispose()
    })

    it('runs several side by side, each with its own state, and takes states from elsewhere', async () => {
      const model = make()
      const [a, b] = [x[1]!, x[5]!]
      const { outputs } = await model.forward([a, b])
      const live = model.stream({ batch: 2 })
      for (let i = 0; i < 4; i++)
        expect(Array.from(live.push([...a[i]!, ...b[i]!]))).toEqual([0, 1].flatMap((q) => rowsOf(outputs, q, i + 1).slice(-5)))
      live.reset(0)
      const got = live.push([...a[0]!, ...b[4]!])
      expect(Array.from(got.subarray(0, 5))).toEqual(rowsOf(outputs, 0, 1))
      expect(Array.from(got.subarray(5))).toEqual(rowsOf(outputs, 1, 5).slice(-5))
      live.state = (await model.forward([a.slice(0, 3), b.slice(0, 6)])).finalState
      const on = live.push([...a[3]!, ...b[6]!])
      expect(Array.from(on.subarray(0, 5))).toEqual(rowsOf(outputs, 0, 4).slice(-5))
      expect(Array.from(on.subarray(5))).toEqual(rowsOf(outputs, 1, 7).slice(-5))
      model.dispose()
    })

    it('keeps the weights of its creation; a new one has the new ones', async () => {
      const model = make({ state: 9 })
      const old = model.stream()
      const before = Array.from(old.push(x[0]![0]!))
      await model.trainer({ optimizer: { sgd: { lr: 1 } } }).step({ x, y: x.map((steps) => steps.map(() => 1)) })
      old.reset()
      expect(Array.from(old.push(x[0]![0]!))).toEqual(before)
      expect(Array.from(model.stream().push(x[0]![0]!))).not.toEqual(before)
      expect(Array.from(model.stream().push(x[0]![0]!))).toEqual(rowsOf((await model.forward([x[0]!])).outputs, 0, 1))
      model.dispose()
    })

    it('says that its output was transferred, on every backend alike', () => {
      const model = make()
      for (const batch of [1, 2]) {
        const live = model.stream({ batch })
        const step = new Float32Array(batch * 6)
        const output = live.push(step)
        structuredClone(output, { transfer: [output.buffer as ArrayBuffer] })
        for (let again = 0; again < 2; again++)
          expect(thrownBy(() => live.push(step))).toMatchObject({ code: 'ERR_DETACHED', at: 'output' })
      }
      model.dispose()
    })

    it('of tokens, and with missing readings', async () => {
      const words = new RNN({ input: { tokens: 7 }, state: 11, output: { softmax: 7 }, readout: 'all', ...config })
      const [ids] = tokensOf([6], 7)
      const { outputs } = await words.forward([ids!])
      const live = words.stream()
      ids!.forEach((id, i) => expect(Array.from(live.push(id))).toEqual(Array.from(outputs.data.subarray(i * 7, i * 7 + 7))))
      words.dispose()

      const holes = new RNN({ input: { tokens: 7 }, state: 11, output: 3, readout: 'all', missing: 'mask', ...config })
      const lists = [
        [NaN, 3, NaN, 6],
        [1, 5, 0, NaN],
      ]
      const answers = await holes.forward(lists)
      const pair = holes.stream({ batch: 2 })
      const single = holes.stream()
      for (let i = 0; i < 4; i++) {
        const expected = [0, 1].flatMap((q) => rowsOf(answers.outputs, q, i + 1).slice(-3))
        expect(Array.from(pair.push(lists.map((ids) => ids[i]!))), `step ${i}`).toEqual(expected)
        expect(Array.from(single.push(lists[0]![i]!)), `step ${i}`).toEqual(expected.slice(0, 3))
      }
      holes.dispose()

      const sensors = make({ missing: 'mask' })
      const gaps = x[1]!.map((step, i) => (i === 0 || i % 3 === 2 ? step.map((v, j) => (j === 1 ? Number.NaN : v)) : step))
      const whole = await sensors.forward([gaps, x[5]!])
      const both = sensors.stream({ batch: 2 })
      gaps.forEach((step, i) =>
        expect(Array.from(both.push([...step, ...x[5]![i]!])), `step ${i}`).toEqual(
          [0, 1].flatMap((q) => rowsOf(whole.outputs, q, i + 1).slice(-5)),
        ),
      )
      sensors.dispose()
    })
  })

  it('training again from the same weights gives the same weights, on any number of threads', async () => {
    const hashes = new Set<string>()
    for (const threads of [1, 2, 3, 8, 2]) {
      const model = make({ threads, readout: 'last', output: 2 })
      await model.train({ x, y: signs(x) }, { epochs: 5, batchSize: 3 })
      hashes.add(hashOf(model))
      model.dispose()
    }
    expect(hashes.size).toBe(1)
    const other = make({ readout: 'last', output: 2, seed: 5 })
    await other.train({ x, y: signs(x) }, { epochs: 5, batchSize: 3 })
    expect(hashes.has(hashOf(other))).toBe(false)
    other.dispose()
  })

  it('a saved model is the same model', async () => {
    const model = make({ bias: 'double' })
    await model.train({ x, y: x.map((steps) => steps.map((_, i) => i % 5)) }, { epochs: 3 })
    const again = await RNN.load<typeof model>(await model.toBytes())
    expect(weightsOf(again)).toEqual(weightsOf(model))
    expect(again.config).toEqual({
      ...model.config,
      backend: again.config.backend,
      threads: again.config.threads,
      numerics: again.config.numerics,
    })
    // load() takes the best backend: bits are promised inside a class of arithmetic
    if (again.backend.arithmetic === model.backend.arithmetic) expect(await again.predictMany(x)).toEqual(await model.predictMany(x))
    expect(Buffer.from(await again.toBytes()).equals(await model.toBytes())).toBe(true)
    again.dispose()
    model.dispose()
  })
})

// Of 1024 units the addon works beside its rows, which share a set of the first cache; WebAssembly never does.
it.skipIf('absent' in find(BACKENDS[0]!))(
  'states a multiple of 4 KiB apart give the same weights on native threads and WebAssembly',
  async () => {
    const wide = sequencesOf(lengthsOf(20, 3), 2)
    const hashes = new Set<string>()
    for (const where of [{ backend: 'wasm' }, { backend: 'native', threads: 1 }, { backend: 'native', threads: 2 }]) {
      const model = new RNN({ input: 2, state: 1024, output: 2, init: 'pytorch', numerics: 'portable', ...where } as never) as RNN
      await model.train({ x: wide, y: signs(wide) }, { epochs: 1, batchSize: 20 })
      hashes.add(hashOf(model))
      model.dispose()
    }
    expect(hashes.size).toBe(1)
  },
)
