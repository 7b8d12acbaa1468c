/*
 * A process of the measurement of threads (scaling.mjs): makes a native model of a cell, then trains it or predicts with it for as long as
 * it is told to, over and over. Messages: { prepare } → a digest of what came out; { run: seconds } → sequences a second.
 */
import { RNN } from 'bptt'
import { parameterView } from '#lib/network/parameters.js'
import { examples, LEARNING_RATE, Problem } from './problem.mjs'
import { digest } from './verify.mjs'

/** Batches of the data set. */
const BATCHES = 2

let call
let sequences = 0

async function prepare({ cell, name, threads, seconds }) {
  const { config, weights, layout } = new Problem(cell)
  const model = new RNN({ ...config, threads, backend: 'native' })
  const data = examples(cell, cell.T, BATCHES)
  const options = { batchSize: cell.B, optimizer: { sgd: { lr: LEARNING_RATE } }, clipNorm: false }
  const once = name === 'train' ? (epochs) => model.train(data, { ...options, epochs }) : () => model.predictMany(data.x)
  const result = await once(1)
  const after = new Float32Array(weights.length)
  for (const parameter of layout.table.list) parameterView(after, parameter).set(model[parameter.name].data)
  const begin = performance.now()
  await once(2)
  const epochs = name === 'train' ? Math.max(1, Math.round((2000 * seconds) / (performance.now() - begin))) : 1
  call = () => once(epochs)
  sequences = epochs * BATCHES * cell.B
  return name === 'train' ? digest(after) : JSON.stringify(result)
}

async function run(seconds) {
  const begin = performance.now()
  let calls = 0
  let spent = 0
  do {
    await call()
    calls++
    spent = (performance.now() - begin) / 1000
  } while (spent + spent / calls / 2 < seconds)
  return (calls * sequences) / spent
}

process.on('message', async (message) => {
  try {
    process.send({ answer: await ('prepare' in message ? prepare(message.prepare) : run(message.run)) })
  } catch (error) {
    process.send({ error: error.stack })
  }
})
process.on('disconnect', () => process.exit())
