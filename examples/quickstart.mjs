// The README's example. The first reading decides, and 19 to 25 readings of noise follow it. It prints 0.977 0.5 and down, on every backend.
import { RNN } from 'bptt'

const x = Array.from({ length: 300 }, (_, b) =>
  Float32Array.from({ length: 20 + (b % 7) }, (_, i) => (i > 0 ? Math.sin(b * i) : b % 2 ? 1 : -1)),
)
const y = x.map((readings) => (readings[0] > 0 ? 'up' : 'down'))

const model = new RNN({ input: 1, state: 16, output: ['down', 'up'], numerics: 'portable' })
await model.train({ x, y }, { epochs: 20 })

const { value, baseline } = (await model.evaluate({ x, y })).metrics.accuracy
console.log(value.toFixed(3), baseline)
console.log((await model.predict(x[0])).label)
