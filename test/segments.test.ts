/*
 * Training in segments: a step that goes through time in stretches, with its states kept or computed anew on the way back, leaves the
 * bits of one that has room for everything. On every backend, for every readout, stacked, with tokens, ragged, with carried states.
 */
import { describe, expect, it } from 'vitest'
import { loadBackend } from '#lib/backends/select.js'
import { UNIT_FLOATS } from '#lib/plan/memory.js'
import { Result, Status } from '#lib/plan/operations.js'
import { createFused, createReference } from '#lib/reference/engine.js'
import { adam, base, type JobCase, jobOf } from './support/jobs.js'
import { bitsOf, matrix } from './support/outputs.js'
import { onEach, TARGETS } from './support/targets.js'

const tokens = { size: 23, tokens: true }
const carry = { slots: 7, unit: 3 }
const cases: Record<string, JobCase> = {
  'every step': { network: base },
  'the end': { network: { ...base, readout: 'last' } },
  'stacked, every step, two biases': { network: { ...base, state: [33, 8, 66], nonlinearity: 'relu', bias: 'double' } },
  'stacked, the end, carried states': {
    network: { ...base, state: [9, 40], readout: 'last', output: { ...base.output, head: 'linear' } },
    wants: { carry },
  },
  'tokens, carried states': {
    network: { ...base, input: tokens, nonlinearity: 'sigmoid', bias: false, outputBias: false },
    wants: { carry },
  },
  'tokens, the end': { network: { ...base, input: tokens, state: [70], readout: 'last', output: { ...base.output, head: 'sigmoid' } } },
  'one sequence': { network: { ...base, state: [32], readout: 'last' }, lengths: [11] },
  'many sequences': { network: { ...base, state: [47] }, lengths: Array.from({ length: 70 }, (_, i) => 1 + ((i * 7) % 9)) },
  'empty sequences': { network: { ...base, readout: 'last' }, lengths: [0, 0] },
}

const longest = ({ lengths = [9] }: JobCase) => Math.max(...lengths)

/** Everything that a step leaves: parameters, gradients, moments, carried states; loss, score and norm. */
function stepOf(test: JobCase, engine: ReturnType<typeof createReference>, segments?: { steps: number; keepStates: boolean }) {
  const wants = {
    ...test.wants,
    ...(segments && { segments: { ...segments, most: Math.max(1, Math.ceil(longest(test) / segments.steps)) } }),
  }
  const { compiled, bytes, writes, frame, layout } = jobOf({ update: adam, ...test, wants })
  const block = layout.table.units * UNIT_FLOATS
  const reads = [0, 1, 2, 3, 4].map((i) => matrix(layout.p + i * layout.table.units, 1, block, block))
  const carried = test.wants?.carry
  if (carried) layout.carries(carried).forEach((at, k) => reads.push(matrix(at, carried.slots, test.network.state[k]!)))
  const result = engine.run({ bytes, writes, plan: compiled.plan, frames: frame.ints, count: 1, reads })
  engine.dispose()
  return { bits: [...result.reads.map((data, i) => bitsOf(data, reads[i]!)), Array.from(result.results, String)], results: result.results }
}

onEach(TARGETS, ({ arithmetic, config }) => {
  describe.each(Object.entries(cases))('%s', (title, test) => {
    it('has the same bits in segments of any length', () => {
      const local = (threads: number) => loadBackend(config.backend as 'native').createLocal({ numerics: config.numerics, threads })
      const whole = stepOf(test, arithmetic === 'fma' ? createFused() : createReference())
      expect(whole.results[Result.STATUS]).toBe(Status.DONE)
      if (title !== 'empty sequences') expect(whole.results[Result.NORM]).toBeGreaterThan(1e-3)
      expect(stepOf(test, local(1)).bits).toEqual(whole.bits)
      for (const keepStates of [true, false])
        for (const steps of [1, 2, 3, 4, 100])
          for (const threads of config.backend === 'native' ? [1, 3] : [1])
            expect(stepOf(test, local(threads), { steps, keepStates }).bits, `${steps} steps, kept: ${keepStates}`).toEqual(whole.bits)
    })
  })
})
