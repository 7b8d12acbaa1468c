/*
 * A process of the measurement of threads (scaling.mjs): makes a model of a cell, then trains it or predicts with it for as long as it is
 * told to, over and over. Messages: { prepare } → a digest of what came out; { run: seconds } → sequences a second.
 */
import { RNN } from 'bptt'
import { loadBackend } from '#lib/backends/select.js'
import { parameterView } from '#lib/network/parameters.js'
import { examples, LEARNING_RATE, Problem, stepWants } from './problem.mjs'
import { digest } from './verify.mjs'

/** Batches of the data set. */
const BATCHES = 2

/** A call of an engine takes at least about so long: the way into it must not count. */
const CALL_SECONDS = 0.01

let call
let sequences = 0

const seconds = (from) => (performance.now() - from) / 1000

/** What users call, with all that they get around it. */
async function prepareModel({ cell, name, threads, backend, seconds: slot }) {
  const { config, weights, layout } = new Problem(cell)
  const model = new RNN({ ...config, threads, backend })
  const data = examples(cell, cell.T, BATCHES)
  const options = { batchSize: cell.B, optimizer: { sgd: { lr: LEARNING_RATE } }, clipNorm: false }
  const once = name === 'train' ? (epochs) => model.train(data, { ...options, epochs }) : () => model.predictMany(data.x)
  const result = await once(1)
  const after = new Float32Array(weights.length)
  for (const parameter of layout.table.list) parameterView(after, parameter).set(model[parameter.name].data)
  const begin = performance.now()
  await once(2)
  const epochs = name === 'train' ? Math.max(1, Math.round((2 * slot) / seconds(begin))) : 1
  call = () => once(epochs)
  sequences = epochs * BATCHES * cell.B
  return name === 'train' ? digest(after) : JSON.stringify(result)
}

/** The bare update, on this thread. */
function prepareStep({ cell, threads, backend }) {
  const problem = new Problem(cell)
  const { layout, writes } = problem
  const compiled = problem.compile(stepWants)
  const engine = loadBackend(backend).createLocal({ numerics: 'fast', threads })
  const job = (options) => problem.job(compiled, compiled.plan, problem.frame(), options)
  const [after] = engine.run(job({ writes, reads: [problem.readBlock(layout.p)] })).reads
  const begin = performance.now()
  engine.run(job())
  const count = Math.ceil(CALL_SECONDS / seconds(begin))
  const many = job({ count })
  call = () => engine.run(many)
  sequences = count * cell.B
  return digest(after)
}

async function run(slot) {
  const begin = performance.now()
  let calls = 0
  let spent = 0
  do {
    await call()
    calls++
    spent = seconds(begin)
  } while (spent + spent / calls / 2 < slot)
  return (calls * sequences) / spent
}

const prepare = (what) => (what.name === 'step' ? prepareStep(what) : prepareModel(what))

process.on('message', async (message) => {
  try {
    process.send({ answer: await ('prepare' in message ? prepare(message.prepare) : run(message.run)) })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.on('disconnect', () => process.exit())
