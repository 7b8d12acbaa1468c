/*
 * The plain recurrent net against PyTorch in float64: every combination of nonlinearity, initial state, loss, readout and mask, odd and
 * large shapes; loss, outputs, states and all gradients, on every backend and instruction set.
 */
import { RNN } from 'bptt'
import { describe, it } from 'vitest'
import { answer, elmanFiles, expectAnswer, questionOf } from './support/elman.js'
import { onEach, TARGETS } from './support/targets.js'

onEach(TARGETS, (target) => {
  describe.each(elmanFiles)('%s', (file, cases) => {
    // The large ones take the reference seconds; one of each nonlinearity says what all would.
    const some =
      file === 'elman_large' && target.name === 'reference'
        ? cases.filter(({ config }) => config.B * config.T * config.s ** 2 < 1e7)
        : cases
    it.each(some.map((test, i) => [test.name, test, i] as const))('%s', async (_, test, i) => {
      expectAnswer(test, await answer(RNN, questionOf(test, target.config, i % 2 === 0)))
    })
  })
})
