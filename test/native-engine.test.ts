/* What a native engine does with a job: numbers, memory, results, errors that change nothing. */
import { RNN } from 'bptt'
import { afterEach, describe, expect, it } from 'vitest'
import type { Job } from '#lib/backends/engine.js'
import type { Place, StreamHost } from '#lib/inference/stream-host.js'
import { address, NONE, Region, stride } from '#lib/plan/memory.js'
import { Head, Optimizer, RESULT_FIELDS, Result, Rows, Status } from '#lib/plan/operations.js'
import { Scalar } from '#lib/plan/optimizers.js'
import { assistant } from '#lib/sequences/numbers.js'
import { bytesOf, frame, layer, longJob, native, noJob, numbers, plan } from './native-plan.js'

const options = { numerics: 'fast', threads: 2 } as const
const HOME = address(Region.HOME, 0)
const engines: { dispose(): void }[] = []
afterEach(() => engines.splice(0).forEach((engine) => engine.dispose()))
const local = (threads = 2) => {
  const engine = native!.createLocal({ ...options, threads })
  engines.push(engine)
  return engine
}
const remote = () => {
  const engine = native!.create(options)
  engines.push(engine)
  return engine
}
const codeOf = (body: () => unknown) => {
  try {
    body()
  } catch (error) {
    return (error as { code?: string }).code
  }
  return 'nothing thrown'
}

/** tanh(U w_i + W s_{i-1} + b) in float64, sequence by sequence. */
function states(K: number, S: number, T: number, U: Float32Array, W: Float32Array, b: Float32Array, x: Float32Array): number[][] {
  let before = new Array<number>(S).fill(0)
  return Array.from({ length: T }, (_, i) => {
    before = before.map((_, n) => {
      let sum = b[n]!
      for (let k = 0; k < K; k++) sum += U[n * K + k]! * x[i * K + k]!
      for (let k = 0; k < S; k++) sum += W[n * S + k]! * before[k]!
      return Math.tanh(sum)
    })
    return before
  })
}

function layerJob(K: number, S: number, B: number, T: number) {
  const { U, W, b, data, s, lines, bytes } = layer(K, S, B, B * T)
  const values = { U: numbers(S * K, 1), W: numbers(S * S, 2, 1 / Math.sqrt(S)), b: numbers(S, 3), x: numbers(B * T * K, 4) }
  const writes = [
    { at: U, data: values.U },
    { at: W, data: values.W },
    { at: b, data: values.b },
    { at: data, data: values.x },
  ]
  const reads = [{ at: s, kind: 'float32', length: B * T * stride(S) }] as const
  return { job: { bytes, writes, plan: plan(lines), frames: frame(B, T), count: 1, reads } satisfies Job, values }
}

describe.skipIf(!native)('a native engine', () => {
  it('computes the states of a layer', () => {
    for (const [K, S, B, T] of [
      [3, 5, 2, 4],
      [1, 16, 1, 7],
      [7, 33, 9, 3],
      [2, 70, 17, 5],
    ] as const) {
      const { job, values } = layerJob(K, S, B, T)
      const { results, reads } = local().run(job)
      expect([...results]).toEqual([Status.DONE, 0, 0, 0, 1, 0, 0, 0])
      for (let q = 0; q < B; q++) {
        const expected = states(K, S, T, values.U, values.W, values.b, values.x.subarray(q * T * K, (q + 1) * T * K))
        for (let i = 0; i < T; i++)
          for (let n = 0; n < S; n++) expect(Math.abs(reads[0]![(i * B + q) * stride(S) + n]! - expected[i]![n]!)).toBeLessThan(2e-6)
      }
    }
  })

  it('gives the same bits for any number of threads, here and on the runner', async () => {
    const { job } = layerJob(5, 130, 24, 40)
    const want = Buffer.from(local(1).run(job).reads[0]!.buffer).toString('base64')
    for (const threads of [2, 3, 8]) expect(Buffer.from(local(threads).run(job).reads[0]!.buffer).toString('base64')).toBe(want)
    expect(Buffer.from((await remote().submit(job)).reads[0]!.buffer).toString('base64')).toBe(want)
  })

  it('keeps what HOME, DATA, CARRY and PACK hold when they grow, and adds zeros', () => {
    const engine = local()
    const kept = ['HOME', 'DATA', 'CARRY', 'PACK'] as const
    const size = (units: number) => bytesOf({ HOME: units, DATA: units, CARRY: units, PACK: units })
    const data = numbers(16, 9)
    engine.run({ ...noJob, bytes: size(1), writes: kept.map((name) => ({ at: address(Region[name], 0), data })) })
    const read = { kind: 'float32', length: 16 * 5000 } as const
    const { reads } = engine.run({ ...noJob, bytes: size(5000), reads: kept.map((name) => ({ at: address(Region[name], 0), ...read })) })
    const expected = new Float32Array(read.length)
    expected.set(data)
    for (const one of reads) expect(Buffer.compare(Buffer.from(one.buffer), Buffer.from(expected.buffer))).toBe(0)
  })

  it('changes nothing where memory cannot be had', () => {
    const engine = local()
    const data = numbers(16, 9)
    engine.run({ ...noJob, bytes: bytesOf({ HOME: 1 }), writes: [{ at: HOME, data }] })
    const writes = [{ at: HOME, data: new Float32Array(16) }]
    expect(codeOf(() => engine.run({ ...noJob, bytes: bytesOf({ HOME: 1, DATA: 2, SCRATCH: 2 ** 28 + 1 }), writes }))).toBe(
      'ERR_OUT_OF_MEMORY',
    )
    // DATA has not grown, and HOME has not been written.
    expect(codeOf(() => engine.run({ ...noJob, reads: [{ at: address(Region.DATA, 0), kind: 'float32', length: 1 }] }))).toBe(
      'ERR_INTERNAL',
    )
    expect(engine.run({ ...noJob, reads: [{ at: HOME, kind: 'float32', length: 16 }] }).reads[0]).toEqual(data)
  })

  /** One linear output from one number: loss w·(p·x − y)², one step of gradient descent. */
  function descent() {
    const [p, g] = [HOME, HOME + 1]
    const [x, y, w] = [0, 1, 2].map((unit) => address(Region.DATA, unit)) as [number, number, number]
    const [h, z, rowLoss, pack] = [
      address(Region.SCRATCH, 0),
      address(Region.SCRATCH, 1),
      address(Region.SCRATCH, 2),
      address(Region.PACK, 0),
    ]
    const code = plan(
      [
        ['PACK', pack, p, 1, 1, 0],
        ['ZERO', g, 1],
        ['FETCH', h, x, 1],
        ['PROJECT', z, h, p, pack, NONE, NONE, 1, 1, Rows.STEPS],
        ['LOSS', z, z, y, w, rowLoss, 1, Head.LINEAR, Rows.STEPS],
        ['SUM_LOSS', rowLoss, Rows.STEPS],
        ['PROJECT_DW', g, z, h, 1, 1, Rows.STEPS],
        ['NORM', g, 1],
        ['GUARD'],
        ['UPDATE', p, g, NONE, NONE, NONE, 1, 1, Optimizer.SGD, 0],
      ],
      [],
    )
    const scalars = [2, 0, 0, 0, 0, 0, 0, 0, 0]
    scalars[1 + Scalar.LR] = 0.25
    const one = frame(1, 1, scalars)
    const job = (input: number, target: number, count: number): Job => ({
      bytes: bytesOf({ HOME: 2, DATA: 3, SCRATCH: 3, PACK: 4 }),
      writes: [
        [p, 3],
        [x, input],
        [y, target],
        [w, 1],
      ].map(([at, value]) => ({ at: at!, data: Float32Array.of(value!) })),
      plan: code,
      frames: Int32Array.from(Array.from({ length: count }, () => [...one]).flat()),
      count,
      reads: [{ at: p, kind: 'float32', length: 1 }],
    })
    return job
  }

  it('updates, frame after frame', () => {
    // p = 3, x = 1, y = 1: dL/dp = 2(p − 1), p ← p − (p − 1)/2
    const { results, reads } = local().run(descent()(1, 1, 3))
    const field = (name: keyof typeof Result) => [0, 1, 2].map((n) => results[n * RESULT_FIELDS + Result[name]])
    expect(field('STATUS')).toEqual([1, 1, 1])
    expect(field('LOSS')).toEqual([4, 1, 0.25])
    expect(field('NORM')).toEqual([4, 2, 1])
    expect(reads[0]![0]).toBe(1.25)
  })

  it('ends a job before an update that is not finite', () => {
    const run = (x: number, y: number) => {
      const { results, reads } = local().run(descent()(x, y, 3))
      return [results[0], results[RESULT_FIELDS], reads[0]![0]]
    }
    expect(run(NaN, 1)).toEqual([Status.NONFINITE_LOSS, Status.PENDING, 3])
    // The loss (6e19 − 1)² is finite in float64, the gradient 2·6e19·2e19 is not in float32.
    expect(run(2e19, 1)).toEqual([Status.NONFINITE_GRADIENT, Status.PENDING, 3])
  })

  it('runs a prepared step on the arrays that it gave out', () => {
    const engine = local()
    const { job, values } = layerJob(3, 5, 1, 1)
    engine.run(job)
    const { at } = job.writes[3]!
    const step = engine.prepare({
      bytes: job.bytes,
      plan: job.plan,
      frame: job.frames,
      input: { at, kind: 'float32', length: 3 },
      output: { at: job.reads[0].at, length: 5 },
    })
    for (const seed of [5, 6]) {
      step.input.set(numbers(3, seed))
      expect(step.run()).toBe(true)
      const expected = states(3, 5, 1, values.U, values.W, values.b, numbers(3, seed))[0]!
      for (let n = 0; n < 5; n++) expect(Math.abs(step.output[n]! - expected[n]!)).toBeLessThan(1e-6)
    }
    for (const bad of [NaN, Infinity, -Infinity]) {
      const [before, kept] = [step.output.slice(), step.input[2]!]
      step.input[2] = bad
      expect(step.run()).toBe(false)
      expect(step.output).toEqual(before)
      step.input[2] = kept
    }
    // Growth moves memory: the step must follow.
    engine.run({ ...noJob, bytes: job.bytes.map((bytes) => bytes * 1000) })
    step.output.fill(0)
    step.run()
    expect(step.output.every((value) => value !== 0)).toBe(true)
    structuredClone(step.output, { transfer: [step.output.buffer as ArrayBuffer] })
    expect(codeOf(() => step.run())).toBe('ERR_DETACHED')
    engine.dispose()
    expect(
      codeOf(() =>
        engine.prepare({
          bytes: job.bytes,
          plan: job.plan,
          frame: job.frames,
          input: { at, kind: 'float32', length: 3 },
          output: { at, length: 1 },
        }),
      ),
    ).toBe('ERR_DISPOSED')
  })

  it('does the step of a stream in one kernel: its input goes to no place of the plan', () => {
    for (const [config, batch, fused] of [
      [{ input: 3, state: [5, 40], output: 2 }, 1, true],
      [{ input: { tokens: 3 }, state: 5, output: 2 }, 1, true],
      [{ input: 3, state: 5, output: 2 }, 2, false],
    ] as const) {
      const model = new RNN({ ...config, backend: 'native' } as ConstructorParameters<typeof RNN>[0])
      const stream = model.stream({ batch })
      const { host, place } = stream as unknown as { host: StreamHost; place: Place }
      stream.push('tokens' in Object(config.input) ? 2 : new Array(3 * batch).fill(2))
      const { reads } = host.run(place, undefined, [], [{ at: address(Region.DATA, place.data), kind: 'float32', length: 1 }])
      expect(reads[0]![0] === 0).toBe(fused)
      model.dispose()
    }
  })

  it('takes one job at a time where one writes, grows or reads', async () => {
    const engine = native!.create(options) as ReturnType<typeof remote> & ReturnType<typeof local>
    engines.push(engine)
    const job = longJob(20)
    const busy = { name: 'BpttError', code: 'ERR_BUSY' }
    const first = engine.submit({ ...job, reads: [{ at: HOME, kind: 'float32', length: 16 }] })
    await expect(engine.submit(noJob)).rejects.toMatchObject(busy)
    expect(codeOf(() => engine.run(noJob))).toBe('ERR_BUSY')
    expect((await first).results[0]).toBe(Status.DONE)
    const second = engine.submit({ ...job, writes: [] })
    const larger = job.bytes.map((bytes) => 2 * bytes)
    await expect(engine.submit(job)).rejects.toMatchObject(busy)
    await expect(engine.submit({ ...job, writes: [], bytes: larger })).rejects.toMatchObject(busy)
    expect(codeOf(() => engine.run({ ...job, writes: [] }))).toBe('ERR_BUSY')
    expect((await second).results[0]).toBe(Status.DONE)
    await engine.submit(noJob)
  })

  it('queues jobs behind one in flight', async () => {
    const engine = remote()
    const job = longJob(20)
    expect(engine.queues).toBe(false)
    const jobs = [engine.submit(job)]
    expect(engine.queues).toBe(true)
    for (const count of [3, 1])
      jobs.push(engine.submit({ ...job, writes: [], count, frames: job.frames.subarray(0, (count * job.frames.length) / 20) }))
    for (const { results } of await Promise.all(jobs))
      for (let n = 0; n < results.length; n += RESULT_FIELDS) expect(results[n]).toBe(Status.DONE)
    expect(engine.queues).toBe(false)
  })

  it('runs nothing of what is queued behind a job that is not run to its end', async () => {
    const engine = remote()
    const job = longJob(20)
    const statusOf = async (running: Promise<{ results: Float64Array }>) => (await running).results[0]
    const queued = () => engine.submit({ ...job, writes: [] })

    const stopped = engine.submit(longJob())
    const behind = [queued(), queued()]
    engine.stop()
    await stopped
    for (const one of behind) expect(await statusOf(one)).toBe(Status.STOPPED)

    // No number as the loss of a row, before a GUARD.
    const loss = address(Region.CARRY, 0)
    const bytes = job.bytes.map((size, region) => (region === Region.CARRY ? 4096 : size))
    const nan = { at: loss, data: new Int32Array(new Float64Array(4).fill(Number.NaN).buffer) }
    const guarded = plan([...layer(8, 256, 16, 16 * 64).lines, ['SUM_LOSS', loss, Rows.BATCH], ['GUARD']])
    const broken = engine.submit({ ...job, bytes, plan: guarded, writes: [...job.writes, nan], count: 1, frames: frame(16, 64) })
    expect(engine.queues).toBe(true)
    const other = engine.submit({ ...job, bytes, writes: [] })
    expect(await statusOf(broken)).toBe(Status.NONFINITE_LOSS)
    expect(await statusOf(other)).toBe(Status.STOPPED)
    expect(await statusOf(queued())).toBe(Status.DONE)
  })

  it('stops before the next update, and works on', async () => {
    const engine = remote()
    const job = longJob()
    const running = engine.submit(job)
    await new Promise((resolve) => setTimeout(resolve, 30))
    engine.stop()
    const { results } = await running
    const status = Array.from({ length: job.count }, (_, n) => results[n * RESULT_FIELDS]!)
    const done = status.indexOf(Status.STOPPED)
    expect(done).toBeGreaterThanOrEqual(0)
    expect(status.slice(0, done).every((s) => s === Status.DONE)).toBe(true)
    expect(status.slice(done + 1).every((s) => s === Status.PENDING)).toBe(true)
    expect((await engine.submit(longJob(1))).results[0]).toBe(Status.DONE)
  })

  it('gives way after the frame that runs, once the first job in flight has run for 10 ms', async () => {
    const engine = remote()
    const job = longJob()
    const stopped = async (running: Promise<{ results: Float64Array; seconds: number }>) => {
      const { results, seconds } = await running
      const status = Array.from({ length: job.count }, (_, n) => results[n * RESULT_FIELDS]!)
      const done = status.indexOf(Status.STOPPED)
      expect(status.slice(0, done).every((s) => s === Status.DONE)).toBe(true)
      expect(status.slice(done + 1).every((s) => s === Status.PENDING)).toBe(true)
      return { done, seconds }
    }
    const jobs = [engine.submit(job), engine.submit({ ...job, writes: [] })]
    engine.giveWay!()
    const [first, behind] = await Promise.all(jobs.map(stopped))
    expect(first!.done).toBeGreaterThan(0)
    expect(first!.seconds).toBeGreaterThanOrEqual(0.01)
    expect(behind!.done).toBe(0)
    engine.giveWay!() // none is in flight
    const { results } = await engine.submit(longJob(20))
    for (let n = 0; n < results.length; n += RESULT_FIELDS) expect(results[n]).toBe(Status.DONE)
  })

  it('stops in the middle of a time loop whose units the threads divide', async () => {
    const engine = remote()
    const { job } = layerJob(1, 512, 1, 2000)
    const count = 200
    const frames = Int32Array.from({ length: count * job.frames.length }, (_, i) => job.frames[i % job.frames.length]!)
    const running = engine.submit({ ...job, frames, count, reads: [] })
    await new Promise((resolve) => setTimeout(resolve, 60))
    engine.stop()
    const { results } = await running
    expect(Array.from({ length: count }, (_, n) => results[n * RESULT_FIELDS])).toContain(Status.STOPPED)
    expect((await engine.submit(longJob(1))).results[0]).toBe(Status.DONE)
  })

  it('rejects the job in flight when it is disposed of, twice if need be', async () => {
    const engine = remote()
    const running = engine.submit(longJob())
    engine.dispose()
    engine.dispose()
    await expect(running).rejects.toMatchObject({ name: 'BpttError', code: 'ERR_DISPOSED' })
    await expect(engine.submit(noJob)).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    engine.stop()
  })

  it('fills the array that it is given for what it reads, but not where the job or one before it goes wrong', async () => {
    const { job } = layerJob(3, 20, 4, 6)
    const into = new Float32Array(job.reads[0]!.length)
    const want = local().run(job).reads[0]!
    const { reads } = await remote().submit({ ...job, into })
    expect(reads[0]).toBe(into)
    expect(into).toEqual(want)
    into.fill(7)
    const engine = remote()
    const read = { at: HOME, kind: 'float32', length: into.length } as const
    const running = engine.submit({ ...longJob(), reads: [] })
    const queued = engine.submit({ ...longJob(1), writes: [], reads: [read], into })
    engine.dispose()
    for (const lost of [running, queued]) await expect(lost).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    expect(into.every((value) => value === 7)).toBe(true)
  })

  it('copies what it is given during the call', async () => {
    const { job } = layerJob(3, 20, 4, 6)
    const want = local().run(job).reads[0]!
    const running = remote().submit(job)
    for (const { data } of job.writes) structuredClone(data, { transfer: [data.buffer as ArrayBuffer] })
    job.frames.fill(-1)
    job.plan.code.fill(-1)
    expect((await running).reads[0]).toEqual(want)
  })

  it('lets the event loop turn while one brief job follows another', async () => {
    const engine = remote()
    const { job } = layerJob(3, 20, 4, 6)
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    let jobs = 0
    for (const end = performance.now() + 200; performance.now() < end; jobs++) await engine.submit(job)
    clearInterval(timer)
    expect(jobs).toBeGreaterThan(turns)
    expect(turns).toBeGreaterThan(3)
  })

  it('finds the first of the largest numbers of each row, of any width, and NaN nowhere', () => {
    for (let width = 1; width <= 70; width++) {
      const list = numbers(9 * width, width).map((number) => Math.round(4 * number)) // many are equal
      list.fill(Number.NaN, 0, width)
      list[width] = Number.NaN
      list.fill(Number.NEGATIVE_INFINITY, 2 * width, 3 * width)
      const places = assistant.largest!(list, width)
      const rows = Array.from({ length: 9 }, (_, i) => [...list.subarray(i * width, i * width + width)])
      const first = (row: number[]) => Math.max(0, row.indexOf(Math.max(...row.filter((number) => !Number.isNaN(number)))))
      expect([...places]).toEqual(rows.map(first))
    }
  })

  it('runs each instruction set that BPTT_ISA names, and refuses others by naming those', () => {
    const before = process.env.BPTT_ISA
    try {
      process.env.BPTT_ISA = 'mmx'
      let valid: string[] = []
      try {
        native!.describe(options)
      } catch (error) {
        expect(error).toMatchObject({ name: 'BpttError', code: 'ERR_INVALID_ARG' })
        valid = /one of ([^"]+), received "mmx"/.exec((error as Error).message)![1]!.split(', ')
      }
      expect(valid.length).toBeGreaterThan(0)
      const { job } = layerJob(5, 37, 6, 8)
      const bits = new Map<string, string>()
      for (const isa of valid)
        for (const numerics of ['fast', 'portable'] as const) {
          process.env.BPTT_ISA = isa
          const engine = native!.createLocal({ numerics, threads: 1 })
          engines.push(engine)
          expect(engine.description.isa).toBe(isa)
          if (numerics === 'portable') expect(engine.description.arithmetic).toBe('mul-add')
          const hash = Buffer.from(engine.run(job).reads[0]!.buffer).toString('base64')
          const known = bits.get(engine.description.arithmetic) ?? hash
          expect(hash === known).toBe(true)
          bits.set(engine.description.arithmetic, hash)
        }
    } finally {
      if (before === undefined) delete process.env.BPTT_ISA
      else process.env.BPTT_ISA = before
    }
  })
})
