/*
 * Training beside the rest of a program: the event loop stays free, Workers and processes end in mid-training without a trace of it, what
 * is dropped is freed, a process ends by itself when it has nothing more to do.
 */
import { describe, expect, it } from 'vitest'
import { readConfig } from '#lib/check/config.js'
import { answersOf } from '#lib/inference/forward.js'
import { Core } from '#lib/model/core.js'
import { readSequences } from '#lib/sequences/input.js'
import { train } from '#lib/training/train.js'
import { inChild, PRELUDE } from './support/child.js'
import { BACKENDS, onEach } from './support/targets.js'

onEach(BACKENDS, ({ config }) => {
  const { backend } = config
  const name = JSON.stringify(backend)

  it('the event loop stays free while a model is trained and asked', { retry: 2 }, async () => {
    // A bound of correctness: training that blocks would show its whole 700 ms. On a machine that others use too, an idle program waits
    // as well: the bound is then what that one waits, tripled.
    const { output, code } = await inChild(`
      const { monitorEventLoopDelay } = require('node:perf_hooks');
      const p99 = async (milliseconds, turn) => {
        const delay = monitorEventLoopDelay({ resolution: 1 });
        delay.enable();
        for (const end = performance.now() + milliseconds; performance.now() < end; ) { await turn(); await new Promise((r) => setTimeout(r, 5)); }
        delay.disable();
        return delay.percentile(99) / 1e6;
      };
      const model = make(${name}, { state: 48 });
      await model.train({ x, y }, { epochs: 2 });
      const idle = await p99(400, () => {});
      const run = model.train({ x, y }, endless);
      const training = await p99(700, () => model.predictMany(x));
      const { best } = await run.stop();
      console.log(JSON.stringify({ idle, training, steps: best.step }));
    `)
    expect(code, output).toBe(0)
    const { idle, training, steps } = JSON.parse(output)
    expect(steps).toBeGreaterThan(0)
    expect(training).toBeLessThan(Math.max(20, 3 * idle))
  })

  it('answers to many sequences are made a pass at a time, in many turns of the event loop', async () => {
    const { network, ...runtime } = readConfig({ input: 1, state: 8, output: 2, readout: 'all', ...config })
    const core = new Core(network, runtime)
    let turn = 0
    let next = setImmediate(function count() {
      turn++
      next = setImmediate(count)
    })
    const turns = new Set<number>()
    const sequences = readSequences(network, { data: new Float32Array(300_000), shape: [100_000, 3] }, { at: 'xs' })
    const lengths = await answersOf(core, sequences, ({ length }) => {
      turns.add(turn)
      return length
    })
    clearImmediate(next)
    core.dispose()
    expect(new Set(lengths)).toEqual(new Set([6]))
    expect(lengths.length).toBe(100_000)
    expect(turns.size).toBeGreaterThan(5)
  })

  it.each([
    ['units', { state: 400 }],
    ['tokens', { input: { tokens: 200_000 }, init: 'pytorch' }],
  ])('weights of many %s are drawn in many turns of the event loop', async (_, more) => {
    const { network, ...runtime } = readConfig({ input: { tokens: 2 }, state: 8, output: 2, ...more, ...config })
    const core = new Core(network, runtime)
    let turns = 0
    let next = setImmediate(function count() {
      turns++
      next = setImmediate(count)
    })
    await core.draw()
    clearImmediate(next)
    expect(turns).toBeGreaterThan(2)
    core.dispose()
  })

  it('a run that is stopped while its next job waits behind a read runs none of it', async () => {
    const { network, ...runtime } = readConfig({ input: 1, state: 8, output: 2, ...config })
    const core = new Core(network, runtime)
    const x = Array.from({ length: 64 }, (_, b) => [b, 1, 2, 3])
    const run = train(() => core, { x, y: x.map((_, b) => b % 2) }, { epochs: 1e6 })
    const milliseconds = (n: number) => new Promise((resolve) => setTimeout(resolve, n))
    await milliseconds(60)
    let end!: () => void
    let read!: Promise<void>
    await new Promise<void>((began) => {
      read = core.inTurn(() => {
        began()
        return new Promise((resolve) => (end = resolve))
      })
    })
    await milliseconds(60)
    const frames: number[] = []
    const now = core.run.bind(core)
    core.run = (turn, effect) => {
      frames.push(turn.count)
      return now(turn, effect)
    }
    const stopped = run.stop()
    end()
    await read
    expect((await stopped).stopped).toBe('stop')
    core.dispose()
    expect(frames.length).toBeGreaterThan(0)
    expect(frames.every((count) => count === 0)).toBe(true)
  })

  it('33 endings in mid-training: 12 Workers terminated, 9 processes exited, 12 runs aborted', { timeout: 120_000 }, async () => {
    const workers = await inChild(
      `
      const { Worker } = require('node:worker_threads');
      const source = ${JSON.stringify(PRELUDE)} + ${JSON.stringify(`
        require('node:worker_threads').parentPort.postMessage('ready');
        make(${name}).train({ x, y }, endless);
      `)};
      for (let i = 0; i < 12; i++) {
        const worker = new Worker(source, { eval: true });
        await new Promise((resolve, reject) => { worker.once('message', resolve); worker.once('error', reject); });
        await new Promise((resolve) => setTimeout(resolve, i * 6));
        await worker.terminate();
      }
      const model = make(${name});
      const { history } = await model.train({ x, y }, { epochs: 2 });
      for (let i = 0; i < 12; i++) {
        const stop = new AbortController();
        setTimeout(() => stop.abort(new Error('enough')), i * 3);
        await model.train({ x, y }, { ...endless, signal: stop.signal }).then(() => { throw new Error('ended by itself') }, (e) => { if (e.message !== 'enough') throw e });
      }
      console.log(history.length, Number.isFinite(model.W.data[0]));
    `,
      [],
      90_000,
    )
    expect(workers).toMatchObject({ code: 0, output: '2 true' })
    for (let i = 0; i < 9; i += 3) {
      const exits = [i, i + 1, i + 2].map((n) =>
        inChild(`make(${name}).train({ x, y }, endless); setTimeout(() => process.exit(7), ${10 + n * 12})`),
      )
      for (const exit of await Promise.all(exits)) expect(exit).toMatchObject({ code: 7, output: '' })
    }
  })

  it('an uncaught error in mid-training ends the process with it', async () => {
    const { code, output } = await inChild(
      `make(${name}).train({ x, y }, endless); setTimeout(() => { throw new Error('of the user') }, 60)`,
    )
    expect(code).toBe(1)
    expect(output).toContain('Error: of the user')
  })

  it('a process ends by itself after training, with models that were never disposed of', async () => {
    const { code, output, milliseconds } = await inChild(`
      const model = make(${name});
      const { stopped } = await model.train({ x, y }, { epochs: 2 });
      model.stream().push([1, 2, 3, 4]);
      console.log(stopped);
    `)
    expect({ code, output }).toEqual({ code: 0, output: 'finished' })
    expect(milliseconds).toBeLessThan(20_000)
  })

  it('a rejected run that nobody handles is an unhandled rejection like any other', async () => {
    const { code, output } = await inChild(`make(${name}).train({ x, y: [] })`)
    expect(code).toBe(1)
    expect(output).toContain('ERR_SHAPE_MISMATCH')
  })

  it('200 models that are made, trained and dropped leave no growth', { timeout: 120_000 }, async () => {
    // Each holds 2 MB outside of the JavaScript heap: a leak would show as 300 MB.
    const { code, output } = await inChild(
      `
      const sets = { x: x.slice(0, 2), y: y.slice(0, 2) };
      const settle = async () => { for (let i = 0; i < 4; i++) { gc(); await new Promise((r) => setTimeout(r, 5)); } };
      let before;
      for (let i = 0; i < 200; i++) {
        const model = make(${name}, { state: 256, init: 'pytorch' });
        await model.train(sets, { epochs: 1 });
        if (i % 2) model.stream().push([1, 2, 3, 4]);
        if (i % 10 === 9) await settle();
        if (i === 49) before = process.memoryUsage().rss;
      }
      await settle();
      console.log(Math.round((process.memoryUsage().rss - before) / 2 ** 20));
    `,
      ['--expose-gc'],
      110_000,
    )
    expect(code, output).toBe(0)
    expect(Number(output)).toBeLessThan(120)
  })
})

describe('the first prediction', () => {
  it('comes soon after require()', async () => {
    const { code, output } = await inChild(
      `
      const model = make('auto');
      await model.predict(x[0]);
      console.log(model.backend.name, Math.round(performance.now() - begin), 'ms after require, state 24');
    `.replace('const model', 'const begin = 0; const model'),
    )
    expect(code, output).toBe(0)
    console.log(`${output} (the process included)`)
    expect(Number(output.split(' ')[1])).toBeLessThan(10_000)
  })
})
