/* The plans of a model: each compiled once for all calls that ask for the same, and cut to a memory budget. */
import { BpttError } from '../errors.js'
import { type Compiled, compile } from '../plan/compile.js'
import type { Layout } from '../plan/layout.js'
import { type Budget, type Choice, chooseSegments, fastSegments } from '../plan/segments.js'
import type { Capacity, DataPlaces, Segments, Wants } from '../plan/wants.js'

/** Plans kept for calls to come. */
const MOST_PLANS = 32

export interface Asked {
  readonly wants: Wants
  readonly capacity: Capacity
  /** Of the longest sequence. */
  readonly steps: number
  /** That another plan of the same call takes. */
  readonly scratchBytes?: number | undefined
}

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
   * The same within a budget: in segments, where it must be, or where that costs nothing.
   * @param otherBytes what is taken beside SCRATCH and PACK
   * @throws ERR_OUT_OF_RANGE where there is no way, with the least that is possible
   */
  within(budget: Budget, { wants, capacity, steps, scratchBytes }: Asked, data: DataPlaces, otherBytes: () => number): Compiled {
    const cut = (segments: Segments | undefined) => this.compiled(segments ? { ...wants, segments } : wants, capacity, data)
    if (budget === 'full') return cut(fastSegments(this.layout, wants, capacity, steps))
    const other = otherBytes()
    const choose = () => {
      const room = budget === 'low' ? Infinity : budget - other
      const choice = chooseSegments(this.layout, wants, capacity, data, steps, budget, room, scratchBytes)
      if (choice.bytes > room)
        throw new BpttError('ERR_OUT_OF_RANGE', 'is less than training takes', {
          at: 'options.memory',
          expected: `at least ${choice.bytes + other} bytes for ${capacity.B} sequences of at most ${steps} steps`,
          received: `${budget} bytes`,
          hint: 'Smaller batches, shorter windows (bptt) or fewer threads take less; memory() says what takes how much.',
        })
      return choice
    }
    return cut(kept(this.choices, [budget, wants, capacity, steps, other, scratchBytes], choose).segments)
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
