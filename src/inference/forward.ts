/* forward(), and the outputs from which predict() makes answers: sequences in, logits, outputs and states out. */
import { BpttError } from '../errors.js'
import type { Core } from '../model/core.js'
import type { Sequences } from '../sequences/data.js'
import { sizeOf } from '../sequences/numbers.js'
import { giveBack } from '../sequences/room.js'
import type { State, Tensor } from '../types.js'
import { forEachChunk } from './chunks.js'
import { expandRows, expandSteps, longest } from './expand.js'
import { pass, readRows } from './pass.js'

export interface Forward {
  logits: Tensor
  outputs: Tensor
  states: Tensor[]
  finalState: State
  lengths: Int32Array
}

/** Zeros of this shape, or ERR_OUT_OF_MEMORY. */
export function tensor(shape: number[]): Tensor {
  const size = sizeOf(shape)
  try {
    return { shape, data: new Float32Array(size) }
  } catch (cause) {
    throw new BpttError('ERR_OUT_OF_MEMORY', `results of shape [${shape.join(', ')}] could not be had`, {
      hint: 'All sequences are padded to the longest one: pass fewer at a time, or those of like length together.',
      cause,
    })
  }
}

const OUTPUTS = { outputs: true }

/**
 * What `answer` makes of the outputs of each sequence, not padded: [t], or [T, t] with readout 'all'. Made after each pass: of all at once
 * it would keep others waiting. Nobody may look at the sequences' rows after that.
 */
export async function answersOf<A>(core: Core, sequences: Sequences, answer: (outputs: Float32Array) => A): Promise<A[]> {
  const all = core.network.readout === 'all'
  const O = core.network.output.size
  const answers = new Array<A>(sequences.count)
  const first = all && sequences.steps ? await atInitialState(core, sequences, undefined) : undefined
  const reads = (compiled: { outputs: number }, { B, R }: { B: number; R: number }) => ({
    outputs: readRows(compiled.outputs, all ? R : B, O, true),
  })
  await forEachChunk(core, sequences, undefined, { wants: OUTPUTS, budget: 'full', reads }, ({ ids, sequences: part, result }) => {
    const outputs = Array.from(part.lengths, (length) => new Float32Array(all ? length * O : O))
    const placeOf = (j: number) => outputs[j]!
    const { frame, read } = result
    if (all) expandSteps(placeOf, O, read['outputs']!, { frame, sequences: part }, { before: first && ((j) => first.outputs(ids[j]!)) })
    else expandRows(placeOf, O, read['outputs']!, frame)
    giveBack(read['outputs']!)
    outputs.forEach((values, j) => {
      answers[ids[j]!] = answer(values)
    })
  })
  if (!sequences.lent) giveBack(sequences.rows)
  return answers
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
        logits: readRows(compiled.logits, all ? frame.R : frame.B, O, true),
        outputs: readRows(compiled.outputs, all ? frame.R : frame.B, O, true),
        ...Object.fromEntries(state.map((S, k) => [`s${k}`, readRows(compiled.states[k]!, frame.R, S, true)])),
      }),
    },
    ({ ids, sequences: part, result }) => {
      const { frame, read, final } = result
      const where = { frame, sequences: part }
      const placeIn =
        ({ data }: Tensor, size: number) =>
        (j: number) =>
          data.subarray(ids[j]! * size)
      if (all) {
        expandSteps(placeIn(logits, T * O), O, read['logits']!, where, { before: first && ((j) => first.logits(ids[j]!)) })
        expandSteps(placeIn(outputs, T * O), O, read['outputs']!, where, { before: first && ((j) => first.outputs(ids[j]!)) })
      } else {
        expandRows(placeIn(logits, O), O, read['logits']!, frame)
        expandRows(placeIn(outputs, O), O, read['outputs']!, frame)
      }
      state.forEach((S, k) => {
        const start = initial?.[k]
        expandSteps(placeIn(states[k]!, T * S), S, read[`s${k}`]!, where, {
          before: start && ((j) => start.subarray(ids[j]! * S, ids[j]! * S + S)),
        })
        ids.forEach((id, j) => finalState[k]!.data.set(final![k]!.subarray(j * S, j * S + S), id * S))
      })
      for (const rows of Object.values(read)) giveBack(rows)
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
  for (const name of ['logits', 'outputs'] as const) expandRows((id) => rows[name].subarray(id * O), O, read[name]!, frame)
  return {
    logits: (id: number) => rows.logits.subarray(id * O, id * O + O),
    outputs: (id: number) => rows.outputs.subarray(id * O, id * O + O),
  }
}
