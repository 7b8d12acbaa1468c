/*
 * What nobody thought of: networks, data and options drawn at random give the same bits on every backend that is here, on one thread and
 * on two, and in as little memory as can be. A failure names the seed; draw(seed) of support/draw.ts is the case.
 */
import { createHash } from 'node:crypto'
import { RNN } from 'bptt'
import { expect, it } from 'vitest'
import { type Drawn, draw } from './support/draw.js'
import { BACKENDS, find } from './support/targets.js'
import { weightsOf } from './support/tasks.js'

const CASES = 100

const here = BACKENDS.filter((target) => 'arithmetic' in find(target)).map(({ name }) => name as 'native' | 'wasm' | 'reference')
const ways = here.flatMap((backend) => {
  const alone = { backend, threads: 1, memory: 'full' } as const
  return backend === 'reference' ? [alone] : [alone, { ...alone, threads: 2 }, { ...alone, memory: 'low' } as const]
})

/** What a user sees of a case that is run in one way: for each question the hash of the answer, or the code of the error. */
async function seen({ config, data, options }: Drawn, { backend, threads, memory }: (typeof ways)[number]) {
  const model = new RNN({ ...config, backend, threads, numerics: 'portable' })
  const questions: Record<string, () => unknown> = {
    train: async () => (await model.train(data, { ...options, memory })).history.map(({ loss, gradientNorm }) => [loss, gradientNorm]),
    weights: () => weightsOf(model),
    predictMany: () => model.predictMany(data.x),
    forward: () => model.forward(data.x),
    gradients: () => model.gradients(data),
    evaluate: () => model.evaluate(data),
  }
  const answers: Record<string, string> = {}
  for (const [name, ask] of Object.entries(questions))
    try {
      answers[name] = hashOf(await ask())
    } catch (error) {
      answers[name] = (error as { code: string }).code
    }
  model.dispose()
  return answers
}

/** Of every number that a typed array holds all bits count. */
function hashOf(answer: unknown): string {
  const bits = (_: string, value: unknown) =>
    ArrayBuffer.isView(value) ? Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64') : value
  return createHash('sha256').update(JSON.stringify(answer, bits)).digest('hex')
}

it.each(Array.from({ length: CASES }, (_, seed) => seed))('network %i', async (seed) => {
  const drawn = draw(seed)
  const [first, ...others] = ways
  const expected = await seen(drawn, first!)
  // Large steps can end in numbers that are none, and where few targets are drawn none may count. Nothing else goes wrong.
  const wrong = Object.entries(expected).filter(([, answer]) => answer.length < 64 && answer !== 'ERR_NONFINITE')
  expect(wrong.filter(([name, answer]) => !(name === 'train' && answer === 'ERR_EMPTY'))).toEqual([])
  for (const way of others) expect(await seen(drawn, way), JSON.stringify({ way, config: drawn.config })).toEqual(expected)
})
