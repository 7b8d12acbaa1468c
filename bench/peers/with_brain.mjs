/*
 * brain.js: its RNN over tokens, the only network of it that is Elman's. It knows relu alone, embeds tokens by a matrix of their own, takes
 * sequences one by one with an update after each, and its rule of update is its own: what can be held against ours is the first loss.
 */
import { createRequire } from 'node:module'
import { absent, serve } from '../serve.mjs'

const require = createRequire(import.meta.url)

function load() {
  try {
    const { version } = require('brain.js/package.json')
    return { RNN: require('brain.js/dist/recurrent/rnn').default, version }
  } catch (error) {
    return absent(error)
  }
}

const { RNN, version } = load()

function build(cell, { x, U, W, b, V, c }) {
  const { B, T, r, s, f, readout, tokens } = cell
  if (!tokens || f !== 'relu' || readout !== 'all') throw new Error('brain.js runs an Elman network over tokens only')
  const net = new RNN({ inputSize: r, inputRange: r - 1, outputSize: r - 1, hiddenLayers: [s] })
  net.initialize()
  const { input, hiddenLayers, outputConnector, output } = net.model
  const identity = Float32Array.from({ length: r * r }, (_, i) => (i % (r + 1) === 0 ? 1 : 0))
  const [layer] = hiddenLayers
  for (const [matrix, { data }] of [
    [input, { data: identity }],
    [layer.weight, U],
    [layer.transition, W],
    [layer.bias, b],
    [outputConnector, V],
    [output, c],
  ])
    matrix.weights.set(data)
  // Token 0 begins and ends every sequence and is not among those that the network is told.
  const sequences = Array.from({ length: B }, (_, i) => Array.from(x.data.subarray(i * T + 1, (i + 1) * T), (token) => token - 1))
  const crossEntropy = (sequence) => (Math.log(100 * net.trainInput(sequence)) * (sequence.length - 1)) / (sequence.length + 1)
  const check = () => sequences.reduce((sum, sequence) => sum + crossEntropy(sequence), 0) / B
  const run = (count) => {
    for (let n = 0; n < count; n++) for (const sequence of sequences) net.trainPattern(sequence)
  }
  return { passes: { training: { kind: 'training', checks: 1, check, run } } }
}

serve({ name: 'brain.js', version, build })
