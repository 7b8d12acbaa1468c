/* A cell's network in TensorFlow.js, in Node and in a page: simpleRNN and dense of its layers, trainOnBatch and predict; tokens as one-hot vectors. */
import { meanSquare } from '../passes.mjs'

const LEARNING_RATE = 0.1

/** @param tf TensorFlow.js, with its backend set; returns build(cell, data) as passes.mjs has it */
export const builder = (tf) => (cell, data) => {
  const { B, T, r, s, t, f, readout } = cell
  const all = readout === 'all'
  // setWeights() follows: an orthogonal matrix, the default, would take minutes at s = 1760.
  const initial = { kernelInitializer: 'zeros', recurrentInitializer: 'zeros' }
  const rnn = tf.layers.simpleRNN({ units: s, activation: f, batchInputShape: [B, T, r], returnSequences: all, ...initial })
  const dense = tf.layers.dense({ units: t })
  const model = tf.sequential({ layers: [rnn, all ? tf.layers.timeDistributed({ layer: dense }) : dense] })
  const tensor = ({ data: values, shape }, type) => tf.tensor(values, shape, type)
  tf.tidy(() => {
    const { U, W, b, V, c } = data
    model.setWeights([tensor(U).transpose(), tensor(W).transpose(), tensor(b), tensor(V).transpose(), tensor(c)])
  })
  const loss = (right, logits) => tf.losses.softmaxCrossEntropy(right.reshape([-1, t]), logits.reshape([-1, t]))
  model.compile({ optimizer: tf.train.sgd(LEARNING_RATE), loss })
  const given = tensor(data.x, cell.tokens ? 'int32' : 'float32')
  const inputs = () => tf.tidy(() => (cell.tokens ? tf.oneHot(given, r).toFloat() : given.clone()))
  const y = tf.tidy(() => tf.oneHot(tensor(data.y, 'int32'), t).toFloat())
  const training = async () => {
    const x = inputs()
    const value = await model.trainOnBatch(x, y)
    x.dispose()
    return value
  }
  const inference = async () => {
    const logits = tf.tidy(() => model.predict(inputs(), { batchSize: B }))
    const values = await logits.data()
    logits.dispose()
    return values
  }
  const repeated = (pass) => async (count) => {
    for (let n = 0; n < count; n++) await pass()
  }
  const passes = {
    inference: { kind: 'inference', check: async () => meanSquare(await inference()), run: repeated(inference) },
    training: { kind: 'training', check: training, run: repeated(training) },
  }
  const dispose = () => {
    for (const one of [model, given, y]) one.dispose()
  }
  return { passes, dispose }
}
