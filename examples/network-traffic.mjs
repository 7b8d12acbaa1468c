// How many bytes will a server receive in the next five minutes? The last two hours (24 values) in, a number out.
import { RNN } from 'bptt'
import { everySeed, folder, lines, sample } from './real-data.mjs'

const PAST = 24
const values = lines(folder('network-traffic'), 'ec2_network_in_5abac7.csv')
  .slice(1)
  .map((line) => Math.log(1 + Number(line.split(',')[1])))
const border = Math.floor(0.8 * values.length)
const past = values.slice(0, border)
const mean = past.reduce((a, b) => a + b) / border
const sd = Math.sqrt(past.reduce((sum, v) => sum + (v - mean) ** 2, 0) / border)
const series = Float32Array.from(values, (v) => (v - mean) / sd)

/** Each value from `from` to `to`, with the values before it. */
function windows(from, to) {
  const at = Array.from({ length: to - from }, (_, i) => from + i)
  return { x: at.map((i) => series.subarray(i - PAST, i)), y: at.map((i) => series[i]) }
}
const train = windows(PAST, border)
const test = windows(border, series.length)

await everySeed(
  {
    title: `network-traffic: ${train.x.length} to learn from, ${test.x.length} to test`,
    metric: 'squared error',
    torch: '0.263 ± 0.012',
    naive: 'the last value: 0.525, linear AR(8): 0.363',
  },
  async (seed, onProgress) => {
    const model = new RNN({ input: 1, state: 16, output: { linear: 1 }, seed })
    await model.train(sample(train), { epochs: 20, batchSize: 64, optimizer: { adam: { lr: 0.005 } }, clipNorm: 1, seed, onProgress })
    return (await model.evaluate(test)).metrics.mse.value
  },
)
