// The next character, at every step of a million: truncated backpropagation over 32 streams, the state carried from window to window.
// Then the network writes: each character it draws is what it reads next.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RNN, text } from 'bptt'
import { everySeed, folder, used } from './real-data.mjs'

const corpus = readFileSync(join(folder('tinyshakespeare'), 'input.txt'), 'utf8')
const border = Math.floor(0.9 * corpus.length)
const chars = text.chars(corpus)

/** 32 pieces of equal length, each with its next characters. */
function streams(part, steps = Math.floor((part.length - 1) / 32)) {
  const at = Array.from({ length: 32 }, (_, i) => i * steps)
  return { x: at.map((i) => part.slice(i, i + steps)), y: at.map((i) => part.slice(i + 1, i + 1 + steps)) }
}
const train = streams(corpus.slice(0, used(border)))
const validation = streams(corpus.slice(border))

function write(model, start, length, random) {
  const live = model.stream()
  let said = start
  let next
  for (const id of chars.encode(start)) next = live.push(id)
  for (let i = 0; i < length; i++) {
    let u = random()
    const id = next.findIndex((p) => (u -= p) < 0)
    said += chars.labels[id < 0 ? next.length - 1 : id]
    next = live.push(chars.encode(said.at(-1))[0])
  }
  return said
}

let last
await everySeed(
  {
    title: `tinyshakespeare: ${32 * train.x[0].length} characters to learn from, ${32 * validation.x[0].length} to test`,
    metric: 'nats per character',
    torch: '2.092 ± 0.001',
    naive: 'pairs of characters: 2.486',
  },
  async (seed, onProgress) => {
    last = new RNN({ input: chars, state: 128, output: chars, readout: 'all', seed })
    await last.train(train, {
      epochs: 1,
      batchSize: 32,
      optimizer: { adam: { lr: 0.003 } },
      clipNorm: 5,
      bptt: { window: 64 },
      seed,
      onProgress,
    })
    return (await last.evaluate(validation)).loss
  },
)
let state = 1
const random = () => (state = (state * 48271) % 2147483647) / 2147483647 // Park and Miller: the same text every time
console.log(`\n${write(last, 'ROMEO:\n', 400, random)}`)
