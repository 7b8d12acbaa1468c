/*
 * node bench/memory.mjs [cells] [backend]: what a training step takes. Each figure comes from a process of its own: its peak while one epoch of
 * one batch is trained (plain gradient descent), above what it had before, when the data were there. Beside it what model.memory() says,
 * and the least that exact backpropagation can do with: weights, gradients, the batch, and the states of all steps, or at √T of them.
 * Linux only.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { RNN } from 'bptt'
import { cells } from './cells.mjs'
import { examples } from './problem.mjs'

const [ids = 'large', backend = 'native', memory] = process.argv.slice(2)
const optimizer = { sgd: { lr: 0.01 } }
const status = (name) => 1024 * Number(new RegExp(`${name}:\\s*(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1])

/** Bytes: of one step of a cell, in this process. */
async function measured(cell) {
  const { B, T, r, s, t, readout } = cell
  const config = { output: t, readout, init: 'pytorch', backend, threads: 1 }
  const data = examples(cell, T)
  await new RNN({ ...config, input: 1, state: 1 }).train({ x: [[1]], y: readout === 'all' ? [[0]] : [0] }, { epochs: 1 })
  const model = new RNN({ ...config, input: r, state: s })
  void model.U // draws the weights
  globalThis.gc()
  writeFileSync('/proc/self/clear_refs', '5') // the peak begins here
  const before = status('VmRSS')
  await model.train(data, { epochs: 1, batchSize: B, memory, optimizer })
  const peak = status('VmHWM') - before
  const { total, states, parameters, gradients, data: batch } = model.memory()
  const kept = 4 * B * s * (memory === 'low' ? Math.min(T, Math.sqrt(8 * T)) : T)
  return { cell: cell.id, backend, memory, peak, total, states, least: parameters + gradients + batch + kept }
}

const MB = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`.padStart(11)
if (memory) console.log(JSON.stringify(await measured(cells.find(({ id }) => id === ids))))
else {
  console.log(
    `${'cell'.padEnd(15)} memory  ${['peak above idle', 'memory().total', 'of it states', 'the least'].map((title) => title.padStart(16)).join('')}`,
  )
  for (const id of ids.split(','))
    for (const how of ['full', 'low']) {
      const child = spawnSync(process.execPath, ['--expose-gc', fileURLToPath(import.meta.url), id, backend, how], { encoding: 'utf8' })
      if (child.status !== 0) throw new Error(child.stderr)
      const { peak, total, states, least } = JSON.parse(child.stdout)
      console.log(`${id.padEnd(15)} ${how.padEnd(6)} ${[peak, total, states, least].map((bytes) => MB(bytes).padStart(16)).join('')}`)
    }
}
