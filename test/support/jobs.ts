/* Whole jobs as train() makes them, over random weights, moments and data: for tests that hold engines, or plans, against each other. */
import type { Network } from '#lib/network/network.js'
import { compile } from '#lib/plan/compile.js'
import { Layout, regionBytes } from '#lib/plan/layout.js'
import { Allocator, Region, stride, UNIT_BYTES, UNIT_FLOATS } from '#lib/plan/memory.js'
import { UpdateFlag } from '#lib/plan/operations.js'
import { noData, type Update, type Wants } from '#lib/plan/wants.js'
import { Batcher, setScalars } from '#lib/sequences/batch.js'
import { network } from '../model-files.js'
import { mulberry32 } from './vectors.js'

export const base = network({
  input: { size: 5, tokens: false },
  state: [19],
  output: { size: 7, head: 'softmax', characters: false },
  readout: 'all',
})
const ragged = [7, 0, 3, 9, 1, 7, 4]
export const adam: Omit<Update, 'm' | 'v' | 'a'> = { optimizer: 'ADAM', flags: UpdateFlag.DECAY | UpdateFlag.AMSGRAD, maxNorm: 0.01 }

export interface JobCase {
  readonly network: Network
  readonly lengths?: readonly number[]
  readonly wants?: Partial<Wants>
  readonly upstream?: boolean
  readonly update?: Omit<Update, 'm' | 'v' | 'a'>
}

export function jobOf({ network, lengths = ragged, wants, upstream = false, update }: JobCase) {
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
    pack: compiled.packBytes,
  })
  return { layout, compiled, bytes, writes, frame, counts: { B, R } }
}
