/*
 * Training against PyTorch's optimisers: losses, gradient norms and weights of every optimiser, with clipping and with one bias or two;
 * truncated backpropagation by chunks (trainer) and by windows (gradients); and how the gradient shrinks and grows over 200 steps.
 */
import { type Optimizer, RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { onEach, TARGETS, type Target } from './support/targets.js'
import { type Case, casesOf, expectNear, type Numbers, nested, stepsOf } from './support/vectors.js'

const elman = ({ config }: Case) => config.cell === 'rnn'
const traces = casesOf('training_traces').filter(elman)
const truncated = casesOf('tbptt').filter(elman)
const chunks = truncated.filter(({ config }) => config.chunk !== undefined)
const windows = truncated.filter(({ config }) => config.k1 !== undefined)
const norms = casesOf('gradient_norms')

/**
 * A chaotic net (radius 1.5): a rounding error grows a thousandfold over the 200 steps. The file's tolerance is 8 times what one run of
 * PyTorch happened to show; the neighbours of this case have 5e-4 and 8e-3. In class mul-add 2.9e-4 is seen, in class fma 1.1e-5.
 */
const CHAOTIC: Record<string, number> = { 'tanh_orthogonal_rho1.5_x1.0_final': 5e-4 }

type Weights = Record<string, Numbers>

function modelOf(config: Case['config'], sizes: { r: number; s: number; t: number }, weights: Weights, target: Target) {
  const model = new RNN({
    input: sizes.r,
    state: sizes.s,
    output: config.loss.kind === 'softmax_cross_entropy' ? { softmax: sizes.t } : { linear: sizes.t },
    readout: config.loss.scope === 'all' ? 'all' : 'last',
    nonlinearity: config.activation,
    bias: config.biases === 'two' ? 'double' : true,
    ...target.config,
  })
  const { b_ih, b_hh, ...same } = weights
  model.setWeights({ ...same, ...(b_ih && { b: b_ih, bh: b_hh }) } as never)
  return model
}
type Model = ReturnType<typeof modelOf>

const theirNames: Record<string, string> = { b_ih: 'b', b_hh: 'bh' }
function expectWeights(model: Model, want: Weights, rtol: number) {
  const [layer] = model.layers
  for (const [name, value] of Object.entries(want)) {
    const ours = theirNames[name] ?? name
    expectNear(`${name}`, ours === 'V' ? model.V : ours === 'c' ? model.c! : layer![ours as 'U']!, value, rtol)
  }
}

/** PyTorch's words in ours. */
function updateOf({ optimizer, clip }: Case['config']) {
  const { name, weight_decay, initial_accumulator_value, lr_decay, ...same } = optimizer
  const given = { ...same, weightDecay: weight_decay, initialAccumulator: initial_accumulator_value, lrDecay: lr_decay, decayBiases: true }
  const options = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
  return {
    optimizer: { [name]: options } as Optimizer,
    clipNorm: clip?.kind === 'global_norm' ? clip.max_norm : (false as const),
    clipValue: clip?.kind === 'value' ? clip.clip_value : (false as const),
  }
}

const batchOf = ({ shape, data, dtype }: Numbers, i: number): Numbers => {
  const size = shape.slice(1).reduce((a, b) => a * b, 1)
  return { shape: shape.slice(1), data: data.slice(i * size, (i + 1) * size), ...(dtype && { dtype }) }
}

async function checkTrace({ config, inputs, expected, float32: { rtol } }: Case, target: Target) {
  const model = modelOf(config, config, inputs.weights, target)
  const trainer = model.trainer(updateOf(config))
  const losses: number[] = []
  const gradientNorms: number[] = []
  for (let i = 0; i < config.steps; i++) {
    const batch = i % config.batches
    const { loss, gradientNorm } = await trainer.step({ x: batchOf(inputs.x, batch), y: nested(batchOf(inputs.targets, batch)) } as never)
    losses.push(loss)
    gradientNorms.push(gradientNorm)
    if (i === 0) expectWeights(model, expected.after_first_step, rtol)
  }
  expectNear('losses', { data: losses }, expected.losses, rtol)
  expectNear('gradient norms', { data: gradientNorms }, expected.grad_norms, rtol)
  expectWeights(model, expected.final, rtol)
  model.dispose()
}

const lastOf = (targets: Numbers): unknown[] => nested(targets).map((steps: unknown[]) => steps.at(-1))

async function checkChunks({ config, inputs, expected, float32: { rtol } }: Case, target: Target) {
  const model = modelOf(config, config, inputs.weights, target)
  const trainer = config.optimizer && model.trainer(updateOf(config))
  const sums = new Map<string, Float64Array>()
  let initialState: unknown
  for (const chunk of expected.chunks) {
    if (chunk.start === 0 && !(config.carry_over_epochs && chunk.epoch > 0)) initialState = nested(inputs.s0)
    const what = (name: string) => `${name} of epoch ${chunk.epoch}, step ${chunk.start}`
    const cut = (tensor: Numbers) => stepsOf(tensor, chunk.start, chunk.start + config.chunk)
    const y = config.loss.scope === 'all' ? nested(cut(inputs.targets)) : lastOf(cut(inputs.targets))
    const data = { x: cut(inputs.x), y } as never
    const { loss, gradients, finalState } = await model.gradients(data, { initialState: initialState as never })
    expectNear(what('loss'), loss, chunk.loss, rtol)
    expectNear(what('state'), finalState.layers[0]!.s, chunk.end_state, rtol)
    for (const [name, want] of Object.entries(chunk.grads as Weights)) {
      const got = (gradients as unknown as Record<string, { shape: number[]; data: Float32Array }>)[name]!
      expectNear(what(`gradient of ${name}`), got, want, rtol)
      const sum = sums.get(name) ?? new Float64Array(got.data.length)
      if (name !== 'x')
        sums.set(
          name,
          sum.map((v, i) => v + got.data[i]!),
        )
    }
    if (trainer) {
      const step = await trainer.step(data, { initialState: initialState as never })
      expectNear(what('loss of step()'), step.loss, chunk.loss, rtol)
      expectNear(what('gradient norm'), step.gradientNorm, chunk.grad_norm, rtol)
      expectNear(what('state of step()'), step.finalState.layers[0]!.s, chunk.end_state, rtol)
    }
    initialState = finalState
  }
  if (expected.final) expectWeights(model, expected.final, rtol)
  if (expected.accumulated_grads)
    for (const [name, want] of Object.entries(expected.accumulated_grads as Weights))
      expectNear(`sum of the gradients of ${name}`, { data: sums.get(name)! }, want, rtol)
  model.dispose()
}

interface Truncated {
  readonly to: number
  readonly loss: number
  readonly grads: Weights
}
/** Rows that count in a window, times t for squared errors: what its mean is over. */
const countOf = ({ config }: Case, { to }: { to: number }) => {
  const steps = to % config.k1 === 0 ? config.k1 : to % config.k1
  return config.B * steps * (config.loss.kind === 'mse' ? config.t : 1)
}

async function checkWindows(test: Case, target: Target) {
  const {
    config,
    inputs,
    expected,
    float32: { rtol },
  } = test
  const model = modelOf(config, config, inputs.weights, target)
  const data = { x: inputs.x, y: nested(inputs.targets) } as never
  const options = { initialState: nested(inputs.s0), bptt: { window: config.k2, stride: config.k1 } }
  const total = expected.windows.reduce((sum: number, window: Truncated) => sum + countOf(test, window), 0)
  for (const reduction of ['sum', 'mean'] as const) {
    const { gradients, loss } = await model.gradients(data, { ...options, reduction })
    const weighted = (value: (window: Truncated) => number) =>
      expected.windows.reduce((sum: number, window: Truncated) => sum + countOf(test, window) * value(window), 0)
    expectNear(`loss, ${reduction}`, loss, weighted((window) => window.loss) / (reduction === 'mean' ? total : 1), rtol)
    // Means are those of each window, as training would take them one by one; the file's sum is of these.
    for (const [name, mean] of Object.entries(expected.accumulated_grads as Weights)) {
      const sum = { shape: mean.shape, data: Array.from(mean.data, (_, i) => weighted((window) => window.grads[name]!.data[i]!)) }
      const got = (gradients as unknown as Record<string, { shape: number[]; data: Float32Array }>)[name]!
      expectNear(`gradient of ${name}, ${reduction}`, got, reduction === 'mean' ? mean : sum, rtol)
    }
  }
  model.dispose()
}

async function checkNorms({ name, config, inputs, expected, float32 }: Case, target: Target) {
  const rtol = CHAOTIC[name] ?? float32.rtol
  const { T, r, s } = config
  const model = new RNN({ input: r, state: s, output: { linear: 1 }, nonlinearity: config.activation, ...target.config })
  model.setWeights({ U: inputs.U, W: inputs.W, b: inputs.b, V: new Float32Array(s), c: [0] })
  const initialState = nested(inputs.s0)
  const { states } = await model.forward(inputs.x, { initialState })
  const d = inputs.d_states ?? { shape: [1, T, s], data: [...Array((T - 1) * s).fill(0), ...inputs.d_final.data] }
  const { stateGradientNorms, gradients } = await model.backward(inputs.x, { states: [d] }, { initialState })
  const last = { shape: [1, s], data: states[0]!.data.slice((T - 1) * s) }
  expectNear('last state', last, expected.final_state, float32.rtol)
  expect(stateGradientNorms[0]!.shape).toEqual([1, T + 1])
  const [low, high] = float32.norms_between!
  let compared = 0
  expected.grad_norms.data.forEach((want: number, k: number) => {
    if (want < low || want > high) return
    expect(Math.abs(stateGradientNorms[0]!.data[k]! / want - 1), `||dL/ds_${k}||`).toBeLessThanOrEqual(rtol)
    compared++
  })
  expect(compared).toBeGreaterThan(10)
  if (expected.grad_norms.data[0] >= low && expected.grad_norms.data[0] <= high)
    expectNear('gradient of s_0', gradients.initialState.layers[0]!.s, expected.grad_s0, rtol)
  model.dispose()
}

onEach(TARGETS, (target) => {
  const each = (name: string, cases: Case[], check: (test: Case, target: Target) => Promise<void>) => {
    if (cases.length) describe(name, () => it.each(cases.map((test) => [test.name, test] as const))('%s', (_, test) => check(test, target)))
  }
  each('training', traces, checkTrace)
  each('truncated by chunks', chunks, checkChunks)
  each('truncated by windows', windows, checkWindows)
  each('gradient norms', norms, checkNorms)
})
