/*
 * An engine that dies with its Worker takes data and moments with it. What was built on them must end with an error, never go on from
 * zeros; what was not goes on with the weights that were read last.
 */
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { configure, RNN } from 'bptt'
import { afterEach, expect, it } from 'vitest'
import { lengthsOf, sequencesOf, signs, weightsOf } from './support/tasks.js'

const x = sequencesOf(lengthsOf(64, 20), 4)
const data = { x, y: signs(x) }
const lost = { code: 'ERR_BACKEND', message: expect.stringContaining('engine was lost') }
let worker: Worker

function make() {
  configure({ worker: () => (worker = new Worker(join(import.meta.dirname, '..', 'dist', 'node', 'backends', 'worker.js'))) })
  return new RNN({ input: 4, state: 8, output: 2, backend: 'reference' })
}

afterEach(() => configure({ worker: undefined }))

it('a trainer does not go on without its moments; a new one does', async () => {
  const model = make()
  const trainer = model.trainer()
  await trainer.step(data)
  const weights = weightsOf(model)
  await worker.terminate()
  await expect(model.predict(x[0]!)).rejects.toMatchObject({ code: 'ERR_BACKEND', message: expect.stringContaining('died') })
  for (let i = 0; i < 2; i++) await expect(trainer.step(data)).rejects.toMatchObject(lost)
  expect(weightsOf(model)).toEqual(weights)
  await model.trainer().step(data)
  expect(weightsOf(model)).not.toEqual(weights)
  model.dispose()
})

it('a run does not go on without its data where a read met the loss, between two updates', async () => {
  const model = make()
  const long = sequencesOf([100_000], 4)[0]!
  let read: Promise<unknown> | undefined
  const run = model.train(data, {
    epochs: 1e6,
    onProgress: () => {
      if (read) return
      read = expect(model.predict(long)).rejects.toMatchObject({ code: 'ERR_BACKEND', message: expect.stringContaining('died') })
      setTimeout(() => void worker.terminate(), 20)
    },
  })
  await expect(run).rejects.toMatchObject(lost)
  await read
  expect((await model.train(data, { epochs: 1 })).stopped).toBe('finished')
  model.dispose()
})
