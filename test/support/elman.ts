/*
 * The cases of the plain recurrent net that PyTorch computed in float64: what a model is asked, how it answers, and what the answer must
 * be. Asking is apart from answering, because the answer may come from a browser.
 */
import type { RNN, Tensor } from 'bptt'
import { expect } from 'vitest'
import type { Target } from './targets.js'
import { type Case, casesOf, expectDigest, expectNear, type Numbers, nested, numbersOf } from './vectors.js'

export const elmanFiles = ['elman_options', 'elman_shapes', 'elman_large'].map((file) => [file, casesOf(file)] as const)

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

/** Plain data, numbers in typed arrays. */
export interface Question {
  readonly config: never
  readonly weights: never
  readonly data: { readonly x: never; readonly y: never }
  readonly initialState: never
  readonly reduction: 'mean' | 'sum'
}

export function questionOf(test: Case, target: Target['config'], asTensors: boolean): Question {
  const { config, inputs } = test
  const { U, W, V, b, c, b_ih, b_hh } = inputs
  const parts = { U, W, V, c, ...(b ? { b } : { b: b_ih, bh: b_hh }) }
  const tensors = Object.entries(parts).flatMap(([name, value]) => {
    if (!value) return []
    const { shape, data } = numbersOf(value)
    return [[name, { shape, data: Float32Array.from(data) }]]
  })
  return {
    config: {
      input: config.r,
      state: config.s,
      output: config.loss.kind === 'softmax_cross_entropy' ? { softmax: config.t } : { linear: config.t },
      readout: config.loss.scope === 'all' ? 'all' : 'last',
      nonlinearity: config.activation,
      bias: config.bias && (inputs.b ? true : 'double'),
      outputBias: config.output_bias,
      ...target,
    } as never,
    weights: Object.fromEntries(tensors) as never,
    data: dataOf(test, asTensors) as never,
    initialState: (inputs.s0 && nested(numbersOf(inputs.s0))) as never,
    reduction: config.loss.reduction,
  }
}

/** Stands alone: its text is also sent to pages. */
export async function answer(Model: typeof RNN, { config, weights, data, initialState, reduction }: Question) {
  const model = new Model(config)
  model.setWeights(weights)
  const { loss, gradients, finalState } = await model.gradients(data, { initialState, reduction })
  const forward = await model.forward(data.x, { initialState })
  model.dispose()
  return { loss, gradients, finalState, forward }
}

export function expectAnswer(test: Case, { loss, gradients, finalState, forward }: Awaited<ReturnType<typeof answer>>): void {
  const { config, inputs, expected, float32 } = test
  expectNear('loss', loss, expected.loss, float32.rtol)
  const near = (what: string, got: { shape: readonly number[]; data: Float32Array }, want: unknown, rtol = float32.rtol) =>
    'probe' in (want as object) ? expectDigest(what, got, want as never, rtol) : expectNear(what, got, want as Numbers, rtol)
  const { b, bh } = gradients as { b?: never; bh?: never }
  const got = { ...(gradients as object), s0: gradients.initialState.layers[0]!.s } as unknown as Record<string, Tensor>
  for (const [name, want] of Object.entries(expected.grads)) near(`gradient of ${name}`, got[name]!, want, CANCELLING[test.name]?.[name])
  if (bh) expect(bh, 'gradient of the second bias').toEqual(b)
  near('final state', finalState.layers[0]!.s, expected.final_state)
  near('final state of forward()', forward.finalState.layers[0]!.s, expected.final_state)
  if (expected.states) near('states', forward.states[0]!, expected.states)
  if (config.loss.scope === 'final' || !inputs.lengths) near('logits', forward.logits, expected.y)
  expect(Array.from(forward.lengths)).toEqual(inputs.lengths?.data ?? Array(config.B).fill(config.T))
}
