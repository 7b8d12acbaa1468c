// Which machine of a production line is about to fail? Its only symptom, a short shudder, is over 29 to 45 steps before the end, and nothing
// but noise follows. A network can learn that only if the error at the end reaches the shudder: see what the initial weights do to that.
// `npm start` and `npx bptt demo` run this program. The made-up factory is line/factory.mjs, the drawing line/show.mjs.
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RNN } from 'bptt'
import { answers, readings, shifts } from './line/factory.mjs'
import * as show from './line/show.mjs'

const train = shifts(8000, 1)
const test = shifts(1000, 2)
const network = { input: readings, state: 64, output: answers }
const nets = [
  { name: 'orthogonal', start: ' (default)', model: new RNN(network) },
  { name: 'pytorch', start: '', model: new RNN({ ...network, init: 'pytorch' }) },
]
show.task(train, test, nets[0].model)

for (const net of nets) net.flow = (await net.model.gradients(test)).stateGradientNorms[0]
show.gradients(nets, test)

const options = { epochs: 14, optimizer: { adam: { lr: 0.0015 } }, schedule: { cosine: {} } }
for (const net of nets) {
  await net.model.train(train, { ...options, onProgress: show.progress(net) })
  net.scores = await net.model.evaluate(test)
}
show.scores(nets, test)

const file = join(tmpdir(), 'bptt-line.safetensors')
await nets[0].model.save(file)
const loaded = await RNN.load(file)
show.saved(file, await nets[0].model.predictMany(test.x), await loaded.predictMany(test.x))
