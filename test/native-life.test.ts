/* Threads, environments and the process around native engines: nothing hangs, crashes, leaks, blocks the event loop or keeps the process alive. */
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { serialize } from 'node:v8'
import { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { stride } from '#lib/plan/memory.js'
import { frame, layer, longJob, native, noJob, plan } from './native-plan.js'

const lib = fileURLToPath(new URL('../dist/node/backends/native.js', import.meta.url))
const options = { numerics: 'fast', threads: 2 } as const

vi.setConfig({ testTimeout: 120_000 }) // other programs may have the machine

const folder = mkdtempSync(join(tmpdir(), 'bptt-'))
const jobFile = join(folder, 'job')
writeFileSync(jobFile, serialize(longJob(400)))
afterAll(() => rmSync(folder, { recursive: true }))

/** A program that has loaded the backend and knows a long job. */
const program = (body: string) => `
  const { loadNative } = require(${JSON.stringify(lib)})
  const long = require('node:v8').deserialize(require('node:fs').readFileSync(${JSON.stringify(jobFile)}))
  const engine = loadNative().create({ numerics: 'fast', threads: 2 })
  ${body}`

async function outcome(body: string, ...flags: string[]): Promise<{ code: number | string; output: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [...flags, '--input-type=commonjs', '-e', program(body)], {
      timeout: 30000,
    })
    return { code: 0, output: stdout + stderr }
  } catch (error) {
    const { code, signal, stdout, stderr } = error as { code: number; signal: string | null; stdout: string; stderr: string }
    return { code: signal ?? code, output: `${stdout}${stderr}` }
  }
}

describe.skipIf(!native)('a process with native engines', () => {
  it('ends by itself once no job is in flight, and not before', async () => {
    expect(await outcome(`engine.submit({ ...long, count: 20 }).then(({ results }) => console.log(results[0]))`)).toEqual({
      code: 0,
      output: '1\n',
    })
  })

  it('ends in the middle of a job, by exit, exception and signal', async () => {
    expect(await outcome(`engine.submit(long); setTimeout(() => process.exit(7), 20)`)).toEqual({ code: 7, output: '' })
    expect(await outcome(`engine.submit(long); process.exit(7)`)).toEqual({ code: 7, output: '' })
    expect((await outcome(`engine.submit(long); setTimeout(() => { throw new Error('of the user') }, 20)`)).code).toBe(1)
    expect((await outcome(`engine.submit(long); setTimeout(() => process.kill(process.pid), 20)`)).code).toBe('SIGTERM')
    expect(await outcome(`engine.submit(long).catch(({ code }) => console.log(code)); setTimeout(() => engine.dispose(), 20)`)).toEqual({
      code: 0,
      output: 'ERR_DISPOSED\n',
    })
  })

  it('frees engines that are dropped, 200 times over, also in mid-job', async () => {
    const body = `
      const backend = loadNative()
      const bytes = [1, 1, 1, 1, 1].map(() => 1 << 20)
      const none = { id: -1, code: new Int32Array(0), constants: new Float64Array(0) }
      const fill = new Float32Array(1 << 18).fill(1)
      const job = { bytes, writes: [0, 1, 2, 3, 4].map((r) => ({ at: r * 2 ** 28, data: fill })), plan: none, frames: new Int32Array(0), count: 0, reads: [] }
      const rss = async () => { global.gc(); await new Promise(setImmediate); global.gc(); await new Promise((done) => setTimeout(done, 20)); return process.memoryUsage() }
      const round = async (n) => { for (let i = 0; i < n; i++) { const e = backend.create({ numerics: 'fast', threads: 2 }); const p = e.submit(i % 2 ? job : { ...long, count: 1 }); if (i % 3) await p } }
      ;(async () => {
        await round(30); const before = await rss(); await round(200); const after = await rss()
        console.log(JSON.stringify({ rss: (after.rss - before.rss) / 2 ** 20, external: (after.external - before.external) / 2 ** 20 }))
      })()`
    const { code, output } = await outcome(body, '--expose-gc')
    expect(code).toBe(0)
    const { rss, external } = JSON.parse(output) as { rss: number; external: number }
    // 200 engines of 5 MiB: a leak of one in ten would show.
    expect(external).toBeLessThan(1)
    console.log(`200 dropped engines of 5 MiB: ${rss.toFixed(1)} MiB of growth`)
    expect(rss).toBeLessThan(80)
  })

  it('answers events while a job runs', async () => {
    const engine = native!.create(options)
    const delay = monitorEventLoopDelay({ resolution: 1 })
    delay.enable()
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    const { seconds } = await engine.submit(longJob(150))
    clearInterval(timer)
    delay.disable()
    engine.dispose()
    console.log(
      `job of ${(seconds * 1e3).toFixed(0)} ms: ${turns} turns of the event loop, median delay ${(delay.percentile(50) / 1e6).toFixed(1)} ms, worst ${(delay.max / 1e6).toFixed(1)} ms`,
    )
    expect(turns).toBeGreaterThan(2)
  })

  it('gives parallel engines the bits that one alone gives', async () => {
    const { s } = layer(8, 256, 16, 16 * 64)
    const job = { ...longJob(10), reads: [{ at: s, kind: 'float32', length: 16 * 64 * stride(256) }] } as const
    const engines = Array.from({ length: 4 }, () => native!.create(options))
    const locals = Array.from({ length: 2 }, () => native!.createLocal(options))
    const running = engines.map((engine) => engine.submit(job))
    const here = locals.map((engine) => engine.run(job).reads[0]!)
    const all = [...here, ...(await Promise.all(running)).map(({ reads }) => reads[0]!)]
    for (const one of all) expect(Buffer.compare(Buffer.from(one.buffer), Buffer.from(all[0]!.buffer))).toBe(0)
    for (const engine of [...engines, ...locals]) engine.dispose()
  })

  it('survives 100 Workers that are terminated in mid-job, two at a time', async () => {
    const source = program(`require('node:worker_threads').parentPort.postMessage(0); engine.submit(long)`)
    const one = async (n: number) => {
      const worker = new Worker(source, { eval: true })
      await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject))
      await sleep(n % 7)
      await worker.terminate()
    }
    for (let n = 0; n < 100; n += 2) await Promise.all([one(n), one(n + 1)])
    const engine = native!.create(options)
    expect((await engine.submit({ ...longJob(1) })).results[0]).toBe(1)
    engine.dispose()
  })

  it('disposes of engines in mid-job, 100 times', async () => {
    const job = longJob(400)
    for (let n = 0; n < 100; n++) {
      const engine = native!.create(options)
      const running = engine.submit(job)
      if (n % 3) await sleep(n % 3)
      engine.dispose()
      await expect(running).rejects.toMatchObject({ code: 'ERR_DISPOSED' })
    }
  })

  it('loads in several Workers at once, all with the same bits', async () => {
    const source = program(`
      const { parentPort } = require('node:worker_threads')
      const { reads, results } = loadNative().createLocal({ numerics: 'fast', threads: 2 }).run({ ...long, count: 2, reads: [{ at: ${layer(8, 256, 16, 1024).s}, kind: 'float32', length: 4096 }] })
      parentPort.postMessage(Buffer.from(reads[0].buffer).toString('base64'))`)
    const hashes = await Promise.all(
      Array.from(
        { length: 8 },
        () => new Promise((resolve, reject) => new Worker(source, { eval: true }).once('message', resolve).once('error', reject)),
      ),
    )
    expect(new Set(hashes).size).toBe(1)
  })

  it.skipIf(process.platform !== 'linux')('works where no thread can be had', async () => {
    // As another user than root, who has no limits.
    const body = `
      require('node:fs').readFile(__filename, () => {
        if (process.getuid() === 0) process.setuid(65534)
        require('node:child_process').execFileSync('prlimit', ['--pid', String(process.pid), '--nproc=1'])
        const threads = () => require('node:fs').readdirSync('/proc/self/task').length
        const before = threads()
        engine.submit({ ...long, count: 3 }).then(({ results }) => console.log(results[16], threads() - before))
      })`
    expect(await outcome(body)).toEqual({ code: 0, output: '1 0\n' })
  })

  it('takes frames of no steps', () => {
    const engine = native!.createLocal(options)
    const { s0, lines, bytes } = layer(2, 3, 1, 1)
    const reads = [{ at: s0, kind: 'float32', length: 3 }] as const
    const { results, reads: states } = engine.run({ ...noJob, bytes, plan: plan(lines), frames: frame(1, 0), count: 1, reads })
    expect([results[0], ...states[0]!]).toEqual([1, 0, 0, 0])
    engine.dispose()
  })
})
