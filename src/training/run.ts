/* What train() returns: a promise of the result that can be iterated (one Progress an epoch, none dropped) and stopped. */
import type { Progress, Run, RunResult } from '../types.js'

export class RunHandle implements Run {
  readonly [Symbol.toStringTag] = 'Run'
  private readonly result: Promise<RunResult>
  private readonly epochs: Progress[] = []
  private readonly waiting = new Set<() => void>()
  private over = false

  /**
   * @param start begins the run, with a place to report epochs to; its errors reject
   * @param onStop asks it to end
   */
  constructor(
    start: (report: (progress: Progress) => void) => Promise<RunResult>,
    private readonly onStop: () => void,
  ) {
    const wake = () => {
      for (const resume of this.waiting) resume()
      this.waiting.clear()
    }
    this.result = start((progress) => {
      this.epochs.push(progress)
      wake()
    }).finally(() => {
      this.over = true
      wake()
    })
  }

  // biome-ignore lint/suspicious/noThenProperty: a Run is awaited
  then<A = RunResult, B = never>(
    resolved?: ((value: RunResult) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result.then(resolved, rejected)
  }

  catch<B = never>(rejected?: ((reason: unknown) => B | PromiseLike<B>) | null): Promise<RunResult | B> {
    return this.result.catch(rejected)
  }

  finally(settled?: (() => void) | null): Promise<RunResult> {
    return this.result.finally(settled)
  }

  /** Bound: it is often passed on alone, to a timer or a button. */
  readonly stop = (): Promise<RunResult> => {
    this.onStop()
    return this.result
  }

  /** Iterating counts as handling: a failed run throws here, and nowhere else. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress, void, void> {
    this.result.catch(() => undefined)
    let done = false
    try {
      for (let i = 0; ; ) {
        if (i < this.epochs.length) yield this.epochs[i++]!
        else if (this.over) break
        else await new Promise<void>((resume) => this.waiting.add(resume))
      }
      await this.result
      done = true
    } finally {
      if (!done && !this.over) await this.stop().catch(() => undefined)
    }
  }
}
