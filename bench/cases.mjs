/*
 * The cases. Each makes, for a cell and a contender, something to call; but first it computes its answer once and holds it against float64
 * (over as many time steps as the reference can bear), and takes a digest of the answer over all of them, which must be the same for all
 * contenders of one arithmetic. Nothing wrong is timed.
 */
import { createHash } from 'node:crypto'
import { RNN } from 'bptt'
import { stride } from '#lib/plan/memory.js'
import { Result, RESULT_FIELDS, Status } from '#lib/plan/operations.js'
import { instructions } from '#lib/plan/plan.js'
import { createOracle } from '#lib/reference/engine.js'
import { flop } from './cells.mjs'
import { withIsa } from './contenders.mjs'
import { cut, examples, LEARNING_RATE, Problem, stepsToCheck, stepWants } from './problem.mjs'

/** As a share of the largest element: what float32 may lose over the longest sums. A wrong row, bias or step is far above. */
const TOLERANCE = 1e-4
/** A call of an engine takes at least about so long: the way into it must not count. */
const CALL_SECONDS = 1e-3
/** Pushed to a stream before its answer is checked. */
const PUSHES = 8
/** Batches of the data set that train() gets. */
const BATCHES = 2

const digest = ({ buffer, byteOffset, byteLength }) => createHash('sha256').update(new Uint8Array(buffer, byteOffset, byteLength)).digest('hex')

/** @returns the largest difference as a share of the largest element of `right` */
function verified(got, right) {
  if (got.length !== right.length || right.length === 0) throw new Error(`${got.length} numbers where there are ${right.length}`)
  const largest = right.reduce((most, y) => Math.max(most, Math.abs(y)), 0)
  let error = 0
  right.forEach((y, i) => {
    const difference = Math.abs(got[i] - y) / largest
    if (!(difference <= error)) error = difference // NaN too
  })
  if (!(error <= TOLERANCE)) throw new Error(`wrong by ${error} of the largest element, where ${TOLERANCE} is allowed`)
  return error
}

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
 * @param read (problem, compiled, steps) → the Read of the answer
 * @param check (cell, answer, steps) → its error
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
      run(part, frame, { writes, reads: [] })
      run(compiled.plan, frame, { writes })
      return run(part, frame, { writes, reads: [read(problem, compiled, steps)] }).reads[0]
    }
    const error = check(cell, answer(stepsOf(cell)), stepsOf(cell))
    const bits = digest(answer(cell.T))
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

const square = once((cell) => new Problem({ ...cell, r: cell.s }))
/** One product in float64, for some of the rows. */
const checkProduct = (cell, y) => {
  const { x, weights, layout } = square(cell)
  const { B, T, s } = cell
  const U = layout.table.get('U', 0).unit * 16
  const rows = y.length / stride(s)
  const [got, right] = [[], []]
  for (let row = 0; row < rows; row += Math.ceil(rows / 16)) {
    const w = ((row % B) * T + Math.floor(row / B)) * s
    for (let n = 0; n < s; n++) {
      let sum = 0
      for (let k = 0; k < s; k++) sum += x[w + k] * weights[U + n * s + k]
      got.push(y[row * stride(s) + n])
      right.push(sum)
    }
  }
  return verified(got, right)
}
