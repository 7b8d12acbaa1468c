/*
 * The WebAssembly engine with threads: the bits of one thread from whole plans of every operation, whoever comes and goes; stops, ends and
 * failures that leave nobody waiting.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { Job, LocalEngine } from '#lib/backends/engine.js'
import { createLocal } from '#lib/backends/wasm.js'
import type { Exports } from '#lib/backends/wasm-instance.js'
import { NONE } from '#lib/plan/memory.js'
import { Result, Status } from '#lib/plan/operations.js'
import { platform } from '#lib/platform/platform.js'
import type { Platform } from '#lib/platform/seam.js'
import { elman, planOf, type Shape, valuesFor, writesOf } from './reference-net.js'
import { inChild } from './support/child.js'
import { bitsOf, outputsOf, type Step } from './support/outputs.js'

const machine = platform() as { -readonly [K in keyof Platform]: Platform[K] }
const { threads, unshared } = machine
afterEach(() => Object.assign(machine, { threads, unshared }))

/** An engine with so many threads, however few processors there are. */
function engineOf(count: number, asked?: () => number): LocalEngine {
  machine.threads = () => count
  return createLocal({ numerics: 'portable', threads: count }, asked)
}

type Parts = { pages: { buffer: ArrayBuffer }; exports: Exports; helpers: number }
const insideOf = (engine: LocalEngine) => (engine as unknown as { held: { parts: { exports: Exports } } }).held.parts.exports

/** Which helpers have been called and have not gone. */
function calledIn(engine: LocalEngine): number[] {
  const { pages, exports, helpers } = (engine as unknown as { held: { parts: Parts } }).held.parts
  return [...new Int32Array(pages.buffer, exports.called.value, helpers)]
}

/** Runs a job until as many threads have worked on it as there are to be. */
function together(engine: LocalEngine, job: Job) {
  const { threads } = engine.description
  for (const end = performance.now() + 20_000; ; ) {
    const result = engine.run(job)
    if (insideOf(engine).team() === threads) return result
    if (performance.now() > end) throw new Error(`${insideOf(engine).team()} threads of ${threads} have come`)
  }
}

const require = createRequire(import.meta.url)

/** An engine of a package that has no helpers yet, and the Workers that it makes. */
function fresh(count: number) {
  for (const file of Object.keys(require.cache)) if (file.includes(join('dist', 'node'))) delete require.cache[file]
  const here = require('#lib/platform/platform.js').platform() as typeof machine
  const workers: Worker[] = []
  const { spawn } = here
  const make = () => {
    const worker = new Worker(require.resolve('#lib/backends/worker.js'))
    workers.push(worker)
    return worker
  }
  here.threads = () => count
  here.spawn = (_make, ...rest) => spawn(make, ...rest)
  const wasm = require('#lib/backends/wasm.js') as { createLocal: typeof createLocal }
  return { workers, engine: wasm.createLocal({ numerics: 'portable', threads: count }) }
}

const base: Shape = { input: 9, states: [64], outputs: 21, tokens: false, cell: 'TANH', head: 'SOFTMAX', readout: 'all', twoBiases: false }
const ragged = Array.from({ length: 30 }, (_, q) => Math.max(0, 40 - q - (q % 3)))
  .sort((a, b) => b - a)
  .concat([0, 0])

const nets: { title: string; shape: Shape; lengths: number[] }[] = [
  { title: 'softmax at every step', shape: base, lengths: ragged },
  { title: 'read out at the end', shape: { ...base, readout: 'last', head: 'LINEAR', states: [70], outputs: 3 }, lengths: ragged },
  { title: 'stacked, two biases', shape: { ...base, states: [33, 66], cell: 'RELU', head: 'SIGMOID', twoBiases: true }, lengths: ragged },
  { title: 'tokens', shape: { ...base, tokens: true, input: 50, cell: 'SIGMOID' }, lengths: Array<number>(16).fill(30) },
]

/** Everything that a training step has, as one plan. */
function stepOf({ shape, lengths }: { shape: Shape; lengths: number[] }) {
  const net = elman(shape, { lengths, scale: 0.01 })
  const steps = [...net.forward, ...net.backward] as Step[]
  const outputs = steps.flatMap((op) => outputsOf(op, net))
  const job: Job = { bytes: net.bytes, writes: [], plan: planOf(steps), frames: net.frame, count: 1, reads: outputs }
  return { job: { ...job, writes: writesOf(net, valuesFor(net, 7)) }, outputs }
}

describe('the same bits', () => {
  test.each(nets)('$title', (net) => {
    const { job, outputs } = stepOf(net)
    const bits = [1, 2, 3].map((count) => {
      const engine = engineOf(count)
      const { results, reads } = together(engine, job)
      engine.dispose()
      return [[...results].map(String), ...reads.map((data, i) => bitsOf(data, outputs[i]!))]
    })
    for (const more of bits.slice(1)) expect(more).toEqual(bits[0])
  })

  test('when memory grows between frames', () => {
    const { job, outputs } = stepOf(nets[0]!)
    const engine = engineOf(2)
    const [before, after] = [0, 2 ** 22].map((more) => {
      const { reads } = together(engine, { ...job, bytes: job.bytes.map((size) => size + more) })
      return reads.map((data, i) => bitsOf(data, outputs[i]!))
    })
    expect(after).toEqual(before)
  })
})

test('helpers go that never had anything to do', async () => {
  const { job } = stepOf(nets[0]!)
  const { workers, engine } = fresh(2)
  engine.run(job)
  expect(calledIn(engine)).toEqual([1])
  await vi.waitFor(() => expect(calledIn(engine)).toEqual([0]), 5000)
  expect(workers).toHaveLength(1)
})

test('helpers go when there is nothing to do, and come back', async () => {
  const { job } = stepOf(nets[0]!)
  const engine = engineOf(3)
  for (let round = 0; round < 2; round++) {
    together(engine, job)
    await new Promise((resolve) => setTimeout(resolve, 700))
    expect(insideOf(engine).complete()).toBe(0)
  }
})

test('how large a frame is decides whether it is shared, not what ran before it', () => {
  const { job: large } = stepOf(nets[0]!)
  const { job: small } = stepOf({ ...nets[0]!, lengths: Array<number>(8).fill(2) })
  const engine = engineOf(2)
  const teamOf = (job: Job) => {
    engine.run(job)
    return insideOf(engine).team()
  }
  together(engine, large)
  // The helper may have gone meanwhile, on a machine with too much to do.
  let shared = false
  for (let tries = 0; !shared && tries < 100; tries++) {
    expect([teamOf(small), teamOf(small)]).toEqual([1, 1])
    shared = teamOf(large) === 2
  }
  expect(shared).toBe(true)
})

test('a stop is one for all, between operations and inside a loop over time', () => {
  let status: number = Status.PENDING
  const { job } = stepOf({ ...nets[0]!, lengths: Array<number>(16).fill(400) })
  const engine = engineOf(2, () => status)
  together(engine, job)
  status = Status.STOPPED
  const { results } = engine.run(job)
  expect(results[Result.STATUS]).toBe(Status.STOPPED)
  expect(insideOf(engine).team()).toBe(2)
  status = Status.PENDING
  expect(together(engine, job).results[Result.STATUS]).toBe(Status.DONE)
})

test('what is not finite ends the frame in all threads', () => {
  const { job } = stepOf(nets[0]!)
  const engine = engineOf(2)
  together(engine, job)
  const code = [...job.plan.code, ...planOf([['GUARD'], ['UPDATE', 0, 0, NONE, NONE, NONE, 1, 1, 0, 0]]).code]
  const plan = { ...job.plan, id: -7, code: Int32Array.from(code) }
  const writes = [...job.writes]
  writes[0] = { ...writes[0]!, data: new Float32Array(writes[0]!.data.length).fill(NaN) }
  const { results } = engine.run({ ...job, plan, writes })
  expect(results[Result.STATUS]).toBe(Status.NONFINITE_LOSS)
  expect(insideOf(engine).team()).toBe(2)
  expect(together(engine, job).results[Result.STATUS]).toBe(Status.DONE)
})

test('a thread that fails does not leave the others waiting: the engine says so, and the next one works', () => {
  const { job } = stepOf(nets[0]!)
  const engine = engineOf(2)
  together(engine, job)
  insideOf(engine).fail() // what a helper does when its kernels trap
  expect(() => {
    for (let n = 0; n < 100; n++) engine.run(job)
  }).toThrow(/kernels failed/)
  expect(() => engine.run(job)).toThrow(/kernels failed/)
  const next = engineOf(2)
  expect(together(next, job).results[Result.STATUS]).toBe(Status.DONE)
})

describe('a helper that dies', () => {
  test('between two frames is known by the next one, which goes on alone, with the same bits', async () => {
    const { job, outputs } = stepOf(nets[0]!)
    const { workers, engine } = fresh(3)
    const before = together(engine, job)
    await workers[0]!.terminate()
    const after = engine.run(job)
    expect(insideOf(engine).team()).toBe(1)
    expect(after.results).toEqual(before.results)
    const bits = ({ reads }: typeof after) => reads.map((data, i) => bitsOf(data, outputs[i]!))
    expect(bits(after)).toEqual(bits(before))
    await vi.waitFor(() => expect(calledIn(engine)).toEqual([1, 0])) // the other has been let go
    engine.dispose()
  })

  test('in mid-frame ends the engine with a reason, not never', { timeout: 60_000 }, async () => {
    const { job } = stepOf(nets[0]!)
    const { workers, engine } = fresh(2)
    together(engine, job)
    const died = { code: 'ERR_BACKEND', message: expect.stringContaining('died') }
    const gone = workers[0]!.terminate()
    const run = () => {
      for (let n = 0; n < 1e6; n++) engine.run(job)
    }
    expect(run).toThrow(expect.objectContaining(died))
    expect(() => engine.run(job)).toThrow(expect.objectContaining(died))
    await gone
  })
})

test('where memory cannot be shared there is one thread, and the description says why', () => {
  machine.unshared = () => 'no headers'
  expect(engineOf(4).description).toMatchObject({ threads: 1, alone: 'no headers' })
  expect(engineOf(1).description).not.toHaveProperty('alone')
})

test('programs end by themselves, and at once where they are told to', { timeout: 60_000 }, async () => {
  const program = (rest: string) =>
    inChild(`
      const model = make('wasm', { state: 64, threads: 2 });
      const run = model.train({ x, y }, { epochs: 3, batchSize: 64 });
      ${rest}
    `)
  const [natural, exit] = await Promise.all([
    program('run.then(({ history }) => console.log(history.length, model.backend.threads))'),
    program('setTimeout(() => process.exit(7), 150)'),
  ])
  expect(natural).toMatchObject({ code: 0, output: expect.stringMatching(/^3 \d/) })
  expect(exit.code).toBe(7)
})
