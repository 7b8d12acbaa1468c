/*
 * The life of a run and of a model: awaiting, iterating, stopping, aborting; what may happen meanwhile and what may not; what is left after
 * numbers that are not finite; disposal.
 */
import { createHash } from 'node:crypto'
import { BpttError, type Progress, RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { errorOf } from './support/mistakes.js'
import { BACKENDS, onEach } from './support/targets.js'
import { hashOf, lengthsOf, sequencesOf, signs, weightsOf } from './support/tasks.js'

const x = sequencesOf(lengthsOf(64, 20), 4)
const data = { x, y: signs(x) }
/** Long enough never to end by itself within a test. */
const endless = { epochs: 1e6, batchSize: 16, shuffle: false } as const
const hash = (weights: Float32Array) => createHash('sha256').update(weights).digest('hex')

onEach(BACKENDS, ({ config }) => {
  const make = (more: object = {}) =>
    new RNN({ input: 4, state: 24, output: { softmax: 2 }, ...config, ...more } as never) as unknown as RNN<number, { softmax: number }>

  /** How many whole updates lead to these weights: retraces a run in order, update by update. */
  async function updatesOf(weights: Float32Array, most: number): Promise<number> {
    const again = make()
    const trainer = again.trainer()
    const wanted = hash(weights)
    let n = 0
    while (n < most && hash(weightsOf(again)) !== wanted) {
      const from = (n++ % 4) * 16
      await trainer.step({ x: x.slice(from, from + 16), y: data.y.slice(from, from + 16) })
    }
    expect(hash(weightsOf(again)), `none of ${most} updates ends with these weights`).toBe(wanted)
    again.dispose()
    return n
  }

  describe('a Run', () => {
    it('is a promise', async () => {
      const model = make()
      const run = model.train(data, { epochs: 2 })
      expect(run).toHaveProperty('then')
      const result = await run
      expect(result.history).toHaveLength(2)
      expect(await run).toBe(result)
      expect(await run.stop()).toBe(result)
      let settled = false
      await run.finally(() => (settled = true)).then((r) => expect(r).toBe(result))
      expect(settled).toBe(true)
      model.dispose()
    })

    it.each([false, true])('has its data by the end of the call; another call before it: %s', async (busy) => {
      const [model, twin] = [make(), make()]
      const given = () => ({
        x: { data: Float32Array.from(sequencesOf([15 * 8], 4)[0]!.flat()), shape: [15, 8, 4] },
        y: signs(x).slice(0, 15),
      })
      const changed = given()
      const other = busy ? model.predictMany(x) : undefined
      const run = model.train(changed, { epochs: 3, batchSize: 4 })
      changed.x.data.fill(1)
      await run
      await other
      await twin.train(given(), { epochs: 3, batchSize: 4 })
      expect(hashOf(model)).toBe(hashOf(twin))
      for (const each of [model, twin]) each.dispose()
    })

    it('iterates over every epoch, however late it is asked', async () => {
      const model = make()
      const run = model.train(data, { epochs: 5 })
      const seen: number[] = []
      for await (const { epoch } of run) {
        seen.push(epoch)
        if (epoch === 1) await run
      }
      expect(seen).toEqual([1, 2, 3, 4, 5])
      const again: Progress[] = []
      for await (const progress of run) again.push(progress)
      expect(again).toEqual((await run).history)
      model.dispose()
    })

    it('break stops it after a whole update, and it resolves', async () => {
      const model = make()
      const run = model.train(data, endless)
      for await (const { epoch } of run) if (epoch >= 3) break
      const { stopped, history } = await run
      expect(stopped).toBe('stop')
      expect(history.length).toBeGreaterThanOrEqual(3)
      const hash = hashOf(model)
      await new Promise((resolve) => setTimeout(resolve, 30))
      expect(hashOf(model)).toBe(hash)
      model.dispose()
    })

    it('counts the updates of ragged windows in every epoch to come, without keeping the event loop', async () => {
      const model = make({ readout: 'all' })
      const windowed = { bptt: { window: 3 }, batchSize: 16 }
      const steps = { x, y: x.map((s) => s.map(() => 1)) } as never
      const { best } = await model.train(steps, { ...windowed, epochs: 1 })
      expect(best.step).toBe(best.steps)
      const run = model.train(steps, { ...windowed, epochs: 1e9 })
      await new Promise((resolve) => setTimeout(resolve, 30))
      expect((await run.stop()).stopped).toBe('stop')
      model.dispose()
    })

    it('stop() resolves with what was done, also at once', async () => {
      const model = make()
      const before = hashOf(model)
      const early = await model.train(data, endless).stop()
      expect(early).toMatchObject({ stopped: 'stop' })
      const run = model.train(data, endless)
      await new Promise((resolve) => setTimeout(resolve, 60))
      const { stopped, best } = await run.stop()
      expect(stopped).toBe('stop')
      expect(best.step).toBeGreaterThan(0)
      expect(hashOf(model)).not.toBe(before)
      const timed = model.train(data, endless)
      setTimeout(timed.stop, 10)
      expect(await timed).toMatchObject({ stopped: 'stop' })
      model.dispose()
    })

    it('stop() of one that is over leaves the update of somebody else alone', async () => {
      const model = make()
      const run = model.train(data, { epochs: 1 })
      await run
      const trainer = model.trainer()
      const long = sequencesOf(Array(200).fill(60), 4)
      const many = { x: long, y: signs(long) }
      for (let n = 0; n < 12; n++) {
        const step = trainer.step(many)
        for (let wait = 0; wait <= n % 4; wait++) await new Promise((resolve) => setTimeout(resolve, 0))
        await run.stop()
        expect((await step).loss).toBeGreaterThan(0)
      }
      model.dispose()
    })

    it('a failed one throws where it is iterated, and nowhere else', async () => {
      const unhandled: unknown[] = []
      const listen = (reason: unknown) => unhandled.push(reason)
      process.on('unhandledRejection', listen)
      const model = make()
      const error = await errorOf(async () => {
        for await (const _ of model.train({ x, y: [] } as never)) expect.unreachable()
      })
      expect(error.code).toBe('ERR_SHAPE_MISMATCH')
      await new Promise((resolve) => setTimeout(resolve, 10))
      process.off('unhandledRejection', listen)
      expect(unhandled).toEqual([])
      model.dispose()
    })
  })

  describe('abort', () => {
    it('rejects with the reason, and leaves the last whole update', async () => {
      const model = make()
      const stop = new AbortController()
      const reason = new Error('enough')
      // Some time after the first report: in mid-run, however slow the machine is.
      const onProgress = () => setTimeout(() => stop.abort(reason), 10)
      const run = model.train(data, { ...endless, signal: stop.signal, onProgress } as never)
      expect(await errorOf(() => run)).toBe(reason)
      expect(await updatesOf(weightsOf(model), 30_000)).toBeGreaterThan(0)
      await model.train(data, { epochs: 1 }) // free again
      model.dispose()
    })

    it('before it begins changes nothing, with the default reason', async () => {
      const model = make()
      const before = hashOf(model)
      const error = await errorOf(() => model.train(data, { signal: AbortSignal.abort() }))
      expect(error.name).toBe('AbortError')
      expect(hashOf(model)).toBe(before)
      model.dispose()
    })

    it('by a signal that is older than throwIfAborted(), or that throws: the model is free again', async () => {
      const model = make()
      const quiet = { aborted: false, addEventListener() {}, removeEventListener() {} }
      expect((await model.train(data, { epochs: 1, signal: quiet } as never)).stopped).toBe('finished')
      expect(await errorOf(() => model.train(data, { signal: { ...quiet, aborted: true, reason: 'enough' } } as never))).toBe('enough')
      const mine = new Error('mine')
      const fail = () => {
        throw mine
      }
      for (const broken of [{ addEventListener: fail }, { removeEventListener: fail }]) {
        expect(await errorOf(() => model.train(data, { epochs: 1, signal: { ...quiet, ...broken } } as never))).toBe(mine)
        await model.train(data, { epochs: 1 })
      }
      model.dispose()
    })
  })

  it('onProgress that throws ends the run with that error, after a whole update', async () => {
    const model = make()
    const mine = new Error('mine')
    let at: Progress | undefined
    const error = await errorOf(() =>
      model.train(data, {
        ...endless,
        onProgress: (p) => {
          at = p
          throw mine
        },
      }),
    )
    expect(error).toBe(mine)
    expect(await updatesOf(weightsOf(model), 30_000)).toBe(at!.step)
    await model.train(data, { epochs: 1 })
    model.dispose()
  })

  it('onProgress whose promise rejects ends the run with that error', async () => {
    const model = make()
    const mine = new Error('mine')
    expect(await errorOf(() => model.train(data, { ...endless, onProgress: () => Promise.reject(mine) as never }))).toBe(mine)
    await model.train(data, { epochs: 1 })
    model.dispose()
  })

  it('a schedule that throws, or gives no rate, ends the run and says which update', async () => {
    const model = make()
    const mine = new Error('mine')
    expect(
      await errorOf(() =>
        model.train(data, {
          epochs: 2,
          schedule: () => {
            throw mine
          },
        }),
      ),
    ).toBe(mine)
    const error = await errorOf(() => model.train(data, { epochs: 9, batchSize: 64, schedule: (step) => (step === 4 ? Number.NaN : 0.1) }))
    expect(error).toMatchObject({
      code: 'ERR_OUT_OF_RANGE',
      at: 'options.schedule',
      message: 'options.schedule: gave no learning rate for update 4: expected a number of at least 0, received NaN.',
    })
    for (const rate of ['0.1', 1e39, Promise.resolve(0.1)])
      expect(await errorOf(() => model.train(data, { schedule: (() => rate) as never }))).toMatchObject({
        code: 'ERR_OUT_OF_RANGE',
        received: { string: '"0.1"', number: '1e+39', object: 'a Promise (was await forgotten?)' }[typeof rate as 'string'],
      })
    await model.train(data, { epochs: 1 })
    model.dispose()
  })

  describe('while a run is on', () => {
    it('a second writer is ERR_BUSY and disturbs nothing', async () => {
      const model = make()
      const run = model.train(data, { epochs: 3 })
      const others = [() => model.train(data), () => model.trainer().step(data), async () => model.setWeights({ c: [0, 0] } as never)]
      for (const other of others) {
        const error = await errorOf(other)
        expect(error).toBeInstanceOf(BpttError)
        expect(error.code).toBe('ERR_BUSY')
        expect(error.message).toContain('while train() is running on this model. Await it, or stop it first.')
      }
      await run
      const alone = make()
      await alone.train(data, { epochs: 3 })
      expect(hashOf(model)).toBe(hashOf(alone))
      for (const m of [model, alone]) m.dispose()
    })

    it("a second writer's data are not what a naive answer is made of", async () => {
      const model = new RNN({ input: 1, state: 4, output: { linear: 2 }, ...config })
      const [x, y] = [
        [[1], [2]],
        [
          [1, 1],
          [3, 3],
        ],
      ]
      const run = model.train({ x, y }, { epochs: 2 })
      expect(
        (
          await errorOf(() =>
            model.train({
              x,
              y: [
                [9, 9],
                [9, 9],
              ],
            }),
          )
        ).code,
      ).toBe('ERR_BUSY')
      await run
      expect((await model.evaluate({ x, y })).metrics['mse']).toMatchObject({ baseline: 1, baselineIs: 'train mean' })
      model.dispose()
    })

    it.each([
      ['whole sequences', {}],
      ['windows that carry the state', { bptt: { window: 8, stride: 4, carryState: true } }],
    ])('reads are served between updates and change nothing: %s', async (_, more) => {
      const options = { epochs: 60, batchSize: 8, seed: 1, schedule: { cosine: {} }, ...more } as const
      const booked = ({ history }: { history: Progress[] }) => history.map(({ step, loss, lr, metrics }) => ({ step, loss, lr, metrics }))
      const model = make()
      const run = model.train(data, options)
      const seen = new Set<number>()
      let over = false
      void run.then(() => (over = true))
      let reads = 0
      while (!over && reads < 200) {
        const [{ loss }, { outputs }] = await Promise.all([
          model.evaluate(data),
          model.forward(x.slice(0, 5)),
          model.predict(x[0]!),
          model.toBytes(),
          model.gradients({ x: x.slice(0, 3), y: data.y.slice(0, 3) }),
        ])
        expect(outputs.data[0]! + outputs.data[1]!).toBeCloseTo(1, 5)
        seen.add(loss)
        reads++
      }
      const result = await run
      expect(reads).toBeGreaterThan(1)
      expect(seen.size).toBeGreaterThan(1) // it saw the model change
      const alone = make()
      expect(booked(await alone.train(data, options))).toEqual(booked(result))
      expect(hashOf(model)).toBe(hashOf(alone))
      for (const m of [model, alone]) m.dispose()
    })

    it('the arrays that it was given may change: they were copied', async () => {
      const mine = x.map((steps) => Float32Array.from(steps.flat()))
      const copies = mine.map((flat, b) => ({ data: flat, shape: [x[b]!.length, 4] }))
      const model = make()
      const run = model.train({ x: copies, y: data.y }, { epochs: 2 })
      for (const flat of mine) flat.fill(Number.NaN)
      await run
      const alone = make()
      await alone.train(data, { epochs: 2 })
      expect(hashOf(model)).toBe(hashOf(alone))
      for (const m of [model, alone]) m.dispose()
    })

    it('every read uses the weights as they are, whatever was read before', async () => {
      const reads: ((model: ReturnType<typeof make>) => Promise<unknown>)[] = [
        (model) => model.predictMany(x),
        (model) => model.gradients(data),
        (model) => model.backward(x, { logits: { data: new Float32Array(128).fill(1), shape: [64, 2] } }),
        (model) => model.evaluate(data),
      ]
      const model = make()
      const trainer = model.trainer()
      for (const change of [() => trainer.step(data), async () => model.setWeights(make({ seed: 2 }))])
        for (const first of reads)
          for (const second of reads) {
            await first(model)
            await change()
            await first(model)
            const fresh = make()
            fresh.setWeights(model)
            expect(await second(model)).toEqual(await second(fresh))
            fresh.dispose()
          }
      model.dispose()
    })

    it('labels and config cannot be written into either', async () => {
      const model = make({ output: ['a', 'b'] })
      const { label } = (await model.predict(x[0]!)) as never as { label: string }
      const { config, labels } = model as never as { config: { state: number[]; output: { softmax: string[] } }; labels: string[] }
      for (const write of [
        () => (config.state[0] = 1),
        () => (config.output.softmax[0] = 'z'),
        () => (labels[0] = 'z'),
        () => labels.sort(),
      ])
        expect(write).toThrow(TypeError)
      expect(await model.predict(x[0]!)).toMatchObject({ label })
      model.dispose()
    })

    it('setWeights does not reach what was asked before it, and reaches what is asked after it', async () => {
      const [model, other] = [make(), make({ seed: 3 })]
      // More rows than one pass takes: the new weights come while the old ones are still at work.
      const many = Array.from({ length: 30 }, () => x).flat()
      const [old, fresh] = [await model.predictMany(many), await other.predictMany(many)]
      expect(old).not.toEqual(fresh)
      const asked = [model.predictMany(many), model.evaluate({ x: many, y: signs(many) }), model.gradients(data), model.toBytes()] as const
      model.setWeights(other)
      const after = [model.predictMany(many), model.gradients(data)] as const
      const twin = make()
      expect(await asked[0]).toEqual(old)
      expect(await asked[1]).toEqual(await twin.evaluate({ x: many, y: signs(many) }))
      expect(await asked[2]).toEqual(await twin.gradients(data))
      expect(await asked[3]).toEqual(await twin.toBytes())
      expect(await after[0]).toEqual(fresh)
      expect(await after[1]).toEqual(await other.gradients(data))
      for (const each of [model, other, twin]) each.dispose()
    })

    it('setWeights takes another model, or its layers with one of them replaced', async () => {
      const [model, other] = [make(), make({ seed: 3 })]
      model.setWeights(other)
      expect(weightsOf(model)).toEqual(weightsOf(other))
      model.setWeights({ U: { data: new Float32Array(96).fill(0.5), shape: [24, 4] }, layers: other.layers } as never)
      expect(model.U.data).toEqual(new Float32Array(96).fill(0.5))
      expect(model.W).toEqual(other.W)
      for (const each of [model, other]) each.dispose()
    })

    it('weights are copies: nobody writes into the model', () => {
      const model = make()
      model.W.data.fill(9)
      model.layers[0]!.U.data.fill(9)
      expect(model.W.data.every((v) => Math.abs(v) < 1.01)).toBe(true)
      expect(model.U.data.some((v) => v === 9)).toBe(false)
      model.dispose()
    })
  })

  describe('numbers that are not finite', () => {
    const bad = x.map((steps) => steps.map((step) => step.map((v) => v)))

    it("are found in data that were the user's, and are gone by then", async () => {
      const model = make({ nonlinearity: 'identity', state: 3, output: { linear: 1 }, init: 'identity' })
      model.setWeights({ W: [9e9, 0, 0, 0, 9e9, 0, 0, 0, 9e9] } as never)
      const given = { data: new Float32Array(2 * 6 * 4), shape: [2, 6, 4] }
      given.data.set(sequencesOf([6], 4, 3)[0]!.flat(), 24)
      const failed = errorOf(() => model.train({ x: given, y: [0, 1] } as never, { epochs: 2, shuffle: false }))
      given.data.fill(0)
      expect((await failed).message).toMatch(/the loss is not finite, first in sequence 1, step \d, layer 0/)
      model.dispose()
    })

    it('never reach the weights; the error says where', async () => {
      const model = make({ nonlinearity: 'identity', state: 3, output: { linear: 1 }, init: 'identity' })
      model.setWeights({
        W: [
          [9e9, 0, 0],
          [0, 9e9, 0],
          [0, 0, 9e9],
        ],
      } as never)
      const before = weightsOf(model)
      const long = { x: [bad[0]!.slice(0, 1), sequencesOf([6], 4, 3)[0]!], y: [0, 1] } as never
      const error = await errorOf(() => model.train(long, { epochs: 2, shuffle: false }))
      expect(error).toMatchObject({ code: 'ERR_NONFINITE', at: 'epoch 1, batch 1' })
      expect(error.message).toMatch(
        /^epoch 1, batch 1: the loss is not finite, first in sequence 1, step \d, layer 0; the weights are those before this update\. Scale the inputs/,
      )
      expect(weightsOf(model)).toEqual(before)
      const step = await errorOf(() => model.trainer().step(long))
      expect(step).toMatchObject({ code: 'ERR_NONFINITE', at: 'step' })
      expect(weightsOf(model)).toEqual(before)
      model.dispose()
    })

    it('end a run after the updates that were whole', async () => {
      const model = make({ output: { linear: 1 } })
      const small = { x: x.slice(0, 8), y: Array(8).fill(1) } as never
      const error = await errorOf(() =>
        model.train(small, {
          epochs: 6,
          batchSize: 8,
          shuffle: false,
          clipNorm: false,
          optimizer: { sgd: { lr: 0.01 } },
          schedule: (step) => (step < 3 ? 0.01 : 3e38),
        }),
      )
      expect(error.code).toBe('ERR_NONFINITE')
      expect(error.at).toMatch(/^epoch [56], batch 1$/)
      expect(weightsOf(model).every(Number.isFinite)).toBe(true)
      model.dispose()
    })
  })

  describe('an update that overflows', () => {
    const far = { x: x.slice(0, 8), y: Array(8).fill(1e4) } as never
    const plain = { clipNorm: false, optimizer: { sgd: { lr: 0.001 } } } as const
    const overflowing = { ...plain, shuffle: false, schedule: (step: number) => (step === 3 ? 3e38 : 1e-6) } as const
    it.each([
      ['as the last one', { epochs: 4 }],
      ['before others', { epochs: 9 }],
      ['as the last one of an epoch after which something is decided', { epochs: 4, validation: far, earlyStopping: {} }],
    ])('ends the run, and leaves weights that are numbers: %s', async (_, more) => {
      const model = make({ output: { linear: 1 } })
      const error = await errorOf(() => model.train(far, { ...overflowing, ...more } as never))
      expect(error).toMatchObject({ code: 'ERR_NONFINITE', at: 'update 4' })
      expect(error.message).toBe(
        'update 4: weights were not finite any more; the model has those of the last report. Lower the learning rate, or set clipNorm.',
      )
      expect(weightsOf(model).every(Number.isFinite)).toBe(true)
      expect((await model.evaluate(far)).loss).toBeLessThan(Infinity)
      expect((await model.train(far, { ...plain, epochs: 1 })).stopped).toBe('finished')
      model.dispose()
    })

    it('is seen where it only saturates a unit', async () => {
      // The first update makes a bias and a token's weight infinite; from then on tanh of that unit is ±1, and all else is finite.
      const tokens = new RNN({ input: { tokens: 2 }, state: 4, output: 2, ...config })
      tokens.setWeights({ U: Array(8).fill(0.1), V: [3e3, 0, 0, 0, 0, 0, 0, 0] } as never)
      const x = [[1], [0], [0], [0]]
      const error = await errorOf(() =>
        tokens.train({ x, y: [1, 1, 1, 1] } as never, {
          ...plain,
          shuffle: false,
          batchSize: 1,
          epochs: 1,
          validation: { x: x.slice(1), y: [1, 1, 1] } as never,
          schedule: (step) => (step === 0 ? 1e37 : 0),
        }),
      )
      expect(error).toMatchObject({ code: 'ERR_NONFINITE', at: 'update 4' })
      expect(weightsOf(tokens).every(Number.isFinite)).toBe(true)
      tokens.dispose()
    })

    it('is an error of its step, which changes nothing', async () => {
      const model = make({ output: { linear: 1 } })
      const trainer = model.trainer(plain)
      await trainer.step(far)
      const before = weightsOf(model)
      const error = await errorOf(() => trainer.step(far, { lr: 3e38 }))
      expect(error).toMatchObject({ code: 'ERR_NONFINITE', at: 'step' })
      expect(error.message).toContain('the model has those before this update, from which a new trainer() starts')
      expect(weightsOf(model)).toEqual(before)
      await model.trainer(plain).step(far)
      model.dispose()
    })
  })

  describe('dispose()', () => {
    it('makes every later call ERR_DISPOSED, twice is once', async () => {
      const model = make()
      await model.predict(x[0]!)
      const live = model.stream()
      model.dispose()
      model.dispose()
      const calls: (() => unknown)[] = [
        () => model.train(data),
        () => model.trainer(),
        () => model.predict(x[0]!),
        () => model.predictMany(x),
        () => model.forward(x),
        () => model.gradients(data),
        () => model.backward(x, { states: [] }),
        () => model.gradCheck(data),
        () => model.evaluate(data),
        () => model.stream(),
        () => model.toBytes(),
        () => model.save('/nowhere'),
        () => model.setWeights({}),
        () => model.U,
        () => model.layers,
        () => live.push([1, 2, 3, 4]),
      ]
      for (const call of calls)
        expect(await errorOf(call), String(call)).toMatchObject({
          code: 'ERR_DISPOSED',
          message: 'this model was disposed of. Make a new one.',
        })
      expect(model.config.state).toEqual([24])
      expect(model.parameterCount).toBe(24 * 4 + 24 * 24 + 24 + 2 * 24 + 2)
    })

    it('does not wait until large weights are drawn, nor does stop(), nor an abort', async () => {
      const model = make({ state: 4096 })
      const stop = new AbortController()
      const run = model.train(data, endless)
      setTimeout(run.stop, 10)
      expect((await run).stopped).toBe('stop')
      setTimeout(() => stop.abort('enough'), 10)
      expect(await errorOf(() => model.train(data, { ...endless, signal: stop.signal }))).toBe('enough')
      const answer = model.predict(x[0]!)
      setTimeout(() => model.dispose(), 10)
      expect(await errorOf(answer)).toMatchObject({ code: 'ERR_DISPOSED' })
    })

    it('in mid-run rejects it, and everything that waits', async () => {
      const model = make()
      const run = model.train(data, endless)
      const waiting = model.evaluate(data)
      setTimeout(() => model.dispose(), 40)
      expect(await errorOf(() => run)).toMatchObject({ code: 'ERR_DISPOSED' })
      await waiting.catch((error) => expect(error.code).toBe('ERR_DISPOSED'))
      expect(await errorOf(() => model.predict(x[0]!))).toMatchObject({ code: 'ERR_DISPOSED' })
    })

    it('is what `using` calls', () => {
      const model = make()
      model[Symbol.dispose]()
      expect(() => model.W).toThrow('disposed')
    })
  })
})
