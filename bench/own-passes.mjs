/*
 * The package's own passes for a cell, in Node and in a page: the bare training step and forward pass as plans on the calling thread, and
 * what users call, model.train() and predictMany(), with everything around them.
 */
import { RNN } from 'bptt'
import { stride } from '#lib/plan/memory.js'
import { RESULT_FIELDS, Result, Status } from '#lib/plan/operations.js'
import { meanSquare } from './passes.mjs'
import { cut, examples, LEARNING_RATE, Problem, stepWants } from './problem.mjs'

/** In the data set that train() gets: more than one, so that an epoch is one. */
const BATCHES = 4

/** A plan on an engine of its own; `keep` says what of it is timed, once all of it has run. */
function planned({ backend, options }, problem, kind, wants, keep = () => true) {
  const { cell, writes } = problem
  const compiled = problem.compile(wants)
  const plan = cut(compiled.plan, keep)
  const engine = backend.createLocal(options)
  const frame = problem.frame()
  const losses = problem.classes.length
  const reads = wants.logits ? [problem.readRows(compiled.logits, cell.T)] : []
  let first = true
  let job
  return {
    kind,
    check() {
      const result = engine.run(problem.job(compiled, compiled.plan, frame, { writes: first ? writes : [], reads }))
      first = false
      return wants.logits ? meanSquare(result.reads[0].filter((_, i) => i % stride(cell.t) < cell.t)) : result.results[Result.LOSS] / losses // it is their sum
    },
    run(count) {
      if (job?.count !== count) job = problem.job(compiled, plan, frame, { count })
      const { results } = engine.run(job)
      if (results[RESULT_FIELDS * (count - 1) + Result.STATUS] !== Status.DONE) throw new Error('a frame was not done')
    },
    dispose: () => engine.dispose(),
  }
}

/** @param own { backend, options }; returns build(cell, data) as passes.mjs has it */
export const builder =
  (own) =>
  (cell, { x, y }) => {
    const problem = new Problem(cell)
    const bare = {
      step: planned(own, problem, 'training', stepWants),
      forward: planned(own, problem, 'inference', { pack: true, logits: true }, (operation) => operation !== 'PACK'),
    }
    const model = () => new RNN({ ...problem.config, ...own.options, backend: own.backend.name })
    const [trained, asked] = [model(), model()]
    const training = { batchSize: cell.B, optimizer: { sgd: { lr: LEARNING_RATE } }, clipNorm: false }
    const [once, data] = [{ x, y: cell.readout === 'all' ? y : y.data }, examples(cell, cell.T, BATCHES)]
    const called = {
      'train()': {
        kind: 'training',
        check: async () => (await trained.train(once, { ...training, epochs: 1, shuffle: false })).history[0].loss,
        async run(count) {
          const epochs = Math.ceil(count / BATCHES)
          await trained.train(data, { ...training, epochs })
          return epochs * BATCHES
        },
      },
      'predictMany()': {
        kind: 'inference',
        check: async () => meanSquare((await asked.forward(x)).logits.data),
        async run(count) {
          for (let n = 0; n < count; n++) await asked.predictMany(x)
        },
      },
    }
    const dispose = () => {
      for (const pass of Object.values(bare)) pass.dispose()
      trained.dispose()
      asked.dispose()
    }
    return { passes: { ...bare, ...called }, dispose }
  }
