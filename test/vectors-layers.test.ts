/*
 * Stacked layers against PyTorch, SimpleRNN against Keras, the RNN operator against ONNX Runtime: states, and gradients from upstream ones
 * through backward(). What the other libraries express by a direction or a masked step is put to this one as reversed or missing data.
 */
import { RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { onEach, TARGETS, type Target } from './support/targets.js'
import { type Case, casesOf, expectNear, type Numbers, nested, transposed } from './support/vectors.js'

const zeros = (...shape: number[]): Numbers & { data: number[] } => ({ shape, data: Array(shape.reduce((a, b) => a * b, 1)).fill(0) })
const part = ({ shape: [, ...shape], data }: Numbers, i: number): Numbers => {
  const size = shape.reduce((a, b) => a * b, 1)
  return { shape, data: data.slice(i * size, (i + 1) * size) }
}
const head = (S: number) => ({ V: new Float32Array(S), c: [0] })

// ---- PyTorch, several layers ----

const stacked = casesOf('elman_stacked_bidirectional').filter(({ config }) => !config.bidirectional)

async function checkStacked({ config, inputs, expected, float32 }: Case, target: Target) {
  const { B, T, r, s, layers: L, bias } = config
  const model = new RNN({
    input: r,
    state: Array(L).fill(s),
    output: { linear: 1 },
    nonlinearity: config.activation,
    bias: bias && 'double',
    ...target.config,
  })
  const named = (k: number, tensors: Record<string, Numbers>) => ({
    U: tensors[`weight_ih_l${k}`]!,
    W: tensors[`weight_hh_l${k}`]!,
    ...(bias && { b: tensors[`bias_ih_l${k}`]!, bh: tensors[`bias_hh_l${k}`]! }),
  })
  const each = Array.from({ length: L }, (_, k) => k)
  model.setWeights({ layers: each.map((k) => named(k, inputs.params)), ...head(s) } as never)
  const lengths: number[] = inputs.lengths?.data ?? Array(B).fill(T)
  const x = nested(inputs.x).map((row: number[][], b: number) => row.slice(0, lengths[b]))
  const initialState = inputs.h0 && { layers: each.map((k) => ({ s: part(inputs.h0, k) })) }

  const { states, finalState } = await model.forward(x, { initialState })
  expectNear('output', states[L - 1]!, expected.output, float32.rtol)
  for (const k of each) expectNear(`final state ${k}`, finalState.layers[k]!.s, part(expected.hn, k), float32.rtol)

  const upstream = each.map((k) => {
    const d = k === L - 1 ? { shape: [B, T, s], data: [...inputs.d_output.data] } : zeros(B, T, s)
    for (let b = 0; b < B; b++)
      for (let n = 0; n < s; n++) d.data[(b * T + lengths[b]! - 1) * s + n]! += inputs.d_hn.data[(k * B + b) * s + n]!
    return d
  })
  const { gradients } = await model.backward(x, { states: upstream }, { initialState })
  expectNear('gradient of x', gradients.x, expected.grads.x, float32.rtol)
  const got = (gradients as unknown as { layers: Record<string, never>[] }).layers
  for (const k of each) {
    expectNear(`gradient of the initial state ${k}`, gradients.initialState.layers[k]!.s, part(expected.grads.h0, k), float32.rtol)
    for (const [name, want] of Object.entries<Numbers>(named(k, expected.grads.params)))
      expectNear(`gradient of ${name} ${k}`, got[k]![name]!, want, float32.rtol)
  }
  model.dispose()
}

// ---- Keras ----

const keras = casesOf('keras_simple_rnn')

/** x of a call, with masked steps as NaN, in the order of processing; and what was done to it. */
function kerasInput({ config, inputs }: Case, call: number) {
  const { B, T, r } = config
  const tokens: Numbers | undefined = inputs.tokens?.[call]
  const x: Numbers = tokens
    ? { shape: [B, T, r], data: tokens.data.flatMap((token) => inputs.embedding.data.slice(token * r, token * r + r)) }
    : inputs.x[call]
  const used = Array.from({ length: B * T }, (_, i) => {
    if (tokens) return tokens.data[i] !== 0
    if (config.mask === 'explicit') return inputs.mask[call].data[i] === 1
    return config.mask !== 'masking_layer' || x.data.slice(i * r, i * r + r).some((v) => v !== config.mask_value)
  })
  /** Where step i of sequence b of the processing order is in Keras's order. */
  const place = (b: number, i: number) => b * T + (config.go_backwards ? T - 1 - i : i)
  const data = new Float32Array(B * T * r)
  for (let b = 0; b < B; b++)
    for (let i = 0; i < T; i++)
      for (let j = 0; j < r; j++) data[(b * T + i) * r + j] = used[place(b, i)] ? x.data[place(b, i) * r + j]! : Number.NaN
  return { tensor: { shape: [B, T, r], data }, used, place, tokens }
}

async function checkKeras(test: Case, target: Target) {
  const { config, inputs, expected, float32 } = test
  const { B, T, r, units: S } = config
  const model = new RNN({
    input: r,
    state: S,
    output: { linear: 1 },
    nonlinearity: config.activation === 'linear' ? 'identity' : config.activation,
    bias: config.use_bias,
    missing: 'mask',
    ...target.config,
  })
  model.setWeights({
    U: transposed(inputs.kernel),
    W: transposed(inputs.recurrent_kernel),
    ...(inputs.bias && { b: inputs.bias }),
    ...head(S),
  } as never)
  let initialState: unknown = inputs.initial_state && nested(inputs.initial_state)
  for (let call = 0; call < config.calls; call++) {
    if (config.reset_before_call === call) initialState = undefined
    const { tensor, used, place } = kerasInput(test, call)
    const want = expected.calls[call]
    const { states, finalState } = await model.forward(tensor, { initialState: initialState as never })
    expectNear(`state after call ${call}`, finalState.layers[0]!.s, want.state, float32.rtol)
    if (config.return_sequences)
      // A masked step shows the kept state here, zeros or the output before it in Keras: the unmasked ones are the network's.
      for (let b = 0; b < B; b++)
        for (let i = 0; i < T; i++) {
          if (!used[place(b, i)]) continue
          const at = (b * T + i) * S
          expectNear(
            `output ${b}, ${i}`,
            { data: states[0]!.data.slice(at, at + S) },
            { shape: [S], data: want.output.data.slice(at, at + S) },
            float32.rtol,
          )
        }
    if (config.stateful) initialState = finalState
  }
  if (expected.grads) await checkKerasGradients(test, model)
  model.dispose()
}

async function checkKerasGradients(test: Case, model: RNN<number, { linear: 1 }>) {
  const { config, inputs, expected, float32 } = test
  const { B, T, r, units: S } = config
  const { tensor, used, place, tokens } = kerasInput(test, 0)
  const d = zeros(B, T, S)
  for (let b = 0; b < B; b++)
    for (let i = 0; i < T; i++) {
      // What a masked step put out was put out by the last used step before it, zeros before the first; or zeros by request.
      let from = i
      if (config.return_sequences) while (from >= 0 && !used[place(b, from)]) from--
      if (from < 0 || (from < i && config.zero_output_for_mask)) continue
      if (!config.return_sequences && i < T - 1) continue
      for (let n = 0; n < S; n++) d.data[(b * T + i) * S + n] = inputs.d_output.data[(config.return_sequences ? b * T + i : b) * S + n]
    }
  const initialState = inputs.initial_state && nested(inputs.initial_state)
  // Keras puts out zeros for a sequence without a used step, whatever the initial state, so nothing flows back from it.
  for (let b = 0; b < B; b++) if (!used.slice(b * T, b * T + T).includes(true)) d.data.fill(0, b * T * S, (b + 1) * T * S)
  const { gradients } = await model.backward(tensor, { states: [d] }, { initialState })
  const got = gradients as unknown as Record<'U' | 'W' | 'b' | 'x', { shape: readonly number[]; data: Float32Array }>
  expectNear('gradient of the kernel', got.U, transposed(expected.grads.kernel), float32.rtol)
  expectNear('gradient of the recurrent kernel', got.W, transposed(expected.grads.recurrent_kernel), float32.rtol)
  if (config.use_bias) expectNear('gradient of the bias', got.b, expected.grads.bias, float32.rtol)
  const dx = zeros(B, T, r)
  for (let b = 0; b < B; b++)
    for (let i = 0; i < T; i++) for (let j = 0; j < r; j++) dx.data[place(b, i) * r + j] = got.x.data[(b * T + i) * r + j]!
  if (expected.grads.x) expectNear('gradient of x', dx, expected.grads.x, float32.rtol)
  if (expected.grads.embedding) {
    const embedding = zeros(...inputs.embedding.shape)
    tokens!.data.forEach((token, i) => {
      for (let j = 0; j < r; j++) embedding.data[token * r + j]! += dx.data[i * r + j]!
    })
    expectNear('gradient of the embedding', embedding, expected.grads.embedding, float32.rtol)
  }
}

// ---- ONNX ----

const onnx = ['onnx_node_tests', 'onnxruntime_recurrent']
  .flatMap((file) => casesOf(file))
  .filter(({ config }) => config.op === 'RNN' && config.attributes.clip === undefined)

async function checkOnnx({ config, inputs, expected, float32 }: Case, target: Target) {
  const { attributes } = config
  const [T, B, r] = inputs.X.shape as [number, number, number]
  const S: number = attributes.hidden_size
  const directions = attributes.direction === 'bidirectional' ? [false, true] : [attributes.direction === 'reverse']
  const lengths: number[] = inputs.sequence_lens?.data ?? Array(B).fill(T)
  let compared = 0
  const near = (what: string, got: number, want: number) => {
    expect(Math.abs(got - want), what).toBeLessThanOrEqual(float32.atol! + float32.rtol * Math.abs(want))
    compared++
  }
  for (const [D, reversed] of directions.entries()) {
    const model = new RNN({
      input: r,
      state: S,
      output: { linear: 1 },
      nonlinearity: (attributes.activations?.[D] ?? 'Tanh').toLowerCase(),
      bias: inputs.B ? 'double' : false,
      ...target.config,
    })
    const biases = inputs.B && part(inputs.B, D).data
    model.setWeights({
      U: part(inputs.W, D),
      W: part(inputs.R, D),
      ...(biases && { b: biases.slice(0, S), bh: biases.slice(S) }),
      ...head(S),
    } as never)
    const time = (b: number, i: number) => (reversed ? lengths[b]! - 1 - i : i)
    const x = lengths.map((length, b) =>
      Array.from({ length }, (_, i) => inputs.X.data.slice((time(b, i) * B + b) * r, (time(b, i) * B + b) * r + r)),
    )
    const initialState = inputs.initial_h && nested(part(inputs.initial_h, D))
    const { states, finalState } = await model.forward(x, { initialState })
    const longest = states[0]!.shape[1]!
    for (let b = 0; b < B; b++)
      for (let n = 0; n < S; n++) {
        if (expected.Y_h) near(`Y_h ${D} ${b} ${n}`, finalState.layers[0]!.s.data[b * S + n]!, expected.Y_h.data[(D * B + b) * S + n])
        for (let i = 0; expected.Y && i < lengths[b]!; i++)
          near(
            `Y ${i} ${b} ${n}`,
            states[0]!.data[(b * longest + i) * S + n]!,
            expected.Y.data[((time(b, i) * directions.length + D) * B + b) * S + n],
          )
      }
    model.dispose()
  }
  expect(compared).toBeGreaterThan(0)
}

onEach(TARGETS, (target) => {
  if (stacked.length)
    describe('PyTorch, stacked', () =>
      it.each(stacked.map((test) => [test.name, test] as const))('%s', (_, test) => checkStacked(test, target)))
  if (keras.length)
    describe('Keras SimpleRNN', () => it.each(keras.map((test) => [test.name, test] as const))('%s', (_, test) => checkKeras(test, target)))
  if (onnx.length)
    describe('ONNX RNN', () => it.each(onnx.map((test) => [test.name, test] as const))('%s', (_, test) => checkOnnx(test, target)))
})
