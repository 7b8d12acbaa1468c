/*
 * One cell of the grid as the inside of the package sees it: a network, its weights, a batch in DATA and frames over it; plans are compiled
 * as train() does it, cut where only a part is wanted, and run on any engine. The same plans on the float64 reference give what is right.
 */
import { readConfig } from '#lib/check/config.js'
import { initialWeights } from '#lib/network/initialize.js'
import { compile } from '#lib/plan/compile.js'
import { Layout, regionBytes } from '#lib/plan/layout.js'
import { Allocator, NONE, Region, stride, UNIT_BYTES, UNIT_FLOATS } from '#lib/plan/memory.js'
import { Opcode } from '#lib/plan/operations.js'
import { instructions } from '#lib/plan/plan.js'
import { noData } from '#lib/plan/wants.js'
import { createOracle } from '#lib/reference/engine.js'
import { Batcher, setScalars } from '#lib/sequences/batch.js'

/** The float64 reference gets at most about so much work for a check, by fewer time steps. */
const ORACLE_FLOP = 4e8
export const LEARNING_RATE = 0.1
/** A training step as train() has it with plain gradient descent, without clipping. */
export const stepWants = {
  pack: true,
  loss: true,
  gradients: 'fresh',
  update: { optimizer: 'SGD', flags: 0, m: NONE, v: NONE, a: NONE, maxNorm: undefined },
}

/** Numbers in [0, 1), the same in every run. */
function randoms(seed) {
  let state = seed >>> 0
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32
  }
}

/** Time steps for a check against the reference, of a step that is `flop` in all; at least two, so that W is used. */
export const stepsToCheck = ({ T }, flop) => Math.max(2, Math.min(T, Math.floor((T * ORACLE_FLOP) / flop)))

/**
 * B·batches sequences for the public API: x as one Float32Array, y as class numbers. With tokens x is an Int32Array of them and y the token that
 * comes next; 0 begins and ends every sequence and is nowhere else.
 */
export function examples({ B, r, t, readout, tokens }, T, batches = 1) {
  const random = randoms(7)
  const n = B * batches
  if (tokens) {
    const x = Int32Array.from({ length: n * T }, (_, i) => (i % T === 0 ? 0 : 1 + Math.floor(random() * (r - 1))))
    const y = x.map((_, i) => (i % T === T - 1 ? 0 : x[i + 1]))
    return { x: { data: x, shape: [n, T] }, y: { data: y, shape: [n, T] } }
  }
  const x = Float32Array.from({ length: n * T * r }, () => 2 * random() - 1)
  const y = Int32Array.from({ length: readout === 'all' ? n * T : n }, () => Math.floor(random() * t))
  return { x: { data: x, shape: [n, T, r] }, y: readout === 'all' ? { data: y, shape: [n, T] } : y }
}

/** The same as a list of sequences that have half to all of T steps. */
export function raggedExamples(cell, batches) {
  const { r, T } = cell
  const { x, y } = examples(cell, T, batches)
  const random = randoms(11)
  const lengths = Array.from({ length: x.shape[0] }, () => Math.ceil((T * (1 + random())) / 2))
  const sequences = lengths.map((steps, b) => ({ data: x.data.subarray(b * T * r, (b * T + steps) * r), shape: [steps, r] }))
  return { x: sequences, y: y.data ? lengths.map((steps, b) => y.data.subarray(b * T, b * T + steps)) : y }
}

export class Problem {
  /** @param cell of cells.mjs, here with the number of steps that DATA holds */
  constructor(cell, { output = cell.t } = {}) {
    this.cell = cell
    const { B, T, r, s, readout, f = 'tanh', tokens } = cell
    this.config = { input: tokens ? { tokens: r } : r, state: s, output, readout, nonlinearity: f, init: 'pytorch' }
    this.network = readConfig(this.config).network
    this.layout = new Layout(this.network)
    this.weights = initialWeights(this.network)
    const { x, y } = examples(cell, T)
    const classes = y.data ?? y
    this.x = x.data
    this.classes = classes
    const area = new Allocator(Region.DATA)
    const weights = new Float32Array(classes.length).fill(1)
    this.data = { ...noData, x: area.floats(x.data.length), targets: area.floats(classes.length), weights: area.floats(classes.length) }
    this.dataBytes = area.bytes
    this.writes = [
      { at: this.layout.p, data: this.weights },
      { at: this.data.x, data: x.data },
      { at: this.data.targets, data: classes },
      { at: this.data.weights, data: weights },
    ]
    this.capacity = { B, R: B * T }
    this.batch = { values: classes, weights }
  }

  /** The frame of the whole batch, its first `steps` steps. */
  frame(steps = this.cell.T) {
    const { B, T, readout } = this.cell
    const begin = Int32Array.from({ length: B }, (_, q) => q * T)
    const batcher = new Batcher(
      begin,
      this.batch,
      readout === 'all',
      1,
      false,
      begin.map((row) => row + steps),
    )
    const frame = batcher.frame(Int32Array.from(begin.keys()))
    setScalars(frame, Float32Array.of(LEARNING_RATE, 0, 0, 0, 0, 1))
    return frame
  }

  compile(wants, capacity = this.capacity) {
    return compile(this.layout, wants, capacity, this.data)
  }

  /** The same for the public API. */
  examples(steps) {
    const { B, T, r, readout } = this.cell
    const first = (rows, width) => rows.filter((_, i) => i % (T * width) < steps * width)
    const x = { data: first(this.x, r), shape: [B, steps, r] }
    return { x, y: readout === 'all' ? { data: first(this.classes, 1), shape: [B, steps] } : this.classes }
  }

  /** A job of `count` equal frames. */
  job(compiled, plan, frame, { count = 1, writes = [], reads = [] } = {}) {
    const { layout, dataBytes } = this
    const bytes = regionBytes({
      home: layout.homeUnits * UNIT_BYTES,
      data: dataBytes,
      carry: 0,
      scratch: compiled.scratchBytes,
      pack: compiled.packBytes,
    })
    return { bytes, writes, plan, frames: repeated(frame.ints, count), count, reads }
  }

  /** What one step over the first time steps makes in float64: logits, gradients, and what the update adds to the weights. */
  oracle(steps) {
    const compiled = this.compile({ ...stepWants, logits: true }, { B: this.cell.B, R: this.cell.B * steps })
    const engine = createOracle()
    const { layout, writes } = this
    const reads = [this.readRows(compiled.logits, steps), this.readBlock(layout.g), this.readBlock(layout.p)]
    const result = engine.run(this.job(compiled, compiled.plan, this.frame(steps), { writes, reads }))
    engine.dispose()
    const [logits, gradients, after] = result.reads
    return { logits, gradients, change: after.map((p, i) => p - this.weights[i]) }
  }

  /** A read of the block of parameters or gradients. */
  readBlock(at) {
    return { at, kind: 'float32', length: this.layout.table.units * UNIT_FLOATS }
  }

  /** A read of what the head makes. */
  readRows(at, steps) {
    const {
      cell: { B, readout },
      network: { output },
    } = this
    return { at, kind: 'float32', length: (readout === 'all' ? B * steps : B) * stride(output.size) }
  }
}

function repeated(ints, count) {
  const all = new Int32Array(count * ints.length)
  for (let n = 0; n < count; n++) all.set(ints, n * ints.length)
  return all
}

let cuts = 1e9

/** The instructions of a plan for which keep(name, args, index) holds, as a plan. */
export function cut(plan, keep) {
  const kept = [...instructions(plan)].filter(({ name, args }, i) => keep(name, args, i))
  return { id: cuts++, code: Int32Array.from(kept.flatMap(({ name, args }) => [Opcode[name], ...args])), constants: plan.constants }
}
