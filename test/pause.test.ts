/*
 * A frame that pauses: engines that share a thread with others come back in mid-frame, wherever they look around, and go on to the same
 * bits. Updates stay whole: a stop after a pause leaves all of one, or nothing.
 */
import { describe, expect, test } from 'vitest'
import type { JobResult } from '#lib/backends/engine.js'
import { createLocal } from '#lib/backends/wasm.js'
import { UNIT_FLOATS } from '#lib/plan/memory.js'
import { Result, Status } from '#lib/plan/operations.js'
import type { Segments } from '#lib/plan/wants.js'
import { createReference } from '#lib/reference/engine.js'
import { adam, base, type JobCase, jobOf } from './support/jobs.js'

type Asked = () => number
const wasm = { backend: 'wasm', create: (asked: Asked) => createLocal({ numerics: 'portable', threads: 1 }, asked) }
const reference = { backend: 'reference', create: (asked: Asked) => createReference(asked) }

const lengths = Array.from({ length: 20 }, (_, q) => 30 - q)
const tokens = { size: 400, tokens: true }
const segments = (keepStates: boolean): Segments => ({ steps: 7, most: 5, keepStates })
/** Large enough that WebAssembly, which looks around once in a million multiplications, does so several times in each long operation. */
const cases: Record<string, JobCase> = {
  'stacked, every step': { network: { ...base, state: [130, 60] }, lengths },
  'the end, sigmoid': { network: { ...base, state: [150], readout: 'last', output: { ...base.output, head: 'sigmoid' } }, lengths },
  'tokens, many outputs': { network: { ...base, input: tokens, state: [70], output: { ...base.output, size: 900 } }, lengths },
  'in segments, with states': { network: { ...base, state: [120, 40] }, lengths, wants: { segments: segments(true) } },
  'in segments, anew': { network: { ...base, state: [120] }, lengths, wants: { segments: segments(false) } },
}
/** And with operations that are cut along rows, outputs and inner elements. */
const large: Record<string, JobCase> = {
  'a wide layer of many sequences': { network: { ...base, state: [530] }, lengths: Array<number>(200).fill(2) },
  'wide inputs': { network: { ...base, input: { size: 1200, tokens: false }, state: [70] }, lengths },
}

function jobsOf(test: JobCase) {
  const { compiled, bytes, writes, frame, layout } = jobOf({ update: adam, ...test })
  // Parameters, gradients and moments.
  const reads = [{ at: layout.p, kind: 'float32', length: 5 * layout.table.units * UNIT_FLOATS } as const]
  const job = { bytes, writes, plan: compiled.plan, frames: new Int32Array([...frame.ints, ...frame.ints]), count: 2, reads }
  const weights = [{ ...reads[0]!, length: layout.table.units * UNIT_FLOATS }]
  return { job, one: { ...job, frames: frame.ints, count: 1, reads: weights } }
}

const bytesOf = ({ reads: [data] }: JobResult) => Buffer.from(data!.buffer)

describe.each([
  { ...wasm, all: { ...cases, ...large }, least: 30 },
  { ...reference, all: cases, least: 800 },
])('$backend', ({ create, all, least }) => {
  test.each(Object.entries(all))('%s: the same bits, however often it pauses', (_, jobCase) => {
    const { job } = jobsOf(jobCase)
    const whole = create(() => 0).run(job)
    expect(whole.results[Result.STATUS]).toBe(Status.DONE)
    for (const rate of [1, 3]) {
      let looks = 0
      const engine = create(() => (++looks % rate ? 0 : Status.PAUSED))
      let pauses = 0
      const running = engine.start!(job)
      for (let step = running.next(); ; step = running.next(), pauses++) {
        if (pauses > 100_000) throw new Error('it does not go on')
        if (!step.done) continue
        expect(bytesOf(step.value).equals(bytesOf(whole))).toBe(true)
        expect(step.value.results).toEqual(whole.results)
        break
      }
      expect(pauses).toBeGreaterThan(least / rate)
    }
  })

  test('a stop after any pause leaves a whole update, or none', () => {
    const { one } = jobsOf({ network: { ...base, state: [500] }, lengths: [3, 2] }) // the update looks around too
    const [before, after] = [0, 1].map((count) => bytesOf(create(() => 0).run({ ...one, count }))) as [Buffer, Buffer]
    let looks = 0
    create(() => (looks++, Status.PAUSED)).run(one)
    const total = looks
    const seen = new Set<number>()
    for (const last of [...Array.from({ length: 20 }, (_, i) => 1 + Math.floor((i * total) / 20)), total - 1, total]) {
      looks = 0
      const engine = create(() => (++looks >= last ? Status.STOPPED : Status.PAUSED))
      const result = engine.run(one)
      const status = result.results[Result.STATUS]!
      seen.add(status)
      expect(bytesOf(result).equals(status === Status.DONE ? after : before)).toBe(true)
    }
    expect(seen).toEqual(new Set([Status.STOPPED, Status.DONE]))
  })
})
