// Which of 18 languages is a surname from? Strings of different lengths in, a label out.
import { readdirSync } from 'node:fs'
import { basename } from 'node:path'
import { RNN, text } from 'bptt'
import { everySeed, folder, isTest, lines, sample } from './real-data.mjs'

const names = folder('names')
const withoutAccents = (name) => name.normalize('NFD').replace(/\p{Mn}/gu, '')
const train = { x: [], y: [] }
const test = { x: [], y: [] }
for (const file of readdirSync(names)
  .filter((name) => name.endsWith('.txt'))
  .sort()) {
  const distinct = new Set(lines(names, file).map(withoutAccents))
  ;[...distinct].forEach((name, k) => {
    const { x, y } = isTest(k) ? test : train
    x.push(name)
    y.push(basename(file, '.txt'))
  })
}
const chars = text.chars([...train.x, ...test.x].join(''))
const languages = [...new Set(train.y)]

await everySeed(
  {
    title: `names: ${train.x.length} to learn from, ${test.x.length} to test`,
    metric: 'accuracy',
    torch: '0.778 ± 0.006',
    naive: 'always "Russian": 0.520',
  },
  async (seed, onProgress) => {
    const model = new RNN({ input: chars, state: 64, output: languages, seed })
    await model.train(sample(train), { epochs: 10, batchSize: 64, optimizer: { adam: { lr: 0.003 } }, clipNorm: 5, seed, onProgress })
    const { accuracy } = (await model.evaluate(test)).metrics
    const { label, probability } = await model.predict('Yamamoto')
    return { figure: accuracy.value, more: `Yamamoto is ${label} (${probability.toFixed(2)})` }
  },
)
