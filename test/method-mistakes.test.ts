/*
 * What every method says to a mistake: code, place and the whole message. Mistakes in sequences, targets, options and files have tests of
 * their own; these are of the methods: what they are given, in which order, and on what.
 */
import { BpttError, configure, RNN } from 'bptt'
import { describe, expect, it } from 'vitest'
import { errorOf } from './support/mistakes.js'
import { withIsa } from './support/targets.js'
import { weightsOf } from './support/tasks.js'

type Any = any
const plain = (): Any => new RNN({ input: 3, state: 4, output: ['a', 'b'], backend: 'reference' })
const stacked = (): Any => new RNN({ input: 3, state: [4, 2], output: { linear: 1 }, readout: 'all', bias: false, backend: 'reference' })
const x = [[[1, 2, 3]], [[4, 5, 6], [7, 8, 9]]]
const y = ['a', 'b']
const data = { x, y }

/** What an asynchronous call gives where nobody awaits it. */
const later: Any = Promise.resolve(data)
const PROMISE = 'received a Promise (was await forgotten?).'
/** Data whose x is gone once the validation data were read. */
const transferring = (): [Any, Any] => {
  const rows = new Float32Array(6)
  const take = () => structuredClone(rows.buffer, { transfer: [rows.buffer] }) && 0
  return [{ x: { data: rows, shape: [2, 1, 3] }, y }, { validation: { x, y: Object.defineProperty([0, 0], 1, { get: take }) } }]
}
const NOTHING =
  'has no target that counts. Not counted are null, -100 in an integer array, masked steps, sequences without a step, and what weighs 0.'
const { proxy: revoked, revoke } = Proxy.revocable([], {})
revoke()

type Mistake = [title: string, of: () => Any, call: (model: Any) => unknown, code: string, at: string | undefined, message: string]
const rejecting: Mistake[] = [
  ['predict()', plain, (m) => m.predict(), 'ERR_INVALID_ARG', 'x', 'x: is not a sequence: expected an array of steps of 3 numbers, received undefined.'],
  ['predict(one step)', plain, (m) => m.predict([1, 2, 3]), 'ERR_SHAPE_MISMATCH', 'x', 'x: is a flat list of numbers; a step of this network has 3: expected an array of steps of 3 numbers, received 3 numbers. Flat data needs its shape: { data, shape: [1, 3] }.'],
  ['predict(many)', plain, (m) => m.predict(x), 'ERR_SHAPE_MISMATCH', 'x[0]', 'x[0]: has 1 feature; the network takes 3.'],
  ['predict(gap)', plain, (m) => m.predict([[1, Number.NaN, 3]]), 'ERR_NONFINITE', 'x[0][1]', "x[0][1]: is NaN: expected a finite number. For missing readings use NaN and create the network with missing: 'mask'."],
  ['predictMany(one)', plain, (m) => m.predictMany(x[0]), 'ERR_SHAPE_MISMATCH', 'xs[0]', 'xs[0]: is a flat list of numbers; a step of this network has 3: expected an array of steps of 3 numbers, received 3 numbers. If xs is a single sequence, pass [xs]. Flat data needs its shape: { data, shape: [1, 3] }.'],
  ['forward()', plain, (m) => m.forward(), 'ERR_INVALID_ARG', 'xs', 'xs: is not a list of sequences: expected an array of sequences, or { data, shape }, received undefined.'],
  ['forward([])', plain, (m) => m.forward([]), 'ERR_EMPTY', 'xs', 'xs: has no sequences.'],
  ['forward(xs, { state })', plain, (m) => m.forward(x, { state: [] }), 'ERR_UNKNOWN_OPTION', 'options.state', 'options.state: there is no such option. state is an option of new RNN({ … }).'],
  ['too few initial states', plain, (m) => m.forward(x, { initialState: [[1, 2, 3, 4]] }), 'ERR_SHAPE_MISMATCH', 'options.initialState', 'options.initialState: has 1 row; there are 2 sequences.'],
  ['a short initial state', plain, (m) => m.forward(x, { initialState: [[1, 2, 3, 4], [1, 2, 3]] }), 'ERR_SHAPE_MISMATCH', 'options.initialState[1]', 'options.initialState[1]: has 3 numbers; the state has 4.'],
  ['an array as the state of layers', stacked, (m) => m.forward(x, { initialState: [[1], [1]] }), 'ERR_SHAPE_MISMATCH', 'options.initialState', 'options.initialState: is an array; a network of 2 layers has a state for each. Pass { layers: [{ s: { data, shape } }, …] }, as finalState has it.'],
  ['train()', plain, (m) => m.train(), 'ERR_INVALID_ARG', 'data', 'data: there is no data: expected { x, y }, received undefined.'],
  ['train(a name)', plain, (m) => m.train('data.jsonl'), 'ERR_INVALID_ARG', 'data', 'data: there is no data: expected { x, y }, received "data.jsonl".'],
  ['train(a Promise)', plain, (m) => m.train(later), 'ERR_INVALID_ARG', 'data', `data: there is no data: expected { x, y }, ${PROMISE}`],
  ['step(data, a Promise)', plain, (m) => m.trainer().step(data, later), 'ERR_INVALID_ARG', 'options', `options: cannot be used: expected an object with initialState, lr, ${PROMISE}`],
  ['step(data, a Map)', plain, (m) => m.trainer().step(data, new Map([['lr', 1]])), 'ERR_INVALID_ARG', 'options', 'options: cannot be used: expected an object with initialState, lr, received a Map.'],
  ['train(a list)', plain, (m) => m.train(x), 'ERR_INVALID_ARG', 'data', 'data: there is no data: expected { x, y }, received an array of 2.'],
  ['train({ x: a Promise })', plain, (m) => m.train({ x: later, y }), 'ERR_INVALID_ARG', 'x', `x: is not a list of sequences: expected an array of sequences, or { data, shape }, ${PROMISE}`],
  ['train({ x })', plain, (m) => m.train({ x }), 'ERR_INVALID_ARG', 'y', 'y: is not a list with an entry for each sequence: expected an array, received undefined.'],
  ['train([], [])', plain, (m) => m.train({ x: [], y: [] }), 'ERR_EMPTY', 'x', 'x: has no sequences.'],
  ['targets that are all null', plain, (m) => m.train({ x, y: [null, null] }), 'ERR_EMPTY', 'y', `y: ${NOTHING}`],
  ['weights that are all 0', plain, (m) => m.train({ ...data, sampleWeights: [0, 1e-60] }), 'ERR_EMPTY', 'y', `y: ${NOTHING}`],
  ['a class weight of 0 for all there is', plain, (m) => m.train({ x, y: ['a', 'a'] }, { classWeight: [0, 1] }), 'ERR_EMPTY', 'y', `y: ${NOTHING}`],
  ['masks that leave nothing', stacked, (m) => m.train({ x, y: [[1], [2, 3]], mask: [[0], [0, 0]] }), 'ERR_EMPTY', 'y', `y: ${NOTHING}`],
  ['nothing that counts but in the validation', plain, (m) => m.train({ x, y: [null, 'a'] }, { validation: { fraction: 0.5, by: 'tail' } }), 'ERR_EMPTY', 'y', `y: ${NOTHING.replace('.', ' among what validation leaves to train on.')}`],
  ['a validation where nothing counts', plain, (m) => m.train({ x, y: ['a', null] }, { validation: { fraction: 0.5, by: 'tail' } }), 'ERR_EMPTY', 'options.validation', `options.validation: ${NOTHING}`],
  ['validation data where nothing counts', plain, (m) => m.train(data, { validation: { x, y: [null, null] } }), 'ERR_EMPTY', 'options.validation.y', `options.validation.y: ${NOTHING}`],
  ['targets that transfer x', plain, (m) => m.train(...transferring()), 'ERR_DETACHED', 'x', 'x: has no memory any more: its buffer was transferred. Pass a copy, or transfer it after the call.'],
  ['a near miss in data', plain, (m) => m.train({ x, y, sampleWeight: [1, 1] }), 'ERR_UNKNOWN_OPTION', 'sampleWeight', 'sampleWeight: is not known here: expected x, y, mask, sampleWeights, stepWeights or groups.'],
  ['learningRate', plain, (m) => m.train(data, { learningRate: 1 }), 'ERR_UNKNOWN_OPTION', 'options.learningRate', 'options.learningRate: there is no such option. Here it is lr, inside the optimizer: train(data, { optimizer: { adam: { lr: 0.001 } } }).'],
  ['a label that is not there', plain, (m) => m.train({ x, y: ['a', 'c'] }), 'ERR_LABEL', 'y[1]', 'y[1]: is not a label of this network: expected "a" or "b", received "c".'],
  ['too few targets', plain, (m) => m.train({ x, y: ['a'] }), 'ERR_SHAPE_MISMATCH', 'y', 'y: has 1 entry; x has 2 sequences.'],
  ['groups that are not there', plain, (m) => m.train(data, { validation: { fraction: 0.5, by: 'group' } }), 'ERR_INVALID_ARG', 'options.validation.by', 'options.validation.by: validation by group needs groups. Pass data.groups, one value for each sequence.'],
  ['a fraction of too little', plain, (m) => m.train(data, { validation: 0.1 }), 'ERR_EMPTY', 'options.validation', 'options.validation: validation leaves no sequence to validate with: received 0.1 of 2 sequences. Use another fraction (of each class, where there are classes), or pass validation data.'],
  ['wrong validation data', plain, (m) => m.train(data, { validation: { x, y: ['a', 'q'] } }), 'ERR_LABEL', 'options.validation.y[1]', 'options.validation.y[1]: is not a label of this network: expected "a" or "b", received "q".'],
  ['too few validation targets', plain, (m) => m.train(data, { validation: { x, y: ['a'] } }), 'ERR_SHAPE_MISMATCH', 'options.validation.y', 'options.validation.y: has 1 entry; options.validation.x has 2 sequences.'],
  ['wrong weights of validation data', plain, (m) => m.train(data, { validation: { ...data, sampleWeights: [1, -1] } }), 'ERR_OUT_OF_RANGE', 'options.validation.sampleWeights[1]', 'options.validation.sampleWeights[1]: is negative: expected a weight of at least 0, received -1.'],
  ['a wrong mask of validation data', plain, (m) => m.train(data, { validation: { ...data, mask: [[1], [1, 2]] } }), 'ERR_INVALID_ARG', 'options.validation.mask[1][1]', 'options.validation.mask[1][1]: is neither true nor false: expected true (use the step) or false, received 2.'],
  ['step()', plain, (m) => m.trainer().step(), 'ERR_INVALID_ARG', 'data', 'data: there is no data: expected { x, y }, received undefined.'],
  ['a negative rate', plain, (m) => m.trainer().step(data, { lr: -1 }), 'ERR_OUT_OF_RANGE', 'options.lr', 'options.lr: is out of range: expected a number at least 0, received -1.'],
  ['a number as a state', plain, (m) => m.trainer().step(data, { initialState: 3 }), 'ERR_INVALID_ARG', 'options.initialState', 'options.initialState: is not a state: expected { layers: [{ s }, …] }, or an array [B][s], received 3.'],
  ['an unknown reduction', plain, (m) => m.gradients(data, { reduction: 'none' }), 'ERR_INVALID_ARG', 'options.reduction', 'options.reduction: cannot be used: expected one of "mean", "sum", received "none".'],
  ['what only train() carries', plain, (m) => m.gradients(data, { bptt: { window: 2, carryState: true } }), 'ERR_UNKNOWN_OPTION', 'options.bptt.carryState', 'options.bptt.carryState: there is no such option. carryState is an option of train(data, { bptt: { … } }).'],
  ['a stride beyond the window', plain, (m) => m.gradients(data, { bptt: { window: 2, stride: 3 } }), 'ERR_OUT_OF_RANGE', 'options.bptt.stride', 'options.bptt.stride: is out of range: expected an integer at least 1 and at most 2, received 3.'],
  ["stepWeights with readout 'last'", plain, (m) => m.gradients({ ...data, stepWeights: [[1], [1, 1]] }), 'ERR_INVALID_ARG', 'stepWeights', "stepWeights: needs a network with readout: 'all'. With one output a sequence use sampleWeights."],
  ['backward() of nothing', plain, (m) => m.backward(x), 'ERR_EMPTY', 'upstream', 'upstream: has no gradients: expected { logits }, { states } or both, received undefined.'],
  ['gradients of outputs', plain, (m) => m.backward(x, { outputs: [] }), 'ERR_UNKNOWN_OPTION', 'upstream.outputs', 'upstream.outputs: is not known here: expected logits or states.'],
  ['upstream of another shape', plain, (m) => m.backward(x, { logits: { data: [1, 2], shape: [1, 2] } }), 'ERR_SHAPE_MISMATCH', 'upstream.logits.shape', 'upstream.logits.shape: has another shape than the network and the data: expected [2, 2], received [1, 2].'],
  ['upstream of one layer only', stacked, (m) => m.backward(x, { states: [{ data: new Float32Array(16), shape: [2, 2, 4] }] }), 'ERR_SHAPE_MISMATCH', 'upstream.states', 'upstream.states: has 1 layer; the network has 2 layers.'],
  ['a class too many', plain, (m) => m.evaluate({ x, y: [0, 2] }), 'ERR_OUT_OF_RANGE', 'y[1]', 'y[1]: is not a class of this network: expected an integer from 0 to 1, received 2. Classes are counted from 0.'],
  ['save()', plain, (m) => m.save(), 'ERR_INVALID_ARG', 'path', 'path: is not a path: expected a path or a file: URL, received undefined.'],
  ['save(3)', plain, (m) => m.save(3), 'ERR_INVALID_ARG', 'path', 'path: is not a path: expected a path or a file: URL, received 3.'],
  ['save("")', plain, (m) => m.save(''), 'ERR_INVALID_ARG', 'path', 'path: is empty: expected the name of a file.'],
  ['load(a Promise)', plain, () => (RNN as Any).load(later), 'ERR_INVALID_ARG', 'from', `from: cannot be read: expected a path, a URL, a Blob, an ArrayBuffer or a Uint8Array, ${PROMISE}`],
  ['load("")', plain, () => (RNN as Any).load(''), 'ERR_INVALID_ARG', 'path', 'path: is empty: expected the name of a file.'],
  ['load()', plain, () => (RNN as Any).load(), 'ERR_INVALID_ARG', 'from', 'from: cannot be read: expected a path, a URL, a Blob, an ArrayBuffer or a Uint8Array, received undefined.'],
  ['fromPyTorch() without output', plain, () => (RNN as Any).fromPyTorch(new Uint8Array(9)), 'ERR_INVALID_ARG', 'options', "options: is missing. RNN.fromPyTorch(file, { output: ['ham', 'spam'] })"],
  ['an unbound method', plain, ({ predict }) => predict(x[0]), 'ERR_INVALID_THIS', undefined, 'this is not a model: received undefined. Call it as model.method(…), or bind it.'],
  ['an unbound train', plain, ({ train }) => train(data), 'ERR_INVALID_THIS', undefined, 'this is not a model: received undefined. Call it as model.method(…), or bind it.'],
]

const throwing: Mistake[] = [
  ['new RNN()', plain, () => new (RNN as Any)(), 'ERR_INVALID_ARG', 'config', "config: is missing: expected an object, received undefined. new RNN({ input: 4, state: 64, output: ['yes', 'no'] })"],
  ['new RNN(a Promise)', plain, () => new RNN(later), 'ERR_INVALID_ARG', 'config', `config: cannot be used: expected an object with input, state, output, readout, nonlinearity, bias, outputBias, missing, init, seed, backend, threads, numerics, ${PROMISE}`],
  ['new RNN(a revoked Proxy)', plain, () => new RNN({ input: 1, state: revoked, output: 2 }), 'ERR_INVALID_ARG', 'config.state', 'config.state: cannot be used: expected a number of units, or a list of them for stacked layers, received an object.'],
  ['a Set of labels', plain, () => new RNN({ input: 1, state: 1, output: new Set(['a', 'b']) as never }), 'ERR_INVALID_ARG', 'config.output', 'config.output: cannot be used: expected an object with softmax, sigmoid, linear, received a Set.'],
  ['a softmax of 1', plain, () => new RNN({ input: 1, state: 1, output: 1 }), 'ERR_INVALID_ARG', 'config.output', 'config.output: a softmax of 1 is always 1 and learns nothing. To predict a number write output: { linear: 1 }; for yes or no write output: { sigmoid: 1 }.'],
  ['epochs for a trainer', plain, (m) => m.trainer({ epochs: 3 }), 'ERR_UNKNOWN_OPTION', 'options.epochs', 'options.epochs: there is no such option. epochs is an option of train(data, { … }).'],
  ['stream of none', plain, (m) => m.stream({ batch: 0 }), 'ERR_OUT_OF_RANGE', 'options.batch', 'options.batch: is out of range: expected an integer at least 1 and at most 65536, received 0.'],
  ['push(a number) of three', plain, (m) => m.stream().push(1), 'ERR_SHAPE_MISMATCH', 'w', 'w: has the wrong number of values: expected 3, received 1.'],
  ['push(text)', plain, (m) => m.stream().push('abc'), 'ERR_INVALID_ARG', 'w', 'w: is not a step: expected a number or an array, received "abc".'],
  ['push(gap)', plain, (m) => m.stream().push([1, 2, Number.NaN]), 'ERR_NONFINITE', 'w[2]', "w[2]: is NaN: expected a finite number. For missing readings use NaN and create the network with missing: 'mask'."],
  ['push(a text in a step)', plain, (m) => m.stream().push([1, '2', 3]), 'ERR_INVALID_ARG', 'w[1]', 'w[1]: is not a number: expected a finite number, received "2". Convert it with Number(…) first.'],
  ['push(more than a float32)', plain, (m) => m.stream().push([1, 2, 1e39]), 'ERR_NONFINITE', 'w[2]', 'w[2]: is too large for a float32: received 1e+39. Scale the data first: networks learn best from numbers around 0 and of size 1.'],
  ['reset() of a row too many', plain, (m) => m.stream({ batch: 2 }).reset(2), 'ERR_OUT_OF_RANGE', 'row', 'row: is not a row of this stream: expected an integer from 0 to 1, received 2.'],
  ['an unbound push', plain, (m) => [[1, 2, 3]].map(m.stream().push), 'ERR_INVALID_THIS', undefined, 'this is not a stream: received undefined. Call it as stream.push(…), or bind it.'],
  ['an unbound reset', plain, (m) => ({ reset: m.stream().reset }).reset(), 'ERR_INVALID_THIS', undefined, 'this is not a stream: received an object. Call it as stream.push(…), or bind it.'],
  ['no state', plain, (m) => (m.stream().state = undefined), 'ERR_INVALID_ARG', 'state', 'state: is not a state: expected { layers: [{ s }, …] }, or an array [B][s], received undefined.'],
  ['state of another size', plain, (m) => (m.stream().state = { layers: [{ s: { data: [1], shape: [1, 1] } }] }), 'ERR_SHAPE_MISMATCH', 'state.layers[0].s.shape', 'state.layers[0].s.shape: has another shape than the network and the data: expected [1, 4], received [1, 1].'],
  ['setWeights(a Promise)', plain, (m) => m.setWeights(later), 'ERR_INVALID_ARG', 'weights', `weights: cannot be used: expected an object with U, W, b, V or c, ${PROMISE}`],
  ['setWeights()', plain, (m) => m.setWeights(), 'ERR_INVALID_ARG', 'weights', 'weights: cannot be used: expected an object with U, W, b, V or c, received undefined.'],
  ['U of another shape', plain, (m) => m.setWeights({ U: [1, 2, 3] }), 'ERR_SHAPE_MISMATCH', 'weights.U', 'weights.U: has another shape than the network: expected [4, 3], received 3 values.'],
  ['rows of U that are too few', plain, (m) => m.setWeights({ U: [[1, 2, 3], [4, 5, 6]] }), 'ERR_SHAPE_MISMATCH', 'weights.U', 'weights.U: has another shape than the network: expected [4, 3], received 2 rows.'],
  ['U transposed', plain, (m) => m.setWeights({ U: { data: new Float32Array(12), shape: [3, 4] } }), 'ERR_SHAPE_MISMATCH', 'weights.U', 'weights.U: has another shape than the network: expected [4, 3], received [3, 4].'],
  ['NaN in a weight', plain, (m) => m.setWeights({ c: [1, 1], V: [[1, 2, 3, 4], [1, 2, 3, Number.NaN]] }), 'ERR_NONFINITE', 'weights.V[1][3]', 'weights.V[1][3]: is NaN: expected a finite number.'],
  ['an unknown weight', plain, (m) => m.setWeights({ u: 1 }), 'ERR_UNKNOWN_OPTION', 'weights.u', 'weights.u: is not known here: expected layers, U, W, b, bh, V, c.'],
  ['no weights', plain, (m) => m.setWeights({}), 'ERR_INVALID_ARG', 'weights', 'weights: has no weights: expected layers, U, W, b, bh, V, c.'],
  ['a second bias', plain, (m) => m.setWeights({ bh: [1, 2, 3, 4] }), 'ERR_SHAPE_MISMATCH', 'weights.bh', 'weights.bh: is not a weight of this network: expected only U, W, V, b, c.'],
  ['U of layers', stacked, (m) => m.U, 'ERR_SHAPE_MISMATCH', 'U', 'U: there is a U for each layer of a stacked network. Use layers[k].U.'],
  ['setWeights({ U }) of layers', stacked, (m) => m.setWeights({ U: [1] }), 'ERR_SHAPE_MISMATCH', 'weights.U', 'weights.U: there is a U for each layer of a stacked network. Use layers[k].U.'],
  ['too few layers', stacked, (m) => m.setWeights({ layers: [{}] }), 'ERR_SHAPE_MISMATCH', 'weights.layers', 'weights.layers: has 1 layer; the network has 2 layers.'],
  ['a getter of something else', plain, () => Object.getOwnPropertyDescriptor(RNN.prototype, 'W')!.get!.call({}), 'ERR_INVALID_THIS', undefined, 'this is not a model: received an object. Call it as model.method(…), or bind it.'],
  ['configure({ worker: 1 })', plain, () => configure({ worker: 1 } as Any), 'ERR_INVALID_ARG', 'options.worker', 'options.worker: cannot be used: expected false or a function that makes a Worker, received 1.'],
]

describe('asynchronous methods reject, and never throw at once', () => {
  it.each(rejecting)('%s', async (_, of, call, code, at, message) => {
    const model = of()
    const before = weightsOf(model)
    const promise = call(model) // must not throw
    const error = await errorOf(() => promise)
    expect(error).toBeInstanceOf(BpttError)
    expect({ code: error.code, at: error.at, message: error.message }).toEqual({ code, at, message })
    expect(weightsOf(model)).toEqual(before)
    model.dispose()
  })
})

describe('synchronous ones throw', () => {
  it.each(throwing)('%s', async (_, of, call, code, at, message) => {
    const model = of()
    const before = weightsOf(model)
    const error = await errorOf(() => call(model))
    expect(error).toBeInstanceOf(BpttError)
    expect({ code: error.code, at: error.at, message: error.message }).toEqual({ code, at, message })
    expect(weightsOf(model)).toEqual(before)
    model.dispose()
  })
})

describe('the environment', () => {
  const model = () => new RNN({ input: 1, state: 1, output: 2 })

  it('BPTT_BACKEND names a backend, or the names there are', async () => {
    process.env.BPTT_BACKEND = 'cuda'
    const error = await errorOf(() => model().backend)
    process.env.BPTT_BACKEND = 'reference'
    const { name, why } = model().backend
    delete process.env.BPTT_BACKEND
    expect(error).toMatchObject({ code: 'ERR_INVALID_ARG', at: 'BPTT_BACKEND', message: 'BPTT_BACKEND: there is no such backend: expected auto, native, wasm, reference, received "cuda".' })
    expect(name).toBe('reference')
    expect(why).toContainEqual({ candidate: 'wasm', refused: 'BPTT_BACKEND=reference asks for another' })
  })

  it('BPTT_ISA that is not here is an error that lists those that are', async ({ skip }) => {
    if (model().backend.name !== 'native') skip('the native backend is not here')
    const error = await errorOf(() => withIsa('mmx', () => model().backend))
    expect(error.code).toBe('ERR_INVALID_ARG')
    expect(error.message).toMatch(/^BPTT_ISA names no instruction set of this machine: expected one of .*(sse2|neon).*, received "mmx"\.$/)
    process.env.BPTT_ISA = 'mmx'
    const used = await errorOf(() => model().predict([1]))
    delete process.env.BPTT_ISA
    expect(used.message).toBe(error.message)
  })
})
