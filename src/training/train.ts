/* train(): reads the options and the data, takes the right to write, and runs the loop behind a Run. */
import { readTrainOptions } from '../check/options.js'
import type { Core } from '../model/core.js'
import type { Run } from '../types.js'
import { readDataSet } from './dataset.js'
import { Training } from './loop.js'
import { RunHandle } from './run.js'

/** Argument errors reject, a wrong `this` included; nothing is changed by them. */
export function train(coreOf: () => Core, data: unknown, options: unknown): Run {
  let training: Training | undefined
  let stopped = false
  return new RunHandle(
    async (report) => {
      const core = coreOf()
      core.check()
      const settings = readTrainOptions(options, core.network)
      const { signal } = settings
      if (signal?.aborted) throw signal.reason
      core.loadBackend() // reads the data faster where it brings the addon
      const set = readDataSet(core, data, settings)
      const release = core.startWriting('train()')
      core.trainMean = set.trainMean
      const abort = () => training?.end({ kind: 'abort', reason: signal!.reason })
      try {
        signal?.addEventListener('abort', abort, { once: true })
        training = new Training(core, set, settings, report)
        if (stopped) training.end({ kind: 'stop' })
        return await training.run()
      } finally {
        core.endResidence(set)
        core.residentCarryUnits = 0
        release()
        signal?.removeEventListener('abort', abort)
      }
    },
    () => {
      stopped = true
      training?.end({ kind: 'stop' })
    },
  )
}
