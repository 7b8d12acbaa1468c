/*
 * The threads that help a WASM engine with its frames (assembly/team.ts): Workers that run worker.ts, started when an engine of this
 * thread first wants one, and lent to whichever engine calls. Until they have come, and where they never do, the engine works alone: the
 * bits are the same. The other end is help() in wasm-instance.ts.
 */
import { platform } from '../platform/platform.js'
import type { TrainingWorker } from '../platform/seam.js'
import type { Call, Exports } from './wasm-instance.js'

/** Milliseconds between two looks whether helpers have come. */
const NAP = 0.1

/** Of this thread; undefined where one could not be started or has died: it is not tried again. */
const helpers: (TrainingWorker | undefined)[] = []

function helper(n: number): TrainingWorker | undefined {
  if (n < helpers.length) return helpers[n]
  try {
    const end = () => {
      helpers[n] = undefined
    }
    helpers[n] = platform().spawn(undefined, () => {}, end)
  } catch {
    helpers[n] = undefined
  }
  return helpers[n]
}

export class Team {
  /** A helper has died while it was called here: the others are let go, and the engine works alone from now on. */
  broken = false

  constructor(
    /** Helpers wanted. */
    private readonly size: number,
    private readonly module: WebAssembly.Module,
    private readonly memory: WebAssembly.Memory,
    private readonly exports: Exports,
  ) {}

  /**
   * Calls those that are not here.
   * @param patience milliseconds to wait for those that were here before
   */
  call(patience: number): void {
    const { module, memory, exports } = this
    const words = new Int32Array(memory.buffer, exports.called.value, this.size)
    for (let word = 0; word < this.size && !this.broken; word++) {
      const one = helper(word)
      if (!one && Atomics.load(words, word) !== 0) {
        this.broken = true
        exports.fail()
      }
      if (one && Atomics.compareExchange(words, word, 0, 1) === 0) one.post({ kind: 'help', module, memory, word } satisfies Call, [])
    }
    const end = performance.now() + patience
    // Asleep: a thread that is woken on the processor of one that spins waits for milliseconds.
    while (!this.broken && !exports.complete() && performance.now() < end) Atomics.wait(words, 0, 1, NAP)
  }
}
