/* Where the time of a training step goes: its plan run operation by operation, each as a job of its own over the same memory. */
import { OPERATIONS, Rows } from '#lib/plan/operations.js'
import { instructions } from '#lib/plan/plan.js'
import { flop } from './cells.mjs'
import { median, waited } from './clock.mjs'
import { cut, Problem, stepWants } from './problem.mjs'

/** Useful flop of an instruction; undefined where it is no matrix product. */
function flopOf(name, args, { B, T }) {
  const of = (field) => args[OPERATIONS[name].indexOf(field)]
  const rows = of('rows') === Rows.BATCH ? B : B * T
  if (/^PROJECT|^RECUR_DW$/.test(name)) return 2 * rows * of('N') * of('K')
  return /^RECUR/.test(name) ? 2 * rows * of('S') ** 2 : undefined
}

const SIZES = ['N', 'K', 'S', 'units', 'rows']
const sizesOf = (name, args) =>
  OPERATIONS[name]
    .flatMap((field, i) => (SIZES.includes(field) ? [`${field}=${field !== 'rows' ? args[i] : args[i] === Rows.BATCH ? 'B' : 'B·T'}`] : []))
    .join(' ')

/** One row for each operation, in the order of the plan, and one for all of them; seconds are the engine's own, without the way into it and without waiting for a processor. */
export function profile(cell, contender, peak, seconds) {
  const problem = new Problem(cell)
  const compiled = problem.compile(stepWants)
  const list = [...instructions(compiled.plan)]
  const parts = list.map((_, at) => cut(compiled.plan, (_name, _args, i) => i === at))
  const frame = problem.frame()
  const engine = contender.local()
  const samples = list.map(() => [])
  try {
    for (let n = 0; n < 2; n++) engine.run(problem.job(compiled, compiled.plan, frame, { writes: problem.writes }))
    const begin = performance.now()
    do {
      parts.forEach((part, i) => {
        const before = waited()
        const { seconds: taken } = engine.run(problem.job(compiled, part, frame))
        samples[i].push(Math.max(0, taken - (waited() - before)))
      })
    } while (samples[0].length < 5 || performance.now() - begin < 1000 * seconds)
  } finally {
    engine.dispose()
  }
  const times = samples.map(median)
  const total = times.reduce((sum, time) => sum + time, 0)
  const row = (name, sizes, time, work) => {
    const gflops = work && work / time / 1e9
    return { name, sizes, seconds: time, share: time / total, gflops, peakShare: gflops && peak && gflops / peak }
  }
  const rows = list.map(({ name, args }, i) => row(name, sizesOf(name, args), times[i], flopOf(name, args, cell)))
  return [...rows, row('step', '', total, flop.step(cell))]
}
