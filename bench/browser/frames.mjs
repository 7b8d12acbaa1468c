/* A page that draws while it trains, in the package's Worker or on its own thread. Asked by ../frames.mjs. */
import { configure, RNN } from 'bptt'
import { examples, LEARNING_RATE } from '../problem.mjs'

/** Draws as pages do. @returns a function that ends it and says the milliseconds from frame to frame */
function draws() {
  const gaps = []
  let last
  let going = true
  const drawn = document.body.appendChild(document.createElement('p'))
  const frame = (now) => {
    if (last !== undefined) gaps.push(now - last)
    last = now
    drawn.textContent = now
    if (going) requestAnimationFrame(frame)
  }
  requestAnimationFrame(frame)
  return () => {
    going = false
    drawn.remove()
    return gaps
  }
}

/** Trains the cell, or nothing, for so long. @returns the milliseconds between frames from the call of train() on, and updates a second */
globalThis.draw = async ({ cell, backend, worker, seconds }) => {
  const wait = () => new Promise((resolve) => setTimeout(resolve, 1000 * seconds))
  if (!cell) {
    const end = draws()
    await wait()
    return { gaps: end() }
  }
  configure({ worker: worker && (() => new Worker('worker.js', { type: 'module' })) })
  const { B, T, r, s, t, readout } = cell
  const model = new RNN({ input: r, state: s, output: t, readout, init: 'pytorch', backend, threads: 1 })
  const data = examples(cell, T, 2)
  const end = draws()
  const begin = performance.now()
  let updates = 0
  const onProgress = ({ step }) => {
    updates = step
  }
  const run = model.train(data, { batchSize: B, epochs: 1e6, optimizer: { sgd: { lr: LEARNING_RATE } }, onProgress })
  await wait()
  const gaps = end()
  await run.stop()
  const rate = (1000 * updates) / (performance.now() - begin)
  model.dispose()
  return { gaps, rate }
}
