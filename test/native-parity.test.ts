/*
 * Plans as the compiler makes them, operation by operation: every instruction set of the native backend leaves the bits of the reference
 * of its class after each one, and on several threads. Where whole training runs disagree, this says from which operation on.
 */
import { expect, it } from 'vitest'
import type { LocalEngine } from '#lib/backends/engine.js'
import { loadBackend } from '#lib/backends/select.js'
import { Opcode, Result, Status, UpdateFlag } from '#lib/plan/operations.js'
import { type Instruction, instructions, type Plan } from '#lib/plan/plan.js'
import { createFused, createReference } from '#lib/reference/engine.js'
import { adam, base, type JobCase, jobOf } from './support/jobs.js'
import { bitsOf, outputsOf, type Step } from './support/outputs.js'
import { onEach, TARGETS } from './support/targets.js'

const cases: (JobCase & { title: string })[] = [
  { title: 'softmax at every step', network: base, update: adam },
  {
    title: 'one of everything',
    network: { ...base, input: { size: 1, tokens: false }, state: [1], output: { ...base.output, size: 1, head: 'linear' } },
    lengths: [1],
    update: { ...adam, optimizer: 'SGD', flags: 0 },
  },
  {
    title: 'read out at the end, sigmoid',
    network: { ...base, readout: 'last', nonlinearity: 'sigmoid', state: [16], output: { ...base.output, head: 'sigmoid' } },
    update: { ...adam, optimizer: 'RMSPROP', flags: UpdateFlag.CENTERED | UpdateFlag.MOMENTUM },
  },
  {
    title: 'stacked, relu, two biases, linear',
    network: { ...base, state: [33, 8, 66], nonlinearity: 'relu', bias: 'double', output: { ...base.output, head: 'linear' } },
    wants: { dx: true, stateGradients: true },
    update: { ...adam, optimizer: 'ADAGRAD' },
  },
  {
    title: 'tokens, identity, no biases, carried states',
    network: { ...base, input: { size: 23, tokens: true }, state: [70], nonlinearity: 'identity', bias: false, outputBias: false },
    wants: { carry: { slots: 7, unit: 3 }, logits: true, outputs: true },
    update: { ...adam, optimizer: 'ADAMW' },
  },
  {
    title: 'gradients from above',
    network: { ...base, state: [17, 31] },
    wants: { loss: false, dx: true, stateGradients: true },
    upstream: true,
  },
  {
    title: 'many sequences',
    network: { ...base, input: { size: 67, tokens: false }, state: [47] },
    lengths: Array.from({ length: 70 }, (_, i) => 1 + ((i * 7) % 5)),
    wants: { dx: true },
  },
  { title: 'one long sequence', network: { ...base, state: [257] }, lengths: [3] },
]

/** One operation a plan; what follows NORM uses its result, which lives as long as the frame. */
function partsOf(plan: Plan): { steps: Step[]; plan: Plan }[] {
  const all: Instruction[] = [...instructions(plan)]
  const norm = all.findIndex(({ name }) => name === 'NORM')
  const tail = norm < 0 ? all.length : norm
  const groups = [...all.slice(0, tail).map((one) => [one]), ...(tail < all.length ? [all.slice(tail)] : [])]
  return groups.map((group, i) => ({
    steps: group.map(({ name, args }) => [name, ...args]),
    plan: {
      id: 5e8 + plan.id * 1000 + i,
      code: Int32Array.from(group.flatMap(({ name, args }) => [Opcode[name], ...args])),
      constants: plan.constants,
    },
  }))
}

/** Gradients that are not all zero: equal bits of nothing would prove nothing. */
function expectSomething(results: Float64Array) {
  expect(results[Result.STATUS]).toBe(Status.DONE)
  expect(results[Result.NORM]).toBeGreaterThan(1e-3)
}

onEach(
  TARGETS.filter(({ config }) => config.backend === 'native'),
  ({ arithmetic, config }) => {
    it.each(cases.map((test) => [test.title, test] as const))('%s', (_, test) => {
      const { compiled, bytes, writes, frame, counts } = jobOf(test)
      const native = [1, 3].map((threads) => loadBackend('native').createLocal({ numerics: config.numerics, threads }))
      const engines: LocalEngine[] = [arithmetic === 'fma' ? createFused() : createReference(), ...native]
      let last: Float64Array | undefined
      partsOf(compiled.plan).forEach(({ steps, plan }, i) => {
        const reads = steps.flatMap((step) => outputsOf(step, counts))
        const job = { bytes, writes: i === 0 ? writes : [], plan, frames: frame.ints, count: 1, reads }
        const [want, ...got] = engines.map((engine) => {
          const { results, reads: data } = engine.run(job)
          last = results
          return [Array.from(results, String), ...data.map((part, j) => bitsOf(part, reads[j]!))]
        })
        got.forEach((bits, j) =>
          expect(bits, `${steps.map(([name]) => name).join(' ')}, operation ${i}, ${[1, 3][j]} threads`).toEqual(want),
        )
      })
      expectSomething(last!)
      engines.forEach((engine) => engine.dispose())
    })
  },
)
