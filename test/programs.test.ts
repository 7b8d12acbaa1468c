/* The programs that users write on their first day, with data, on the backend that they get: they run, and what they print makes sense. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BpttError, RNN, text } from 'bptt'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { randoms, sequencesOf, signs } from './support/tasks.js'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bptt-programs-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

it('names: strings in, languages out', async () => {
  const names = ['Yamamoto', 'Tanaka', 'Suzuki', 'Rossi', 'Bianchi', 'Ricci', 'Novak', 'Horak', 'Dvorak', 'Nakata', 'Conti', 'Marek']
  const langs = ['ja', 'ja', 'ja', 'it', 'it', 'it', 'cs', 'cs', 'cs', 'ja', 'it', 'cs']
  const chars = text.chars(names.join(''))
  const m = new RNN({ input: chars, state: 24, output: [...new Set(langs)].sort() })
  const { history } = await m.train({ x: names, y: langs }, { epochs: 80, validation: 0.25, optimizer: { adam: { lr: 0.01 } } })
  expect(history.at(-1)!.validation!.count).toBe(3)
  const p = await m.predict('Yamamoto')
  expect(['cs', 'it', 'ja']).toContain(p.label)
  expect((await m.predictMany(names))[0]!.probability).toBeCloseTo(p.probability, 7)
  expect((await m.evaluate({ x: names, y: langs })).metrics['accuracy']!.value).toBeGreaterThan(0.7)
  m.dispose()
})

it('a forecast from windows of a series', async () => {
  const m = new RNN({ input: 1, state: 16, output: { linear: 1 } })
  const v = Float32Array.from({ length: 200 }, (_, i) => Math.sin(i / 5))
  const x = Array.from({ length: 170 }, (_, i) => v.subarray(i, i + 24))
  const y = x.map((_, i) => v[i + 24]!)
  const { history } = await m.train({ x, y }, { epochs: 60, validation: { fraction: 0.2, by: 'tail' }, optimizer: { adam: { lr: 0.01 } } })
  const { value, baseline } = history.at(-1)!.validation!.metrics['mse']!
  expect(value).toBeLessThan(baseline)
  expect((await m.predict(x[0]!)).value).toBeCloseTo(y[0]!, 0)
  m.dispose()
})

it('labels for every step, with gaps and with steps that do not count', async () => {
  const m = new RNN({ input: 2, state: [12, 8], output: { sigmoid: ['up', 'high'] }, readout: 'all', missing: 'mask' })
  const x = sequencesOf([9, 7, 8, 9], 2)
  const y = x.map((steps) => steps.map(([a, b], i) => (i === 2 ? null : [a! > 0 ? 1 : 0, b! > 0.5 ? 1 : 0])))
  x[0]![4]![0] = Number.NaN
  await m.train({ x, y }, { epochs: 200, optimizer: { adam: { lr: 0.02 } } })
  const p = await m.predict(x[1]!)
  expect(p).toHaveLength(7)
  expect(p[3]!.labels.includes('up')).toBe(x[1]![3]![0]! > 0)
  m.dispose()
})

it('a language model that writes', async () => {
  const corpus = 'the cat sat on the mat. '.repeat(40)
  const v = text.chars(corpus)
  const m = new RNN({ input: v, state: 40, output: v, readout: 'all' })
  const rows = Array.from({ length: 8 }, (_, i) => corpus.slice(i * 100, (i + 1) * 100 + 1))
  await m.train(
    { x: rows.map((r) => r.slice(0, -1)), y: rows.map((r) => r.slice(1)) },
    { epochs: 60, batchSize: 8, bptt: { window: 25, carryState: true }, optimizer: { adam: { lr: 0.01 } } },
  )
  const live = m.stream()
  let p: Float32Array = new Float32Array()
  for (const id of v.encode('the c')) p = live.push(id)
  let out = ''
  for (let i = 0; i < 11; i++) {
    const k = p.indexOf(Math.max(...p))
    out += v.labels[k]
    p = live.push(k)
  }
  expect(out).toBe('at sat on t')
  m.dispose()
})

it('a stream that notices what it did not expect', async () => {
  const m = new RNN({ input: 1, state: 12, output: { linear: 1 }, readout: 'all' })
  const wave = Array.from({ length: 120 }, (_, i) => Math.sin(i / 3))
  await m.train({ x: [wave.slice(0, -1)], y: [wave.slice(1)] }, { epochs: 200, optimizer: { adam: { lr: 0.01 } } })
  const path = join(folder, 'cpu.safetensors')
  await m.save(path)
  const loaded = await RNN.load<RNN<1, { linear: 1 }, 'all'>>(path)
  const live = loaded.stream()
  let want = Number.NaN
  const alarms: number[] = []
  for (const [i, w] of [...wave.slice(0, 60), 9, ...wave.slice(60, 70)].entries()) {
    if (Math.abs(want - w) > 4) alarms.push(i)
    want = live.push([w])[0]!
  }
  expect(alarms).toEqual([60])
  for (const model of [m, loaded]) model.dispose()
})

it('a training loop of one’s own, and one that stops when it is good', async () => {
  const x = sequencesOf(Array(48).fill(5), 4)
  const y = signs(x).map((s) => (s ? 'a' : 'b') as 'a' | 'b')
  const m = new RNN({ input: 4, state: 8, output: ['a', 'b'] })
  const t = m.trainer({ optimizer: { sgd: { lr: 0.1, momentum: 0.9, nesterov: true } }, clipNorm: false })
  const losses: number[] = []
  for (let i = 0; i < 60; i++) losses.push((await t.step({ x, y }, { lr: 0.1 * 0.97 ** i })).loss)
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 2)
  const run = m.train({ x, y }, { epochs: 100, validation: 0.25, schedule: (s, n) => 1e-2 * (1 - s / n) })
  let epochs = 0
  for await (const e of run) {
    epochs++
    if (e.validation && e.validation.loss < 10) break
  }
  expect(epochs).toBe(1)
  expect((await run).stopped).toBe('stop')
  m.dispose()
})

it('a state dict in, a file out', async () => {
  const random = randoms(1)
  const from = new RNN({ input: 2, state: 3, output: ['ham', 'spam'] })
  const path = join(folder, 'x.safetensors')
  await from.save(path)
  const m = await RNN.fromPyTorch(readFileSync(path), { output: ['ham', 'spam'], nonlinearity: 'tanh' })
  const w = [Array.from({ length: 2 }, random)]
  expect(await m.predict(w)).toEqual(await from.predict(w))
  m.setWeights({
    U: [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    W: new Float32Array(9),
  })
  expect(Array.from(m.U.data)).toEqual([1, 2, 3, 4, 5, 6])
  for (const model of [m, from]) model.dispose()
})

it('where the gradient vanishes, and what any model says', async () => {
  const m = new RNN({ input: 4, state: 64, output: ['a', 'b'], init: 'pytorch' })
  const { stateGradientNorms } = await m.gradients({ x: sequencesOf([30], 4), y: ['a'] })
  const [norms] = stateGradientNorms
  expect(norms!.data[1]! / norms!.data[30]!).toBeLessThan(1e-3)
  const any = await RNN.load(await m.toBytes())
  const p = await any.predict([[1, 2, 3, 4]])
  expect(!Array.isArray(p) && p.kind === 'softmax' && ['a', 'b'].includes(p.label as string)).toBe(true)
  const error = await m.train({ x: [], y: [] }).catch((e) => e)
  expect(error instanceof BpttError && error.code).toBe('ERR_EMPTY')
  m.dispose()
})
