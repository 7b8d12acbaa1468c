/*
 * Plans as the compiler makes them, operation by operation: every instruction set of the native backend leaves the bits of the reference
 * of its class after each one, and on several threads. Where whole training runs disagree, this says from which operation on.
 */
import { expect, it } from 'vitest'
import type { LocalEngine } from '#lib/backends/engine.js'
import { loadBackend } from '#lib/backends/select.js'
import type { Network } from '#lib/network/network.js'
import { compile, Layout, noData, regionBytes, type Update, type Wants } from '#lib/plan/compile.js'
import { Allocator, Region, stride, UNIT_BYTES, UNIT_FLOATS } from '#lib/plan/memory.js'
import { Opcode, Result, Status, UpdateFlag } from '#lib/plan/operations.js'
import { type Instruction, instructions, type Plan } from '#lib/plan/plan.js'
import { createFused, createReference } from '#lib/reference/engine.js'
import { Batcher, setScalars } from '#lib/sequences/batch.js'
import { bitsOf, outputsOf, type Step } from './support/outputs.js'
import { onEach, TARGETS } from './support/targets.js'
import { mulberry32 } from './support/vectors.js'

const base: Network = {
  input: { size: 5, tokens: false },
  state: [19],
  output: { size: 7, head: 'softmax', characters: false },
  readout: 'all',
  nonlinearity: 'tanh',
  bias: true,
  outputBias: true,
  missing: 'error',
  init: 'orthogonal',
  seed: 0,
}
const ragged = [7, 0, 3, 9, 1, 7, 4]
const adam: Omit<Update, 'm' | 'v' | 'a'> = { optimizer: 'ADAM', flags: UpdateFlag.DECAY | UpdateFlag.AMSGRAD, maxNorm: 0.01 }

const cases: {
  title: string
  network: Network
  lengths?: number[]
  wants?: Partial<Wants>
  upstream?: boolean
  update?: Omit<Update, 'm' | 'v' | 'a'>
}[] = [
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

function jobOf({ network, lengths = ragged, wants, upstream = false, update }: (typeof cases)[number]) {
  const next = mulberry32(lengths.length)
  const random = (n: number) => Float32Array.from({ length: n }, () => ((next() >>> 8) / 2 ** 23 - 1) * 0.7)
  const layout = new Layout(network)
  const B = lengths.length
  const R = lengths.reduce((a, b) => a + b, 0)
  const { input, output, state } = network
  const rows = network.readout === 'all' ? R : B
  const width = output.head === 'softmax' ? 1 : output.size
  const area = new Allocator(Region.DATA)
  const writes: { at: number; data: Float32Array | Int32Array }[] = []
  const place = (data: Float32Array | Int32Array) => {
    const at = area.floats(data.length)
    writes.push({ at, data })
    return at
  }
  const integers = (n: number, size: number) => Int32Array.from({ length: n }, () => next() % size)
  const weights = random(rows * width).map(Math.abs)
  if (weights.length > 1) weights[0] = 0
  const targets = output.head === 'softmax' ? integers(rows, output.size) : random(rows * width).map((v) => (v + 1) / 2)
  const data = {
    ...noData,
    x: place(input.tokens ? integers(R, input.size) : random(R * input.size)),
    targets: place(targets),
    weights: place(weights),
    ...(upstream && { dz: place(random(rows * stride(output.size))), ds: state.map((S) => place(random(R * stride(S)))) }),
    ...(upstream && network.readout === 'last' && { dzSteps: place(random(R * stride(output.size))) }),
  }
  if (upstream && network.readout === 'all') Object.assign(data, { dzSteps: data.dz })
  const block = layout.table.units
  const moments = [0, 1, 2].map((i) => Region.HOME * 2 ** 28 + layout.homeUnits + i * block)
  writes.push({ at: layout.p, data: random(block * UNIT_FLOATS) })
  for (const at of moments) writes.push({ at, data: random(block * UNIT_FLOATS).map(Math.abs) })
  const all: Wants = {
    pack: true,
    loss: true,
    gradients: 'fresh',
    ...wants,
    ...(update && { update: { ...update, m: moments[0]!, v: moments[1]!, a: moments[2]! } }),
  }
  const begin = Int32Array.from([0, ...lengths.map((_, i) => lengths.slice(0, i + 1).reduce((a, b) => a + b, 0))])
  const batcher = new Batcher(begin, { values: targets, weights }, network.readout === 'all', width, output.head === 'linear')
  const carries = all.carry !== undefined
  const frame = batcher.frame(Int32Array.from(lengths.keys()), { carryIn: carries, carryOut: carries })!
  setScalars(frame, Float32Array.from([0.01, 0.05, 0.1, 1e-6, 0.9, 0.1, 0.95, 0.05, 1.1, 0, 0]))
  if (all.carry) layout.carries(all.carry).forEach((at, k) => writes.push({ at, data: random(all.carry!.slots * stride(state[k]!)) }))
  const compiled = compile(layout, all, { B, R }, data)
  const bytes = regionBytes({
    home: (layout.homeUnits + 3 * block) * UNIT_BYTES,
    data: area.bytes,
    carry: all.carry ? (all.carry.unit + layout.carryUnits(all.carry.slots)) * UNIT_BYTES : 0,
    scratch: compiled.scratchBytes,
    pack: layout.packBytes,
  })
  return { compiled, bytes, writes, frame, counts: { B, R } }
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
