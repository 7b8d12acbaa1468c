/* The plans of a model: each compiled once for all calls that ask for the same, and cut to a memory budget. */
import { BpttError } from '../errors.js'
import { type Capacity, type Compiled, compile, type DataPlaces, type Segments, type Wants } from '../plan/compile.js'
import type { Layout } from '../plan/layout.js'
import { type Budget, type Choice, chooseSegments, fastSegments } from '../plan/segments.js'

/** Plans kept for calls to come. */
const MOST_PLANS = 32

export class Plans {
  private readonly plans = new Map<string, Compiled>()
  private readonly choices = new Map<string, Choice>()

  constructor(private readonly layout: Layout) {}

  /** A plan for these wants and sizes. */
  compiled(wants: Wants, capacity: Capacity, data: DataPlaces): Compiled {
    const make = () => compile(this.layout, wants, capacity, data)
    return kept(this.plans, [wants, capacity, data], make)
  }

  /**
   * These wants within a budget: in segments, where they must be, or where that costs nothing.
   * @param steps of the longest sequence
   * @param otherBytes what is taken beside the states
   * @throws ERR_OUT_OF_RANGE where there is no way, with the least that is possible
   */
  within(budget: Budget, wants: Wants, capacity: Capacity, data: DataPlaces, steps: number, otherBytes: () => number): Wants {
    const cut = (segments: Segments | undefined) => (segments ? { ...wants, segments } : wants)
    if (budget === 'full') return cut(fastSegments(this.layout, wants, capacity, steps))
    const other = otherBytes()
    const choose = () => {
      const room = budget === 'low' ? Infinity : budget - other
      const choice = chooseSegments(this.layout, wants, capacity, data, steps, budget, room)
      if ('least' in choice)
        throw new BpttError('ERR_OUT_OF_RANGE', 'is less than training takes', {
          at: 'options.memory',
          expected: `at least ${choice.least + other} bytes for ${capacity.B} sequences of at most ${steps} steps`,
          received: `${budget} bytes`,
          hint: 'Smaller batches, shorter windows (bptt) or fewer threads take less; memory() says what takes how much.',
        })
      return choice
    }
    return cut(kept(this.choices, [budget, wants, capacity, steps, other], choose).segments)
  }
}

/** What is kept under this key, made where there is none; the oldest goes for it. */
function kept<T>(shelf: Map<string, T>, what: unknown, make: () => T): T {
  const key = JSON.stringify(what)
  let thing = shelf.get(key)
  if (thing === undefined) {
    thing = make()
    if (shelf.size >= MOST_PLANS) shelf.delete(shelf.keys().next().value!)
    shelf.set(key, thing)
  }
  return thing
}
