/* What is measured beside the loss, and what a naive answer gets on the same targets. Used by evaluate() and by train()'s progress. */
import type { Core } from '../model/core.js'
import type { Network } from '../network/network.js'
import type { Sequences, Targets } from '../sequences/data.js'
import type { Metric, Scores } from '../types.js'

export type Baseline = Pick<Metric, 'baseline' | 'baselineIs'>

/** Sums over frames. */
export class Tally {
  loss = 0
  weight = 0
  score = 0
  counted = 0

  add(loss: number, weight: number, score: number, counted: number): void {
    this.loss += loss
    this.weight += weight
    this.score += score
    this.counted += counted
  }

  /** Σwℓ / Σw; 0 where nothing counts. */
  get mean(): number {
    return this.weight > 0 ? this.loss / this.weight : 0
  }
}

const metricName = ({ output }: Network) => (output.head === 'linear' ? 'mse' : 'accuracy')

export function metricsOf(network: Network, { score, counted }: Tally, baseline: Baseline): Record<string, Metric> {
  return { [metricName(network)]: { value: counted > 0 ? score / counted : 0, ...baseline } }
}

export const scoresOf = (network: Network, tally: Tally, baseline: Baseline): Scores => ({
  loss: tally.mean,
  count: tally.counted,
  metrics: metricsOf(network, tally, baseline),
})

/** The best of the naive answers on these targets. */
export function baselineOf(core: Core, sequences: Sequences, targets: Targets, trainMean = core.trainMean): Baseline {
  const { head, size: O } = core.network.output
  if (head === 'softmax') return { baseline: majority(targets, O), baselineIs: 'majority class' }
  if (head === 'sigmoid') return { baseline: majorityOfEach(targets, O), baselineIs: 'majority class' }
  const mean = squaredError(targets, O, meanAnswer(trainMean ?? targetMean(core.network, targets)))
  const last = lastValueAnswer(core.network, sequences)
  const repeat = last ? squaredError(targets, O, last) : Infinity
  return repeat < mean ? { baseline: repeat, baselineIs: 'last value' } : { baseline: mean, baselineIs: 'train mean' }
}

function majority({ values, weights }: Targets, classes: number): number {
  const seen = new Float64Array(classes)
  let all = 0
  for (let i = 0; i < values.length; i++) {
    if (weights[i] === 0) continue
    seen[values[i]!] = seen[values[i]!]! + 1
    all++
  }
  return all ? seen.reduce((most, n) => Math.max(most, n), 0) / all : 0
}

function majorityOfEach({ values, weights }: Targets, O: number): number {
  const yes = new Float64Array(O)
  const all = new Float64Array(O)
  for (let i = 0; i < values.length; i++) {
    if (weights[i] === 0) continue
    all[i % O] = all[i % O]! + 1
    if (values[i]! >= 0.5) yes[i % O] = yes[i % O]! + 1
  }
  const total = all.reduce((a, b) => a + b, 0)
  return total ? all.reduce((sum, n, j) => sum + Math.max(yes[j]!, n - yes[j]!), 0) / total : 0
}

/** Mean of each output over what counts. */
export function targetMean({ output: { size: O } }: Network, { values, weights }: Targets): Float64Array {
  const sum = new Float64Array(O)
  const all = new Float64Array(O)
  for (let i = 0; i < values.length; i++) {
    if (weights[i] === 0) continue
    sum[i % O] = sum[i % O]! + values[i]!
    all[i % O] = all[i % O]! + 1
  }
  return sum.map((s, j) => (all[j] ? s / all[j]! : 0))
}

type Answer = (row: number, j: number) => number | undefined
const meanAnswer =
  (mean: Float64Array): Answer =>
  (_, j) =>
    mean[j]

/** The input of the same step (or of the last one) as the answer: for forecasts, where inputs and outputs are the same quantities. */
function lastValueAnswer({ input, output, readout }: Network, { offsets, rows }: Sequences): Answer | undefined {
  if (input.tokens || input.size !== output.size) return undefined
  const R = input.size
  if (readout === 'all') return (row, j) => rows[row * R + j]
  return (id, j) => (offsets[id + 1]! > offsets[id]! ? rows[(offsets[id + 1]! - 1) * R + j] : undefined)
}

function squaredError({ values, weights }: Targets, O: number, answer: Answer): number {
  let sum = 0
  let all = 0
  for (let i = 0; i < values.length; i++) {
    if (weights[i] === 0) continue
    const said = answer(Math.floor(i / O), i % O)
    if (said === undefined) continue
    sum += (said - values[i]!) ** 2
    all++
  }
  return all ? sum / all : 0
}
