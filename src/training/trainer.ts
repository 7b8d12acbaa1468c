/* trainer(): single updates for the user's own loop, with moments that live as long as the trainer. */
import { readStepCall, readStepOptions } from '../check/options.js'
import { everyId, pass } from '../inference/pass.js'
import type { Core } from '../model/core.js'
import { Status } from '../plan/operations.js'
import { readInitialState } from '../sequences/state.js'
import type { State } from '../types.js'
import { readExamples } from './dataset.js'
import { nonfinite, overflow } from './diagnose.js'
import { OptimizerState } from './optimizer-state.js'

export interface StepResult {
  loss: number
  gradientNorm: number
  finalState: State
}

export function trainer(core: Core, options: unknown): { step(data: unknown, options?: unknown): Promise<StepResult> } {
  core.check()
  const settings = readStepOptions(options)
  const optimizer = new OptimizerState(core, settings)
  /** Where the moments are, from the first step on (Core.memory). */
  let memory: number | undefined
  return {
    async step(data, options) {
      core.check()
      const { initialState, lr = settings.optimizer.lr } = readStepCall(options)
      const examples = readExamples(core, data, '')
      const { sequences, targets } = examples
      const initial = readInitialState(core.network, initialState as State, sequences.count)
      const release = core.startWriting('step()')
      try {
        const { loss, frame, norm, status, final } = await pass(core, {
          sequences,
          targets,
          wants: { loss: true, gradients: 'fresh', update: optimizer.update },
          initial,
          final: true,
          scalars: optimizer.scalars(lr),
          writes: optimizer.starts,
          memory,
          budget: settings.memory,
          reads: () => ({}),
          readsWeights: true,
        })
        optimizer.starts = []
        memory = core.memory
        if (status !== Status.DONE) {
          const ids = everyId(sequences.count)
          throw await nonfinite(core, examples, { epoch: 0, batch: 0, ids }, status === Status.NONFINITE_LOSS ? 'loss' : 'gradient')
        }
        optimizer.updates++
        const error = overflow(core, 'step', 'those before this update, from which a new trainer() starts')
        if (error) throw error
        const finalState = { layers: final!.map((s, k) => ({ s: { shape: [sequences.count, core.network.state[k]!], data: s } })) }
        return { loss: frame.weight > 0 ? loss / frame.weight : 0, gradientNorm: norm, finalState }
      } finally {
        release()
      }
    },
  }
}
