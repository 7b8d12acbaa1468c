/* forward(), and the outputs that predict() words: sequences in, logits, outputs and states out. */
import type { Core } from '../model/core.js'
import type { Sequences } from '../sequences/data.js'
import type { State, Tensor } from '../types.js'
import { forEachChunk } from './chunks.js'
import { expandRows, expandSteps } from './expand.js'
import { everyId, pass, readRows } from './pass.js'

export interface Forward {
  logits: Tensor
  outputs: Tensor
  states: Tensor[]
  finalState: State
  lengths: Int32Array
}

export const tensor = (shape: number[]): Tensor => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b, 1)) })

const longest = ({ lengths }: Sequences) => lengths.reduce((most, length) => Math.max(most, length), 0)

/** Outputs alone, [B, t] or [B, T, t]. */
export async function outputsOf(core: Core, sequences: Sequences): Promise<Tensor> {
  const all = core.network.readout === 'all'
  const O = core.network.output.size
  const T = longest(sequences)
  const outputs = tensor(all ? [sequences.count, T, O] : [sequences.count, O])
  const first = all && sequences.steps ? await atInitialState(core, sequences, undefined) : undefined
  const reads = (compiled: { outputs: number }, { B, R }: { B: number; R: number }) => ({
    outputs: readRows(compiled.outputs, all ? R : B, O),
  })
  await forEachChunk(core, sequences, undefined, { wants: { outputs: true }, reads }, ({ ids, sequences: part, result }) => {
    const packed = result.read['outputs']!
    if (all)
      expandSteps(
        outputs.data,
        T,
        O,
        packed,
        { frame: result.frame, sequences: part, ids },
        { before: first && ((j) => first.outputs(ids[j]!)) },
      )
    else expandRows(outputs.data, O, packed, result.frame, ids)
  })
  return outputs
}

export async function forward(core: Core, sequences: Sequences, initial: Float32Array[] | undefined): Promise<Forward> {
  const { state, readout, output } = core.network
  const all = readout === 'all'
  const O = output.size
  const B = sequences.count
  const T = longest(sequences)
  const outShape = all ? [B, T, O] : [B, O]
  const logits = tensor(outShape)
  const outputs = tensor(outShape)
  const states = state.map((S) => tensor([B, T, S]))
  const finalState = state.map((S) => tensor([B, S]))
  const first = all && sequences.steps ? await atInitialState(core, sequences, initial) : undefined
  await forEachChunk(
    core,
    sequences,
    undefined,
    {
      wants: { logits: true, outputs: true },
      initial,
      final: true,
      reads: (compiled, frame) => ({
        logits: readRows(compiled.logits, all ? frame.R : frame.B, O),
        outputs: readRows(compiled.outputs, all ? frame.R : frame.B, O),
        ...Object.fromEntries(state.map((S, k) => [`s${k}`, readRows(compiled.states[k]!, frame.R, S)])),
      }),
    },
    ({ ids, sequences: part, result }) => {
      const { frame, read, final } = result
      const where = { frame, sequences: part, ids }
      if (all) {
        expandSteps(logits.data, T, O, read['logits']!, where, { before: first && ((j) => first.logits(ids[j]!)) })
        expandSteps(outputs.data, T, O, read['outputs']!, where, { before: first && ((j) => first.outputs(ids[j]!)) })
      } else {
        expandRows(logits.data, O, read['logits']!, frame, ids)
        expandRows(outputs.data, O, read['outputs']!, frame, ids)
      }
      state.forEach((S, k) => {
        const start = initial?.[k]
        expandSteps(states[k]!.data, T, S, read[`s${k}`]!, where, {
          before: start && ((j) => start.subarray(ids[j]! * S, ids[j]! * S + S)),
        })
        ids.forEach((id, j) => finalState[k]!.data.set(final![k]!.subarray(j * S, j * S + S), id * S))
      })
    },
  )
  return { logits, outputs, states, finalState: { layers: finalState.map((s) => ({ s })) }, lengths: sequences.lengths.slice() }
}

/** What the initial state alone gives: shown by steps that are masked before the first one that is not. */
async function atInitialState(core: Core, sequences: Sequences, initial: Float32Array[] | undefined) {
  const O = core.network.output.size
  const count = sequences.count
  const none: Sequences = {
    ...sequences,
    rows: core.network.input.tokens ? new Int32Array(0) : new Float32Array(0),
    offsets: new Int32Array(count + 1),
    steps: undefined,
    cut: undefined,
  }
  const { frame, read } = await pass(core, {
    sequences: none,
    wants: { logits: true, outputs: true, readout: 'last' },
    initial,
    reads: (compiled, { B }) => ({ logits: readRows(compiled.logits, B, O), outputs: readRows(compiled.outputs, B, O) }),
  })
  const rows = { logits: new Float32Array(count * O), outputs: new Float32Array(count * O) }
  for (const name of ['logits', 'outputs'] as const) expandRows(rows[name], O, read[name]!, frame, everyId(count))
  return {
    logits: (id: number) => rows.logits.subarray(id * O, id * O + O),
    outputs: (id: number) => rows.outputs.subarray(id * O, id * O + O),
  }
}
