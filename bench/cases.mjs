/*
 * The cases. Each makes, for a cell and a contender, something to call; but first it computes its answer once and holds it against float64
 * (over as many time steps as the reference can bear), and takes a digest of the answer over all of them, which must be the same for all
 * contenders of one arithmetic. Nothing wrong is timed.
 */
import { RNN } from 'bptt'
import { parameterView } from '#lib/network/parameters.js'
import { stride } from '#lib/plan/memory.js'
import { RESULT_FIELDS, Result, Status } from '#lib/plan/operations.js'
import { instructions } from '#lib/plan/plan.js'
import { createOracle } from '#lib/reference/engine.js'
import { flop } from './cells.mjs'
import { withIsa } from './contenders.mjs'
import { cut, examples, LEARNING_RATE, Problem, raggedExamples, stepsToCheck, stepWants } from './problem.mjs'
import { digest, verified } from './verify.mjs'

/** A call of an engine takes at least about so long: the way into it must not count. */
const CALL_SECONDS = 1e-3
/** Pushed to a stream before its answer is checked. */
const PUSHES = 8
/** Batches of the data set that train() gets: two, or 64 sequences, as nobody trains on less. */
const batchesOf = ({ B }) => Math.max(2, Math.ceil(64 / B))
/** Epochs of a run: at least as many as train() makes by itself, where that takes no longer than a second. */
const EPOCHS = 10

/** make(key), once for as long as the key lives. */
function once(make) {
  const made = new WeakMap()
  return (key) => {
    if (!made.has(key)) made.set(key, make(key))
    return made.get(key)
  }
}

const problemOf = once((cell) => new Problem(cell))
const stepsOf = (cell) => stepsToCheck(cell, flop.step(cell))
const oracleOf = once((cell) => problemOf(cell).oracle(stepsOf(cell)))

/**
 * A case that runs a plan, or a part of it over what the rest left in memory, on the calling thread.
 * @param problem cell → Problem
 * @param keep (problem, plan) → which instructions are timed; default all
 * @param read (problem, compiled, steps) → Reads: the answer, and what else its check needs
 * @param check (cell, ...what was read) → the error of the answer
 */
function planned({ problem: problemFor, wants, keep = () => () => true, read, check }) {
  const plansOf = once((problem) => {
    const compiled = problem.compile(wants)
    return { compiled, part: cut(compiled.plan, keep(problem, compiled.plan)) }
  })
  return function prepare(cell, contender) {
    const problem = problemFor(cell)
    const { compiled, part } = plansOf(problem)
    const engine = contender.local()
    const run = (plan, frame, options = {}) => {
      const result = engine.run(problem.job(compiled, plan, frame, options))
      const status = result.results[Result.STATUS]
      if (status !== Status.DONE) throw new Error(`a frame ended with status ${status}`)
      return result
    }
    const { writes } = problem
    const answer = (steps) => {
      const frame = problem.frame(steps)
      run(compiled.plan, frame, { writes })
      return run(part, frame, { writes, reads: read(problem, compiled, steps) }).reads
    }
    const error = check(cell, ...answer(stepsOf(cell)))
    const bits = digest(answer(cell.T)[0])
    const frame = problem.frame()
    const count = Math.max(1, Math.ceil(CALL_SECONDS / run(part, frame).seconds))
    const job = problem.job(compiled, part, frame, { count })
    const call = () => {
      const { results } = engine.run(job)
      if (results[RESULT_FIELDS * (count - 1) + Result.STATUS] !== Status.DONE) throw new Error('a frame was not done')
    }
    return { error, bits, call, units: count, dispose: () => engine.dispose() }
  }
}

/** A model of the public API on a contender. Its engine is made when first needed: within withIsa. */
const modelOf = ({ config }, { name, options }) => new RNN({ ...config, ...options, backend: name })

/** A cell whose inputs are as wide as its state: U·w is then the square product. */
const square = once((cell) => new Problem({ ...cell, r: cell.s }))

/** Some rows of x·Uᵀ + b, in float64. */
function checkProduct(cell, y) {
  const { x, weights, layout } = square(cell)
  const { B, T, s } = cell
  const [U, b] = ['U', 'b'].map((name) => parameterView(weights, layout.table.get(name, 0)))
  const rows = y.length / stride(s)
  const got = []
  const right = []
  for (let row = 0; row < rows; row += Math.ceil(rows / 16)) {
    const w = x.subarray(((row % B) * T + Math.floor(row / B)) * s) // packed rows go step by step
    for (let n = 0; n < s; n++) {
      let sum = b[n]
      for (let k = 0; k < s; k++) sum += w[k] * U[n * s + k]
      got.push(y[row * stride(s) + n])
      right.push(sum)
    }
  }
  return verified(got, right)
}

/** A cell whose head activates s numbers a step; what comes before it is small. */
const activating = once((cell) => new Problem({ ...cell, s: 16, t: cell.s, readout: 'all' }, { output: { sigmoid: cell.s } }))

const afterLoss = ({ layout }, plan) => {
  const loss = [...instructions(plan)].findIndex(({ name }) => name === 'SUM_LOSS')
  return (name, args, i) => (i > loss && name !== 'PACK') || (name === 'ZERO' && args[0] === layout.g)
}

/** The work that a case is rated by: flop, or for tanh its elements. */
export const cases = {
  matmul: {
    help: 'one product over all rows: X·Mᵀ + b, X [B·T, s], M [s, s]',
    flop: flop.matmul,
    prepare: planned({
      problem: square,
      wants: { pack: true },
      keep: () => (name) => name === 'PROJECT',
      read: ({ cell: { B, s } }, { states }, steps) => [{ at: states[0], kind: 'float32', length: B * steps * stride(s) }],
      check: checkProduct,
    }),
  },
  tanh: {
    help: 'B·T·s elements of ½·tanh(½z) + ½: ACTIVATE with the sigmoid head, which is our tanh, a product and a multiply-add',
    elements: ({ B, T, s }) => B * T * s,
    prepare: planned({
      problem: activating,
      wants: { pack: true, logits: true, outputs: true },
      keep: () => (name) => name === 'ACTIVATE',
      read: (problem, { outputs, logits }, steps) => [problem.readRows(outputs, steps), problem.readRows(logits, steps)],
      check: (_cell, outputs, logits) =>
        verified(
          outputs,
          Float64Array.from(logits, (z) => 1 / (1 + Math.exp(-z))),
        ),
    }),
  },
  forward: {
    help: 'logits of a batch, weights already packed',
    flop: flop.forward,
    prepare: planned({
      problem: problemOf,
      wants: { pack: true, logits: true },
      keep: () => (name) => name !== 'PACK',
      read: (problem, { logits }, steps) => [problem.readRows(logits, steps)],
      check: (cell, logits) => verified(logits, oracleOf(cell).logits),
    }),
  },
  predict: {
    help: 'model.predictMany() of the batch from a Float32Array: the same pass with everything that users get around it, probabilities too',
    flop: flop.forward,
    prepare: preparePredict,
  },
  backward: {
    help: 'all gradients from that of the logits: what a step does after its loss and before its update',
    flop: flop.backward,
    prepare: planned({
      problem: problemOf,
      wants: { pack: true, loss: true, gradients: 'fresh' },
      keep: afterLoss,
      read: (problem) => [problem.readBlock(problem.layout.g)],
      check: (cell, gradients) => verified(gradients, oracleOf(cell).gradients),
    }),
  },
  step: {
    help: 'one update of training: packing, forward, loss, backward, norm, plain gradient descent',
    flop: flop.step,
    prepare: planned({
      problem: problemOf,
      wants: stepWants,
      read: (problem) => [problem.readBlock(problem.layout.p)],
      check: (cell, after) => verified(changeOf(cell, after), oracleOf(cell).change),
    }),
  },
  train: {
    help: 'an update of model.train() from a Float32Array: the same step with everything that users get around it',
    flop: flop.step,
    prepare: (cell, contender, seconds) => prepareTrain(cell, contender, seconds, examples(cell, cell.T, batchesOf(cell))),
  },
  ragged: {
    help: 'the same from sequences of any length between half and all of T, in lists; by the valid step: as long as that of T steps',
    flop: flop.step,
    prepare: (cell, contender, seconds) => prepareTrain(cell, contender, seconds, raggedExamples(cell, batchesOf(cell))),
  },
  push: {
    help: 'one step of model.stream().push(), a single sequence',
    flop: flop.push,
    prepare: preparePush,
  },
}

/** Softmax of the rows that the head makes, in float64. */
const probabilitiesOf = once((cell) => {
  const { logits } = oracleOf(cell)
  const rows = Array.from({ length: logits.length / stride(cell.t) }, (_, i) => [
    ...logits.subarray(i * stride(cell.t)).subarray(0, cell.t),
  ])
  return rows.map((row) => {
    const powers = row.map((z) => Math.exp(z - Math.max(...row)))
    const sum = powers.reduce((a, b) => a + b)
    return powers.map((power) => power / sum)
  })
})

async function preparePredict(cell, contender) {
  const problem = problemOf(cell)
  const model = modelOf(problem, contender)
  const { B, T, readout } = cell
  // Answers go by sequence, rows of a plan step by step.
  const answers = async (steps) => {
    const all = await model.predictMany(problem.examples(steps).x)
    const ordered = readout === 'all' ? Array.from({ length: B * steps }, (_, row) => all[row % B][Math.floor(row / B)]) : all
    return Float32Array.from(ordered.flatMap(({ probabilities }) => [...probabilities]))
  }
  const error = verified(await withIsa(contender, () => answers(stepsOf(cell))), probabilitiesOf(cell).flat())
  const bits = digest(await answers(T))
  const { x } = problem.examples(T)
  return { error, bits, call: () => model.predictMany(x).then(() => {}), units: 1, dispose: () => model.dispose() }
}

const changeOf = (cell, after) => after.map((p, i) => p - problemOf(cell).weights[i])

async function prepareTrain(cell, contender, seconds, data) {
  const problem = problemOf(cell)
  const model = modelOf(problem, contender)
  const options = { batchSize: cell.B, optimizer: { sgd: { lr: LEARNING_RATE } }, clipNorm: false }
  await withIsa(contender, () => model.train(problem.examples(stepsOf(cell)), { ...options, epochs: 1, shuffle: false }).then(() => {}))
  const after = new Float32Array(problem.weights.length)
  for (const parameter of problem.layout.table.list) parameterView(after, parameter).set(model[parameter.name].data)
  const error = verified(changeOf(cell, after), oracleOf(cell).change)
  const begin = performance.now()
  await model.train(data, { ...options, epochs: 1 })
  const each = (performance.now() - begin) / 1000
  const epochs = Math.max(2, Math.round(seconds / each), Math.min(EPOCHS, Math.round(1 / each)))
  const call = () => model.train(data, { ...options, epochs }).then(() => {})
  // Updates, by the steps of one of the bare step.
  const units = (epochs * stepsIn(cell, data)) / (cell.B * cell.T)
  return { error, bits: digest(after), call, units, dispose: () => model.dispose() }
}

const stepsIn = ({ T }, { x }) => (Array.isArray(x) ? x.reduce((sum, { shape }) => sum + shape[0], 0) : x.shape[0] * T)

/** A batch of one short sequence, read out at its end, and its outputs in float64. */
const pushed = once((cell) => {
  const problem = new Problem({ ...cell, B: 1, T: PUSHES, readout: 'last' })
  const compiled = problem.compile({ outputs: true })
  const oracle = createOracle()
  const reads = [problem.readRows(compiled.outputs, PUSHES)]
  const outputs = oracle.run(problem.job(compiled, compiled.plan, problem.frame(), { writes: problem.writes, reads })).reads[0]
  oracle.dispose()
  return { problem, outputs: outputs.subarray(0, cell.t) }
})

function preparePush(cell, contender) {
  const { problem, outputs } = pushed(cell)
  const model = modelOf(problem, contender)
  const stream = withIsa(contender, () => model.stream())
  const step = (i) => problem.x.subarray(i * cell.r, (i + 1) * cell.r)
  let answer
  for (let i = 0; i < PUSHES; i++) answer = stream.push(step(i))
  const error = verified(answer, outputs)
  const bits = digest(answer)
  const w = step(0)
  return { error, bits, call: () => void stream.push(w), units: 1, dispose: () => model.dispose() }
}
