/*
 * Gradients over the options: gradients() against central differences of the float64 reference (gradCheck), and backward() against
 * differences of forward(), with masked steps, empty sequences and initial states, which the loss alone does not reach.
 */
import { RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { BACKENDS, onEach } from './support/targets.js'
import { randoms, sequencesOf, tokensOf } from './support/tasks.js'

const lengths = [4, 0, 7, 1, 5]
const B = lengths.length
const random = randoms(9)
const everyStep = <T>(value: (b: number, i: number) => T) => lengths.map((n, b) => Array.from({ length: n }, (_, i) => value(b, i)))

const heads = {
  softmax: { output: { softmax: 3 }, y: (b: number, i: number) => (b + i) % 3 },
  sigmoid: { output: { sigmoid: 2 }, y: (b: number, i: number) => [(b + i) % 2, 0.25] },
  linear: { output: { linear: 2 }, y: (b: number, i: number) => [b / 4, i / 7] },
}
const shapes = [
  { state: 5, nonlinearity: 'tanh' },
  { state: 9, nonlinearity: 'sigmoid', bias: 'double' },
  { state: 6, nonlinearity: 'identity', bias: false, outputBias: false },
  { state: [4, 7], nonlinearity: 'tanh', bias: 'double' },
  { state: [6, 3, 5], nonlinearity: 'sigmoid', outputBias: false },
] as const

onEach(BACKENDS, ({ config }) => {
  describe.each(Object.keys(heads) as (keyof typeof heads)[])('loss of %s', (name) => {
    const { output, y } = heads[name]
    it.each(
      shapes.flatMap((shape) =>
        (['last', 'all'] as const).map((readout) => [JSON.stringify({ ...shape, readout }), shape, readout] as const),
      ),
    )('%s', async (_, shape, readout) => {
      const model = new RNN({ input: 4, ...shape, readout, output, missing: 'mask', init: 'pytorch', ...config } as never) as RNN
      const x = sequencesOf(lengths, 4)
      x[2]![3]![1] = Number.NaN
      const data = {
        x,
        y: readout === 'all' ? everyStep((b, i) => ((b + i) % 4 === 1 ? null : y(b, i))) : lengths.map((_, b) => y(b, 0)),
        mask: everyStep((b, i) => (b + i) % 5 !== 0),
        sampleWeights: [1, 2, 0.5, 3, 1],
      }
      const { maxRelativeError, at } = await model.gradCheck(data as never)
      model.dispose()
      expect(maxRelativeError, at).toBeGreaterThan(0)
      expect(maxRelativeError, at).toBeLessThan(2e-5)
    })
  })

  it('of tokens', async () => {
    const model = new RNN({ input: { tokens: 6 }, state: 5, output: { softmax: 4 }, readout: 'all', init: 'pytorch', ...config })
    const { maxRelativeError } = await model.gradCheck({ x: tokensOf(lengths, 6), y: tokensOf(lengths, 4, 2) })
    expect(maxRelativeError).toBeLessThan(2e-5)
    model.dispose()
  })

  it('gradCheck() sees a wrong weight', async () => {
    // The check must be able to fail: with float32's smallest differences it would pass anything.
    const model = new RNN({ input: 3, state: 4, output: { linear: 1 }, ...config })
    const big = { x: sequencesOf([3, 2], 3).map((steps) => steps.map((step) => step.map((v) => v * 1e5))), y: [1e8, -1e8] }
    const { maxRelativeError } = await model.gradCheck(big)
    expect(maxRelativeError).toBeGreaterThan(2e-5)
    model.dispose()
  })

  describe.each(['last', 'all'] as const)('backward() is the derivative of forward(), readout %s', (readout) => {
    it.each([
      ['logits', true, false],
      ['states', false, true],
      ['logits and states', true, true],
    ])('%s', async (_, withLogits, withStates) => {
      const model = new RNN({ input: 2, state: [3, 4], output: { linear: 2 }, readout, missing: 'mask', init: 'pytorch', ...config })
      const x = sequencesOf(lengths, 2)
      x[0]![0]![1] = x[0]![1]![0] = Number.NaN // before any step that counts
      x[2]![3]![0] = x[2]![6]![0] = Number.NaN // within, and at the end
      x[3]![0]![0] = Number.NaN // all of it
      const state = (S: number) => ({ s: { shape: [B, S], data: Float32Array.from({ length: B * S }, random) } })
      const initialState = { layers: [state(3), state(4)] }
      const before = await model.forward(x, { initialState })
      const noise = ({ shape }: { shape: readonly number[] }) => ({
        shape,
        data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, random),
      })
      const dLogits = noise(before.logits)
      const dStates = before.states.map(noise)
      const upstream = { ...(withLogits && { logits: dLogits }), ...(withStates && { states: dStates }) }

      /** Σ of all outputs times what comes from above, which is zero past the lengths. */
      const value = async () => {
        const { logits, states } = await model.forward(x, { initialState })
        let sum = 0
        if (withLogits) logits.data.forEach((z, i) => (sum += z * dLogits.data[i]!))
        if (withStates) states.forEach(({ data }, k) => data.forEach((s, i) => (sum += s * dStates[k]!.data[i]!)))
        return sum
      }
      const { gradients, stateGradientNorms } = await model.backward(x, upstream, { initialState })
      const found = gradients as unknown as {
        layers: Record<string, { data: Float32Array }>[]
        V: { data: Float32Array }
        c: { data: Float32Array }
      }

      const eps = 2 ** -6
      const near = async (what: string, got: number, change: (by: number) => void) => {
        change(eps)
        const above = await value()
        change(-2 * eps)
        const below = await value()
        change(eps)
        expect(Math.abs(got - (above - below) / (2 * eps)), `${what}: ${got}, ${(above - below) / (2 * eps)}`).toBeLessThan(
          2e-3 * Math.max(1, Math.abs(got)),
        )
      }
      for (const [k, { s }] of initialState.layers.entries())
        for (let i = 0; i < s.data.length; i++)
          await near(`initial state ${k} ${i}`, gradients.initialState.layers[k]!.s.data[i]!, (by) => (s.data[i]! += by))
      for (const [b, steps] of x.entries())
        for (const [i, step] of steps.entries())
          for (const [j, w] of step.entries()) {
            const got = gradients.x.data[(b * 7 + i) * 2 + j]!
            if (step.some(Number.isNaN)) expect(got, `masked x ${b} ${i}`).toBe(0)
            else await near(`x ${b} ${i} ${j}`, got, (by) => (step[j] = (step[j] ?? w) + by))
          }
      const tensors = { V: model.V, c: model.c! }
      for (const name of ['V', 'c'] as const)
        for (let i = 0; i < tensors[name].data.length; i++)
          await near(`${name} ${i}`, found[name].data[i]!, (by) => {
            tensors[name].data[i]! += by
            model.setWeights({ [name]: tensors[name] } as never)
          })
      // The norms of a step are those of the state that it shows; slot 0 is the initial state.
      for (const [k, { s }] of gradients.initialState.layers.entries())
        for (let b = 0; b < B; b++) {
          const S = s.shape[1]!
          const norm = Math.hypot(...s.data.subarray(b * S, b * S + S))
          expect(stateGradientNorms[k]!.data[b * 8]!).toBeCloseTo(norm, 4)
        }
      model.dispose()
    })
  })

  it('the norm of a gradient that reaches back says by how much', async () => {
    // s_i = ½ s_{i-1}: each step halves what comes from above, so the norms are powers of two.
    const model = new RNN({ input: 1, state: 2, output: { linear: 1 }, nonlinearity: 'identity', bias: false, ...config })
    model.setWeights({
      U: [[0], [0]],
      W: [
        [0.5, 0],
        [0, 0.5],
      ],
      V: [[0, 0]],
    })
    const states = [{ shape: [1, 5, 2], data: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1] }]
    const { stateGradientNorms, gradients } = await model.backward([[1, 2, 3, 4, 5]], { states })
    expect(Array.from(stateGradientNorms[0]!.data)).toEqual([1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1])
    expect(Array.from(gradients.initialState.layers[0]!.s.data)).toEqual([0, 1 / 32])
    model.dispose()
  })
})
