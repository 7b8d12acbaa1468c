/* The queue before an engine: who wants it waits until those who came earlier are through. */

export class Turns {
  private last: Promise<unknown> = Promise.resolve()
  /** Of those who have their turn or wait for it. */
  private count = 0
  /** Of the latter. */
  waiting = 0

  /** @param onWait called when somebody begins to wait */
  constructor(private readonly onWait: () => void) {}

  /** Nobody has a turn, or waits for one. */
  get idle(): boolean {
    return this.count === 0
  }

  /** Runs `task` when everything asked for before has had its turn: now, if that is all done, or if it `follows` what runs. */
  async take<T>(task: () => Promise<T>, follows: boolean): Promise<T> {
    const before = this.count++ > 0 && !follows ? this.last : undefined
    let finished!: () => void
    this.last = new Promise<void>((resolve) => {
      finished = resolve
    })
    try {
      if (before) {
        this.waiting++
        this.onWait()
        await before
        this.waiting--
      }
      return await task()
    } finally {
      this.count--
      finished()
    }
  }
}
