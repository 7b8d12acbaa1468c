/*
 * The package in a real browser, its files as they are: the numbers of PyTorch, the bits of Node, and the page's life while a model is
 * trained. Bundlers, policies of pages and sizes: browser-bundlers.test.ts; the demonstration: browser-demo.test.ts.
 */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import type { RNN } from 'bptt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ISOLATED, inChromium, type Opened, type Site, serve } from './support/chromium.js'
import { answer, elmanFiles, expectAnswer, questionOf } from './support/elman.js'
import { GOLDEN, runs } from './support/golden.js'

/** What is in every page. Functions that tests hand to page.evaluate() run there, and know nothing of this file. */
declare const bptt: typeof import('bptt') & {
  answer: typeof answer
  weightsOf(model: unknown): Float32Array
  task(count?: number): Task
  frames(): Frames
}
interface Task {
  readonly x: number[][][]
  readonly y: number[]
}
interface Frames {
  /** Milliseconds between frames so far. */
  end(): number[]
}
declare function gc(): void

const INDEX = `<!doctype html><title>page</title><link rel="icon" href="data:,"><p id="drawn"></p><script type="module">
import * as bptt from './index.js'
const answer = ${answer}
const weightsOf = ({ layers, V, c }) =>
  Float32Array.from([...layers.flatMap(({ U, W, b, bh }) => [U, W, b, bh]), V, c].flatMap((tensor) => (tensor ? [...tensor.data] : [])))
const task = (count = 256) => {
  const x = Array.from({ length: count }, (_, b) => Array.from({ length: 20 + (b % 11) }, (_, i) => [Math.sin(b + i), Math.cos(b * i), (b % 5) / 5]))
  return { x, y: x.map((steps) => (steps.reduce((sum, [first]) => sum + first, 0) > 0 ? 1 : 0)) }
}
/** Draws as a page does, and takes the time between frames. */
const frames = () => {
  const gaps = []
  let last
  let going = true
  const frame = (now) => {
    if (last !== undefined) gaps.push(now - last)
    last = now
    document.getElementById('drawn').textContent = now
    if (going) requestAnimationFrame(frame)
  }
  requestAnimationFrame(frame)
  return { end: () => ((going = false), gaps) }
}
globalThis.bptt = { ...bptt, answer, weightsOf, task, frames }
</script>`

const quantile = (values: number[], q: number) => [...values].sort((a, b) => a - b)[Math.floor(q * (values.length - 1))]!

inChromium(({ open, memory }) => {
  let site: Site
  let opened: Opened
  beforeAll(async () => {
    site = await serve([join(import.meta.dirname, '..', 'dist', 'browser')], { '/index.html': INDEX }, ISOLATED)
    opened = await open(site.url)
    await opened.page.waitForFunction('globalThis.bptt')
  })
  afterAll(() => site.close())

  it('has a backend with WebAssembly and relaxed SIMD that fuses, and nothing to complain of', async () => {
    const said = await opened.page.evaluate(async () => String(await bptt.doctor()))
    console.log(said)
    expect(said).toMatch(/→ wasm +relaxed-simd, fma, .*portable: simd128, mul-add/)
    expect(said).toContain('native     not usable: the native backend needs Node, and this is a browser')
    expect(opened.said).toEqual([])
  })

  const arithmetics = [
    { name: 'relaxed', class: 'fma', config: { backend: 'wasm', numerics: 'fast', threads: 1 } },
    { name: 'plain', class: 'mul-add', config: { backend: 'wasm', numerics: 'portable', threads: 1 } },
    { name: 'reference', class: 'mul-add', config: { backend: 'reference', numerics: 'fast', threads: 1 } },
  ] as const

  describe.each(arithmetics)('$name', ({ name, class: arithmetic, config }) => {
    describe.each(elmanFiles)('%s', (file, cases) => {
      const some =
        file === 'elman_large' && name === 'reference' ? cases.filter(({ config }) => config.B * config.T * config.s ** 2 < 1e7) : cases
      it.each(some.map((test, i) => [test.name, test, i] as const))('%s', async (_, test, i) => {
        const question = questionOf(test, config, i % 2 === 0)
        expectAnswer(test, await opened.page.evaluate((question) => bptt.answer(bptt.RNN, question), question))
      })
    })

    const counts = config.backend === 'wasm' ? [1, 2] : [1]
    const all = counts.flatMap((threads) => Object.keys(runs).map((run, i) => [threads, run, i] as const))
    it.each(all)('the bits of Node after 100 updates, threads: %i, %s', async (threads, run, i) => {
      const { config: network, data, options } = runs[run as keyof typeof runs]
      const answered = await opened.page.evaluate(
        async ([config, data, options]) => {
          const model = new bptt.RNN(config as never)
          await model.train(data as never, options as never)
          const weights = bptt.weightsOf(model)
          const { threads } = model.backend
          model.dispose()
          return { weights, threads }
        },
        [{ ...network, ...config, threads }, data, options] as const,
      )
      expect(answered.threads).toBe(threads)
      expect(createHash('sha256').update(answered.weights).digest('hex').slice(0, 16)).toBe(GOLDEN[arithmetic][i])
    })
  })

  describe('while a model is trained', () => {
    it('progress arrives, predictions and streams answer from whole updates, and stop() ends it', async () => {
      const result = await opened.page.evaluate(async () => {
        const data = bptt.task()
        const model = new bptt.RNN({ input: 3, state: 24, output: 2 })
        const reports: number[] = []
        const run = model.train(data, {
          epochs: 1e6,
          optimizer: { adam: { lr: 0.005 } },
          onProgress: ({ step }) => void reports.push(step),
        })
        const differences: number[] = []
        const until = performance.now() + 20_000
        while (reports.length < 5 && performance.now() < until) {
          const predicted = await model.predict(data.x[0]!)
          differences.push(predicted.probabilities[0]! + predicted.probabilities[1]! - 1)
          const { U, W, b, V, c } = model // of the last report: a stream made in the same turn has them as well
          const stream = model.stream()
          const twin = new bptt.RNN({ input: 3, state: 24, output: 2 })
          twin.setWeights({ U, W, V, ...(b && { b }), ...(c && { c }) })
          const other = twin.stream()
          for (const step of data.x[1]!) {
            const [mine, its] = [stream.push(step), other.push(step)]
            differences.push(mine[0]! - its[0]!)
          }
          twin.dispose()
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
        const { history, best, stopped } = await run.stop()
        const { metrics } = await model.evaluate(data)
        model.dispose()
        return { reports, differences, epochs: history.length, step: best.step, stopped, accuracy: metrics.accuracy!.value }
      })
      expect(result.reports.length).toBeGreaterThanOrEqual(5)
      expect(result.reports).toEqual([...result.reports].sort((a, b) => a - b))
      expect(Math.max(...result.differences.map(Math.abs))).toBeLessThan(1e-6)
      expect(result.differences.length).toBeGreaterThan(60)
      expect(result.stopped).toBe('stop')
      expect(result.step).toBeGreaterThan(0)
      expect(result.accuracy).toBeGreaterThan(0.7)
    })

    it('abort rejects with the reason, and the model stays usable', async () => {
      const result = await opened.page.evaluate(async () => {
        const data = bptt.task()
        const model = new bptt.RNN({ input: 3, state: 24, output: 2 })
        const stop = new AbortController()
        const before = bptt.weightsOf(model)
        const run = model.train(data, { epochs: 1e6, signal: stop.signal, onProgress: () => stop.abort(new Error('enough')) })
        const message = await run.then(
          () => 'it ended',
          (error: Error) => error.message,
        )
        const after = bptt.weightsOf(model)
        const { history } = await model.train(data, { epochs: 1 })
        model.dispose()
        return { message, changed: after.some((v, i) => v !== before[i]), finite: after.every(Number.isFinite), epochs: history.length }
      })
      expect(result).toEqual({ message: 'enough', changed: true, finite: true, epochs: 1 })
    })

    it.each([
      ['in the Worker', true],
      ['in slices on its own thread', false],
    ] as const)('the page goes on drawing: %s', { timeout: 60_000 }, async (_, inWorker) => {
      const { page } = await open(site.url)
      await page.waitForFunction('globalThis.bptt')
      const measured = await page.evaluate(async (inWorker) => {
        if (!inWorker) bptt.configure({ worker: false })
        const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))
        const model = new bptt.RNN({ input: 3, state: 64, output: 2, threads: 1 })
        const data = bptt.task(1000)
        await model.train(data, { epochs: 1 })
        const idle = bptt.frames()
        await pause(1500)
        const idleGaps = idle.end()
        let steps = 0
        const run = model.train(data, { epochs: 1e6, onProgress: ({ step }) => (steps = step) })
        const drawing = bptt.frames()
        await pause(3000)
        const gaps = drawing.end()
        await run.stop()
        return { idle: idleGaps, gaps, steps }
      }, inWorker)
      const [idle, p50, p99, worst] = [quantile(measured.idle, 0.99), ...[0.5, 0.99, 1].map((q) => quantile(measured.gaps, q))] as [
        number,
        number,
        number,
        number,
      ]
      const ms = (value: number) => `${value.toFixed(1)} ms`
      console.log(
        `frames while training: median ${ms(p50)}, p99 ${ms(p99)}, worst ${ms(worst)}; p99 of an idle page ${ms(idle)}; ${measured.steps} updates`,
      )
      expect(measured.steps).toBeGreaterThan(10)
      expect(measured.gaps.length).toBeGreaterThan(10) // a page that was frozen would have drawn once or twice
      expect(page.workers()).toHaveLength(inWorker ? 1 : 0)
      await page.close()
    })
  })

  it('in a page without Workers an update of a second is done in slices, with the same bits, and ends when it is told to', {
    timeout: 120_000,
  }, async () => {
    const { page } = await open(site.url)
    await page.waitForFunction('globalThis.bptt')
    /** Two updates, and the milliseconds between frames meanwhile; then a run that is aborted in mid-update. */
    const trained = () =>
      page.evaluate(async () => {
        const model = new bptt.RNN({ input: 3, state: 1024, output: 2, init: 'pytorch', backend: 'wasm' })
        const { x, y } = bptt.task(64)
        const long = { x: x.map((steps) => [...steps, ...steps, ...steps]), y }
        const drawing = bptt.frames()
        await model.train(long, { epochs: 1, batchSize: 32 })
        const gaps = drawing.end()
        const weights = bptt.weightsOf(model)
        const during = model.train(long, { epochs: 100, batchSize: 64, signal: AbortSignal.timeout(100) })
        const name = await during.then(
          () => 'done',
          (error: Error) => error.name,
        )
        const kept = bptt.weightsOf(model).every((w, i) => w === weights[i])
        model.dispose()
        return { gaps, weights, name, kept }
      })
    const there = await trained()
    expect(page.workers()).toHaveLength(1)
    await page.reload()
    await page.evaluate('delete globalThis.Worker')
    await page.waitForFunction('globalThis.bptt')
    const here = await trained()
    expect(page.workers()).toHaveLength(0)
    expect(createHash('sha256').update(here.weights).digest()).toEqual(createHash('sha256').update(there.weights).digest())
    expect([here.name, here.kept]).toEqual(['TimeoutError', true])
    const [p50, p99, worst] = [0.5, 0.99, 1].map((q) => quantile(here.gaps, q).toFixed(1))
    console.log(`frames over two updates: ${here.gaps.length}, median ${p50} ms, p99 ${p99} ms, worst ${worst} ms`)
    expect(here.gaps.length).toBeGreaterThan(10)
    await page.close()
  })

  it('toBytes() and load(Blob) give the same model, and the bytes are those of Node', async () => {
    const config = { input: 3, state: 24, output: ['no', 'yes'], numerics: 'portable' } as const
    const { bytes, same, label } = await opened.page.evaluate(async (config) => {
      const data = bptt.task()
      const model = new bptt.RNN(config)
      await model.train(data, { epochs: 2 })
      const bytes = await model.toBytes()
      const loaded = await bptt.RNN.load<typeof model>(new Blob([bytes as Uint8Array<ArrayBuffer>]))
      const [one, other] = await Promise.all([model, loaded].map((m) => m.predict(data.x[7]!)))
      return { bytes, same: one!.probability === other!.probability, label: other!.label }
    }, config)
    expect(same).toBe(true)
    expect(['no', 'yes']).toContain(label)
    const { RNN } = await import('bptt')
    const here = await RNN.load<RNN<3, ['no', 'yes']>>(bytes)
    expect(Buffer.from(await here.toBytes())).toEqual(Buffer.from(bytes))
  })

  it('200 models that are made, trained and dropped leave no growth', { timeout: 120_000 }, async ({ skip }) => {
    if (Number.isNaN(await memory())) skip('the memory of pages can be seen on Linux only')
    const { page } = await open(site.url)
    await page.waitForFunction('globalThis.bptt')
    /** Each has 2.4 MB of weights, gradients and moments outside of the JavaScript heap, in the Worker. */
    const many = (count: number, keep = false) =>
      page.evaluate(
        async ([count, keep]) => {
          const { x, y } = bptt.task(2)
          for (let i = 0; i < count; i++) {
            const model = new bptt.RNN({ input: 3, state: 384, output: 2, init: 'pytorch' })
            await model.train({ x, y }, { epochs: 1 })
            if (i % 2) model.stream().push([1, 2, 3])
            if (keep) Object.assign(globalThis, { [`kept${i}`]: model })
            if (i % 10 < 9) continue
            for (let n = 0; n < 4; n++) {
              gc()
              await new Promise((resolve) => setTimeout(resolve, 5))
            }
          }
        },
        [count, keep] as const,
      )
    /** What remains after a collection in the page and in its Worker, which gc() does not reach: what waits there for one is no growth. */
    const remaining = async () => {
      await page.evaluate(() => (performance as unknown as { measureUserAgentSpecificMemory(): unknown }).measureUserAgentSpecificMemory())
      return memory()
    }
    await many(50)
    const before = await remaining()
    await many(150)
    const after = await remaining()
    await many(30, true)
    const kept = (await remaining()) - after
    console.log(
      `growth over 150 models that were dropped: ${Math.round(after - before)} MiB; over 30 that were kept: ${Math.round(kept)} MiB`,
    )
    expect(kept).toBeGreaterThan(60) // the measure sees what it should
    expect(after - before).toBeLessThan(30)
    await page.close()
  })
})
