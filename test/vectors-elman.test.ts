/*
 * The plain recurrent net against PyTorch in float64: every combination of nonlinearity, initial state, loss, readout and mask, odd and
 * large shapes; loss, outputs, states and all gradients, on every backend and instruction set.
 */
import { RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { onEach, TARGETS, type Target } from './support/targets.js'
import { type Case, casesOf, expectDigest, expectNear, type Numbers, nested, numbersOf } from './support/vectors.js'

const files = ['elman_options', 'elman_shapes', 'elman_large'].map((file) => [file, casesOf(file)] as const)

/**
 * Where the file's tolerance asks for luck: dc is the sum of 4 terms of ±0.27 to ±0.52 that cancel to 0.027. Each is known to half a unit
 * in the last place of its p (2⁻²⁵) and of e and Σe behind it, so 2e-6 of 0.027 is less than one rounding; PyTorch's fell well.
 */
const CANCELLING: Record<string, Record<string, number>> = { 'tanh_s0-given_ce_all_ignore_03': { c: 4e-6 } }

/** As tensors with lengths and -100, or as ragged lists with null: the two doors for the same data. */
function dataOf({ config, inputs }: Case, asTensors: boolean) {
  const x = numbersOf(inputs.x)
  const targets = numbersOf(inputs.targets)
  const mask: Numbers | undefined = inputs.loss_mask
  const lengths: number[] = inputs.lengths?.data ?? Array(config.B).fill(config.T)
  const classes = config.loss.kind === 'softmax_cross_entropy'
  if (asTensors && (classes || !mask)) {
    const y = classes ? Int32Array.from(targets.data, (v, i) => (mask?.data[i] === 0 ? -100 : v)) : Float32Array.from(targets.data)
    return { x: { shape: x.shape, data: Float32Array.from(x.data), lengths }, y: { shape: targets.shape, data: y } }
  }
  const counts = mask && nested(mask)
  const rows = (list: unknown[][]) => list.map((row, b) => row.slice(0, lengths[b]))
  const y = nested(targets)
  return {
    x: rows(nested(x)),
    y: config.loss.scope === 'all' ? rows(y).map((row, b) => row.map((v, i) => (counts?.[b][i] === 0 ? null : v))) : y,
  }
}

function modelOf({ config, inputs }: Case, target: Target) {
  const model = new RNN({
    input: config.r,
    state: config.s,
    output: config.loss.kind === 'softmax_cross_entropy' ? { softmax: config.t } : { linear: config.t },
    readout: config.loss.scope === 'all' ? 'all' : 'last',
    nonlinearity: config.activation,
    bias: config.bias && (inputs.b ? true : 'double'),
    outputBias: config.output_bias,
    ...target.config,
  })
  const { U, W, V, b, c, b_ih, b_hh } = inputs
  const parts = { U, W, V, c, ...(b ? { b } : { b: b_ih, bh: b_hh }) }
  model.setWeights(Object.fromEntries(Object.entries(parts).flatMap(([name, value]) => (value ? [[name, numbersOf(value)]] : []))) as never)
  return model
}

async function check(test: Case, target: Target, asTensors: boolean) {
  const { config, inputs, expected, float32 } = test
  const model = modelOf(test, target)
  const data = dataOf(test, asTensors) as never
  const initialState = inputs.s0 && nested(numbersOf(inputs.s0))
  const { loss, gradients, finalState } = await model.gradients(data, { initialState, reduction: config.loss.reduction })
  const forward = await model.forward((data as { x: never }).x, { initialState })
  model.dispose()

  expectNear('loss', loss, expected.loss, float32.rtol)
  const near = (what: string, got: { shape: readonly number[]; data: Float32Array }, want: unknown, rtol = float32.rtol) =>
    'probe' in (want as object) ? expectDigest(what, got, want as never, rtol) : expectNear(what, got, want as Numbers, rtol)
  const { b, bh } = gradients as { b?: never; bh?: never }
  const got = { ...(gradients as object), s0: gradients.initialState.layers[0]!.s } as Record<string, never>
  for (const [name, want] of Object.entries(expected.grads)) near(`gradient of ${name}`, got[name]!, want, CANCELLING[test.name]?.[name])
  if (bh) expect(bh, 'gradient of the second bias').toEqual(b)
  near('final state', finalState.layers[0]!.s, expected.final_state)
  near('final state of forward()', forward.finalState.layers[0]!.s, expected.final_state)
  if (expected.states) near('states', forward.states[0]!, expected.states)
  if (config.loss.scope === 'final' || !inputs.lengths) near('logits', forward.logits, expected.y)
  expect(Array.from(forward.lengths)).toEqual(inputs.lengths?.data ?? Array(config.B).fill(config.T))
}

onEach(TARGETS, (target) => {
  describe.each(files)('%s', (file, cases) => {
    // The large ones take the reference seconds; one of each nonlinearity says what all would.
    const some =
      file === 'elman_large' && target.name === 'reference'
        ? cases.filter(({ config }) => config.B * config.T * config.s ** 2 < 1e7)
        : cases
    it.each(some.map((test, i) => [test.name, test, i] as const))('%s', (_, test, i) => check(test, target, i % 2 === 0))
  })
})
