/* Learning rates: a schedule gives the rate of each update from the optimiser's own. Pure but for 'plateau', which listens to the loss. */
import { power } from './scalars.js'
import type { ScheduleSettings } from './settings.js'

/** @param step number of the update, from 0, of `steps` */
export type RateOf = (step: number, steps: number) => number

export interface Rate {
  readonly of: RateOf
  /** The rate depends on how epochs end: updates cannot be prepared beyond one. */
  readonly listens: boolean
  /** After each epoch, the loss to watch. */
  epochEnded(loss: number): void
}

/**
 * - step: lr·factor^⌊step / every⌋; exponential: lr·factor^step (both count updates)
 * - cosine: linear warm-up over `warmup` updates, then ½·lr·(1 + cos(π·progress))
 * - oneCycle: from peak/25 up to peak over the first 30 %, then down to peak/25e4, both along a cosine (PyTorch's OneCycleLR)
 * - plateau: lr·factor whenever the loss has not improved by a relative 1e-4 for more than `patience` epochs
 */
export function rateOf(schedule: ScheduleSettings, lr: number): Rate {
  const pure = (of: RateOf): Rate => ({ of, listens: false, epochEnded() {} })
  switch (schedule.kind) {
    case 'constant':
      return pure(() => lr)
    case 'function':
      return pure(schedule.of)
    case 'step':
      return pure((step) => lr * power(schedule.factor, Math.floor(step / schedule.every)))
    case 'exponential':
      return pure((step) => lr * power(schedule.factor, step))
    case 'cosine':
      return pure((step, steps) => {
        const { warmup } = schedule
        if (step < warmup) return (lr * (step + 1)) / (warmup + 1)
        return lr * falling((step - warmup) / Math.max(1, steps - warmup))
      })
    case 'oneCycle': {
      const { peak } = schedule
      return pure((step, steps) => {
        const top = Math.max(1, 0.3 * steps - 1)
        const end = Math.max(top + 1, steps - 1)
        return step <= top ? between(peak / 25, peak, step / top) : between(peak, peak / 25e4, Math.min(1, (step - top) / (end - top)))
      })
    }
    case 'plateau':
      return plateau(schedule, lr)
  }
}

function plateau({ factor, patience }: { factor: number; patience: number }, lr: number): Rate {
  let best = Infinity
  let waited = 0
  let rate = lr
  return {
    of: () => rate,
    listens: true,
    epochEnded(loss) {
      if (loss < best * (1 - 1e-4)) {
        best = loss
        waited = 0
      } else if (++waited > patience) {
        rate *= factor
        waited = 0
      }
    },
  }
}

/** From 1 at 0 down to 0 at 1: ½·(1 + cos πx). */
const falling = (x: number) => 0.5 * (1 + cosPi(x))
const between = (from: number, to: number, x: number) => to + (from - to) * falling(x)

/** cos(πx) for 0 ≤ x ≤ 1, the same on every engine (Math.cos is not): Taylor's series to x¹⁸ after folding at ½; error below 1e-15. */
export function cosPi(x: number): number {
  if (x > 0.5) return -cosPi(1 - x)
  const y = Math.PI * x * (Math.PI * x)
  let sum = 1
  for (let n = 18; n >= 2; n -= 2) sum = 1 - (sum * y) / (n * (n - 1))
  return sum
}
