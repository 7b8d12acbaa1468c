/*
 * Engines in the training Worker: the same bits as on the calling thread, stops, disposal, death of the Worker, and processes that end
 * while it works. Life cycles run in child processes.
 */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { afterEach, describe, expect, it } from 'vitest'
import type { Engine, Job } from '#lib/backends/engine.js'
import { configureWorker, createEngine } from '#lib/backends/remote.js'
import { loadBackend } from '#lib/backends/select.js'
import { NONE, UNIT_FLOATS } from '#lib/plan/memory.js'
import { Optimizer, RESULT_FIELDS, Result, Status } from '#lib/plan/operations.js'
import { Scalar } from '#lib/plan/optimizers.js'
import { createReference } from '#lib/reference/engine.js'
import { elman, planOf, valuesFor, writesOf } from './reference-net.js'
import { adam, base, jobOf } from './support/jobs.js'

const options = { numerics: 'fast', threads: 1 } as const
const lib = join(import.meta.dirname, '..', 'dist', 'node')

/** `count` training steps of a small net. */
function job(count: number, states = 9): Job & { one: Job } {
  const shape = {
    input: 4,
    states: [states],
    outputs: 3,
    tokens: false,
    cell: 'TANH',
    head: 'SOFTMAX',
    readout: 'all',
    twoBiases: false,
  } as const
  const net = elman(shape, { lengths: [7, 5, 2], scale: 0.1, scalars: { [Scalar.LR]: 0.05 } })
  const values = valuesFor(net, 1)
  const plan = planOf([
    ...net.forward,
    ...net.backward,
    ['GUARD'],
    ['UPDATE', net.p.U0!, net.firstGradient, NONE, NONE, NONE, net.parameterUnits, net.parameterUnits, Optimizer.SGD, 0],
  ])
  const frames = new Int32Array(net.frame.length * count)
  for (let n = 0; n < count; n++) frames.set(net.frame, n * net.frame.length)
  const reads = [
    { at: net.p.U0!, kind: 'float32' as const, length: net.parameterUnits * UNIT_FLOATS },
    { at: net.rowLoss, kind: 'float64' as const, length: 4 },
  ]
  const whole = { bytes: net.bytes, writes: writesOf(net, values), plan, frames, count, reads }
  return { ...whole, one: { ...whole, writes: [], frames: net.frame, count: 1 } }
}
const statuses = (results: Float64Array) =>
  Array.from({ length: results.length / RESULT_FIELDS }, (_, n) => results[n * RESULT_FIELDS + Result.STATUS])

const engines: Engine[] = []
const remote = () => {
  const engine = createEngine(loadBackend('reference'), options)
  engines.push(engine)
  return engine
}
afterEach(() => {
  for (const engine of engines.splice(0)) engine.dispose()
  configureWorker(undefined)
})

describe.each([
  ['in the Worker', undefined],
  ['on this thread', false],
] as const)('%s', (_, choice) => {
  it('computes the same bits as on the calling thread, for several engines at a time', async () => {
    configureWorker(choice)
    const small = job(40)
    const large = job(9, 21)
    const [a, b] = await Promise.all([remote().submit(small), remote().submit(large)])
    for (const [result, same] of [
      [a, small],
      [b, large],
    ] as const) {
      const { results, reads } = createReference().run(same)
      expect(result.results).toEqual(results)
      expect(result.reads).toEqual(reads)
      expect(result.seconds).toBeGreaterThan(0)
    }
  })

  it('keeps its memory between jobs, and the plan is sent once', async () => {
    configureWorker(choice)
    const { one, ...first } = job(2)
    const engine = remote()
    await engine.submit(first)
    const { plan, frames, ...rest } = one
    const last = await engine.submit({ ...rest, frames, plan: { ...plan, code: new Int32Array(0) } }) // only its id counts now
    const local = createReference()
    local.run(first)
    expect(last.reads).toEqual(local.run(one).reads)
  })

  it('has copied everything when submit returns', async () => {
    configureWorker(choice)
    const mine = job(5)
    const expected = createReference().run(mine)
    const running = remote().submit(mine)
    mine.frames.fill(-1)
    for (const { data } of mine.writes) data.fill(NaN as never)
    expect((await running).reads).toEqual(expected.reads)
    expect(mine.frames[0]).toBe(-1) // not detached
  })

  it('stops between updates, and the next job runs', async () => {
    configureWorker(choice)
    const engine = remote()
    const long = job(200_000)
    await engine.submit(long.one) // the Worker is there
    const running = engine.submit(long)
    setTimeout(() => engine.stop(), 100)
    const { results, reads } = await running
    const list = statuses(results)
    const done = list.findIndex((status) => status !== Status.DONE)
    expect(done).toBeGreaterThan(0)
    expect(list[done]).toBe(Status.STOPPED)
    expect(list.slice(done + 1).every((status) => status === Status.PENDING)).toBe(true)
    expect(reads[0]).toEqual(createReference().run({ ...long, count: done }).reads[0])
    expect(statuses((await engine.submit(long.one)).results)).toEqual([Status.DONE])
  })

  it('reports errors with their code', async () => {
    configureWorker(choice)
    const mine = job(1)
    await expect(remote().submit({ ...mine, bytes: [64, 2 ** 52, 0, 0, 0] })).rejects.toMatchObject({
      name: 'BpttError',
      code: 'ERR_OUT_OF_MEMORY',
      received: expect.stringContaining('bytes'),
    })
    await expect(remote().submit({ ...mine, writes: [{ at: 2 ** 20, data: new Float32Array(1) }] })).rejects.toMatchObject({
      code: 'ERR_INTERNAL',
    })
  })

  it('disposed: the job in flight and later ones reject', async () => {
    configureWorker(choice)
    const engine = remote()
    const running = engine.submit(job(200_000))
    setTimeout(() => engine.dispose(), 50)
    await expect(running).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    await expect(engine.submit(job(1))).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    expect(statuses((await remote().submit(job(1))).results)).toEqual([Status.DONE])
  })
})

it('runs the WebAssembly engine as well, to the same bits in its portable class', async () => {
  const engine = createEngine(loadBackend('wasm'), { numerics: 'portable', threads: 1 })
  engines.push(engine)
  expect(engine.description).toMatchObject({ name: 'wasm', arithmetic: 'mul-add' })
  const mine = job(30)
  const { results, reads } = await engine.submit(mine)
  expect({ results, reads }).toEqual({ results: createReference().run(mine).results, reads: createReference().run(mine).reads })
})

it('on this thread, an answer asked for in mid-update does not wait for its end, and changes nothing', async () => {
  configureWorker(false)
  const wasm = () => {
    const engine = createEngine(loadBackend('wasm'), { numerics: 'portable', threads: 1 })
    engines.push(engine)
    return engine
  }
  const sequences = { network: { ...base, state: [700] }, lengths: Array<number>(16).fill(60) }
  const { compiled, bytes, writes, frame, layout } = jobOf({ ...sequences, update: adam })
  const reads = [{ at: layout.p, kind: 'float32', length: layout.table.units * UNIT_FLOATS } as const]
  const update: Job = { bytes, writes, plan: compiled.plan, frames: new Int32Array(frame.ints), count: 1, reads }
  const alone = await wasm().submit(update)
  const order: string[] = []
  const running = wasm()
    .submit(update)
    .finally(() => order.push('update'))
  const mine = job(3)
  const expected = createReference().run(mine).reads
  for (const asked of ['first', 'second']) {
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await wasm().submit(mine)).reads).toEqual(expected)
    order.push(asked)
  }
  const { results, reads: weights } = await running
  expect(order).toEqual(['first', 'second', 'update'])
  expect({ results, weights }).toEqual({ results: alone.results, weights: alone.reads })
})

it('says that memory is lost when the Worker dies, then starts another', async () => {
  const workers: Worker[] = []
  configureWorker(() => {
    const worker = new Worker(join(lib, 'backends', 'worker.js'))
    workers.push(worker)
    return worker
  })
  const [busy, idle] = [remote(), remote()]
  await idle.submit(job(1))
  const running = busy.submit(job(200_000))
  setTimeout(() => void workers[0]!.terminate(), 50)
  const lost = { code: 'ERR_BACKEND', message: expect.stringMatching(/training Worker died.*weights/) }
  await expect(running).rejects.toMatchObject(lost)
  await expect(idle.submit(job(1).one)).rejects.toMatchObject(lost) // never silently from zeros
  for (const engine of [busy, idle]) expect(statuses((await engine.submit(job(2))).results)).toEqual([Status.DONE, Status.DONE])
  expect(workers.length).toBe(2)
})

it('says why a Worker could not be made, each time', async () => {
  configureWorker(() => new Worker(join(lib, 'backends', 'no-such-file.js')))
  const engine = remote()
  for (let i = 0; i < 2; i++)
    await expect(engine.submit(job(1))).rejects.toMatchObject({ code: 'ERR_BACKEND', message: expect.stringContaining('no-such-file') })
})

/** What every child program can use: an engine, and a job that sets `units` of HOME to zero `count` times. */
const PRELUDE = `
  const { createEngine } = require(${JSON.stringify(join(lib, 'backends/remote.js'))})
  const { loadBackend } = require(${JSON.stringify(join(lib, 'backends/select.js'))})
  const { Opcode } = require(${JSON.stringify(join(lib, 'plan/operations.js'))})
  const size = require(${JSON.stringify(join(lib, 'plan/frame.js'))}).frameInts(0, 0)
  const remote = () => createEngine(loadBackend('reference'), { numerics: 'fast', threads: 1 })
  const job = (count, units = 1 << 14) => {
    const frames = new Int32Array(size * count)
    for (let n = 0; n < count; n++) frames[n * size] = size
    const plan = { id: 1, code: Int32Array.of(Opcode.ZERO, 0, units), constants: new Float64Array(0) }
    return { bytes: [64 * units, 0, 0, 0, 0], writes: [], plan, frames, count, reads: [] }
  }
`

/** One that hangs is ended by a signal. The limit is for busy machines: a process ends within a second of its cause. */
function child(program: string, args: string[] = []): Promise<{ code: number | null; signal: string | null; output: string }> {
  return new Promise((resolve) => {
    const started = spawn(process.execPath, [...args, '-e', PRELUDE + program], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 100_000 })
    let output = ''
    started.stdout.on('data', (data) => (output += data))
    started.stderr.on('data', (data) => (output += data))
    started.on('close', (code, signal) => resolve({ code, signal, output }))
  })
}

describe('the process', { timeout: 120_000 }, () => {
  const LONG = 'job(3e5)' // minutes of work
  const ends = async (program: string, code: number, output: string | RegExp = '', args: string[] = []) => {
    const end = await child(program, args)
    expect(end, JSON.stringify(end)).toMatchObject({ code, signal: null })
    if (typeof output === 'string') expect(end.output).toBe(output)
    else expect(end.output).toMatch(output)
  }

  it('lives while a job is in flight, and ends by itself after it', () =>
    ends(`remote().submit(job(20)).then(({ results }) => console.log(results.length))`, 0, '160\n'))
  it('ends by itself with idle and with unused engines', () =>
    ends(`remote(); const e = remote(); e.submit(job(1)).then(() => console.log('done'))`, 0, 'done\n'))
  it('ends by itself after disposing of an engine in flight', () =>
    ends(
      `const e = remote(); e.submit(${LONG}).catch((error) => console.log(error.code)); setTimeout(() => e.dispose(), 200)`,
      0,
      'ERR_DISPOSED\n',
    ))
  it('does not hand its own flags to the Worker', () =>
    ends(`remote().submit(job(1)).then(() => console.log('done'))`, 0, 'done\n', [
      '--input-type=commonjs',
      '--expose-gc',
      '--stack-trace-limit=3',
    ]))
  it('ends with an uncaught error while a job is in flight', () =>
    ends(`remote().submit(${LONG}); setTimeout(() => { throw new Error('mine') }, 100)`, 1, /Error: mine/))

  it('exits 20 times with a job in flight', async () => {
    for (let n = 0; n < 20; n++) await ends(`remote().submit(${LONG}); setTimeout(() => process.exit(7), ${20 + 10 * n})`, 7)
  })

  it('terminates a Worker of the user that trains', () => {
    const source = `${PRELUDE} remote().submit(${LONG}); require('worker_threads').parentPort.postMessage('started')`
    return ends(
      `const { Worker } = require('worker_threads')
       async function main() {
         for (let n = 0; n < 5; n++) {
           const worker = new Worker(${JSON.stringify(source)}, { eval: true })
           await new Promise((resolve) => worker.once('message', resolve))
           await new Promise((resolve) => setTimeout(resolve, 20 * n))
           await worker.terminate()
         }
         console.log('clean')
       }
       main()`,
      0,
      'clean\n',
    )
  })

  it('works without SharedArrayBuffer, stops included', () =>
    ends(
      `delete globalThis.SharedArrayBuffer
       const e = remote()
       e.submit(${LONG}).then(({ results }) => console.log(results.includes(4)))
       setTimeout(() => e.stop(), 200)`,
      0,
      'true\n',
    ))

  it('works in slices where no Worker can be started, and says so', () =>
    ends(
      `require('node:worker_threads').Worker = class { constructor() { throw new Error('none here') } }
       let turns = 0
       const count = setInterval(() => turns++, 1)
       const e = remote()
       e.submit(${LONG}).then(({ results }) => { clearInterval(count); console.log(results.includes(4), turns > 10) })
       setTimeout(() => e.stop(), 300)`,
      0,
      /no training Worker could be started \(none here\)[\s\S]*true true/,
    ))

  it('frees engines that nobody holds', () =>
    ends(
      `const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))
       const big = job(1, 2 ** 20) // 64 MiB, all of it touched
       async function main() {
         for (let n = 0; n < 32; n++) {
           await remote().submit(big)
           await pause(10)
           gc()
           await pause(10)
         }
         const MiB = process.memoryUsage().rss / 2 ** 20
         console.log(MiB < 1000 ? 'freed' : MiB)
       }
       main()`,
      0,
      'freed\n',
      ['--expose-gc'],
    ))
})
