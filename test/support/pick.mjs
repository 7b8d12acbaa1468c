/*
 * Chooses the subset of ../shared/vectors that is committed under test/fixtures/vectors: few cases that cover every option. Run by hand
 * (`node test/support/pick.mjs`) when those files change; support/vectors.ts reads the result.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..', '..')
const size = (test) => JSON.stringify(test).length

/** The smallest cases that show every value of every feature. */
function cover(cases, features) {
  const missing = new Set(cases.flatMap(features))
  const chosen = []
  while (missing.size) {
    const gain = (test) => features(test).filter((f) => missing.has(f)).length / Math.sqrt(size(test))
    const best = cases.reduce((a, b) => (gain(b) > gain(a) ? b : a))
    chosen.push(best)
    for (const f of features(best)) missing.delete(f)
  }
  return cases.filter((test) => chosen.includes(test))
}

const pairs = (...values) => values.flatMap((a, i) => values.slice(i + 1).map((b) => `${a} ${b}`))
const elman = ({ config: { activation, initial_state, mask, loss, bias, output_bias } }) => [
  ...pairs(activation, `s0 ${initial_state}`, mask, `${loss.kind} ${loss.scope}`, loss.reduction),
  `${activation} bias ${bias}`,
  `output bias ${output_bias}`,
]
const plain = ({ config }) => config.cell === 'rnn'
const FILES = {
  elman_options: [() => true, elman],
  elman_shapes: [
    (test) => size(test) < 40_000,
    ({ config: { B, T, r, s, t } }) =>
      [
        ['B', B],
        ['T', T],
        ['r', r],
        ['s', s],
        ['t', t],
      ].map(([name, n]) => `${name} ${n === 1 ? 1 : n < 16 ? 'small' : n % 16 === 0 ? 'whole' : 'ragged'}`),
  ],
  elman_large: [({ config: { B, T, s } }) => B * T * s * s < 2e7, ({ config }) => [config.activation, config.mask, config.loss.scope]],
  elman_stacked_bidirectional: [
    ({ config }) => !config.bidirectional,
    ({ config }) => [
      config.activation,
      `bias ${config.bias}`,
      config.initial_state,
      `lengths ${config.lengths}`,
      `layers ${config.layers}`,
    ],
  ],
  training_traces: [
    plain,
    ({ config }) => [
      ...Object.keys(config.optimizer).map((key) => `${config.optimizer.name} ${key}`),
      `clip ${config.clip?.kind}`,
      `biases ${config.biases}`,
    ],
  ],
  tbptt: [
    plain,
    ({ config }) => [
      'chunk' in config
        ? `chunk ${config.optimizer?.name} ${config.loss.scope} ${config.clip?.kind} ${config.carry_over_epochs}`
        : `windows ${config.loss.kind}`,
    ],
  ],
  gradient_norms: [() => true, ({ config }) => [config.activation, config.W, `${config.loss}`, `radius ${config.spectral_radius}`]],
  keras_simple_rnn: [
    () => true,
    ({ config, inputs }) => [
      config.activation,
      `bias ${config.use_bias}`,
      `back ${config.go_backwards}`,
      `state ${config.initial_state}`,
      config.mask,
      `stateful ${config.stateful} ${config.mask}`,
      `zero ${config.zero_output_for_mask}`,
      `sequences ${config.return_sequences} ${config.mask}`,
      `pad ${config.pad}`,
      `empty ${config.empty_row}`,
      `tokens ${'tokens' in inputs}`,
    ],
  ],
}

let total = 0
for (const [file, [keep, features]] of Object.entries(FILES)) {
  const { cases, ...head } = JSON.parse(readFileSync(join(root, '..', 'shared', 'vectors', `${file}.json`), 'utf8'))
  const chosen = cover(cases.filter(keep), features)
  const json = `${JSON.stringify({ ...head, count: chosen.length, cases: chosen })}\n`
  writeFileSync(join(root, 'test', 'fixtures', 'vectors', `${file}.json`), json)
  total += json.length
  console.log(`${file}: ${chosen.length} of ${cases.length} cases, ${json.length} bytes`)
}
console.log(`${total} bytes`)
