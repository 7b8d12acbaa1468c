/* The numbers that an update takes from the host: computed in float64 and rounded to float32 once (plan/optimizers.ts says where each goes). */
import { SCALAR_COUNT } from '../plan/frame.js'
import { UpdateFlag } from '../plan/operations.js'
import { Scalar } from '../plan/optimizers.js'
import type { OptimizerSettings, UpdateSettings } from './settings.js'

/** xⁿ for whole n ≥ 0, by squaring: Math.pow differs between engines. */
export function power(x: number, n: number): number {
  let result = 1
  for (let square = x; n > 0; n = Math.floor(n / 2), square *= square) if (n % 2 === 1) result *= square
  return result
}

/**
 * Writes out[at … at + SCALAR_COUNT).
 * @param t number of the update, from 1
 */
export function updateScalars({ optimizer, clipValue }: UpdateSettings, lr: number, t: number, out: Float32Array, at: number): void {
  for (let i = 0; i < SCALAR_COUNT; i++) out[at + i] = 0
  out[at + Scalar.LR] = lr
  out[at + Scalar.WD] = optimizer.weightDecay
  out[at + Scalar.CLIP] = clipValue ?? 0
  switch (optimizer.kind) {
    case 'sgd':
      out[at + Scalar.A] = optimizer.momentum
      out[at + Scalar.B] = t === 1 ? 1 : 1 - optimizer.dampening
      break
    case 'rmsprop':
      out[at + Scalar.EPS] = optimizer.eps
      out[at + Scalar.A] = optimizer.alpha
      out[at + Scalar.B] = 1 - optimizer.alpha
      out[at + Scalar.C] = optimizer.momentum
      break
    case 'adagrad':
      out[at + Scalar.LR] = lr / (1 + (t - 1) * optimizer.lrDecay)
      out[at + Scalar.EPS] = optimizer.eps
      break
    case 'adam':
    case 'adamw': {
      const [beta1, beta2] = optimizer.betas
      out[at + Scalar.LR] = lr / (1 - power(beta1, t))
      if (optimizer.kind === 'adamw') out[at + Scalar.WD] = 1 - lr * optimizer.weightDecay
      out[at + Scalar.EPS] = optimizer.eps
      out[at + Scalar.A] = beta1
      out[at + Scalar.B] = 1 - beta1
      out[at + Scalar.C] = beta2
      out[at + Scalar.D] = 1 - beta2
      out[at + Scalar.RHO] = 1 / Math.sqrt(1 - power(beta2, t))
    }
  }
}

/** UpdateFlag bits. */
export function updateFlags({ optimizer, clipValue }: UpdateSettings): number {
  const momentum = optimizer.kind === 'sgd' || optimizer.kind === 'rmsprop' ? optimizer.momentum > 0 : false
  return (
    (optimizer.kind === 'sgd' && optimizer.nesterov ? UpdateFlag.NESTEROV : 0) |
    (optimizer.kind === 'rmsprop' && optimizer.centered ? UpdateFlag.CENTERED : 0) |
    ('amsgrad' in optimizer && optimizer.amsgrad ? UpdateFlag.AMSGRAD : 0) |
    (momentum ? UpdateFlag.MOMENTUM : 0) |
    (optimizer.weightDecay !== 0 ? UpdateFlag.DECAY : 0) |
    (optimizer.decayBiases ? UpdateFlag.DECAY_BIASES : 0) |
    (clipValue !== undefined ? UpdateFlag.CLIP_VALUE : 0)
  )
}

/** Which moments an optimiser keeps, and what they start from. */
export function momentsOf(optimizer: OptimizerSettings): { m?: number; v?: number; a?: number } {
  switch (optimizer.kind) {
    case 'sgd':
      return optimizer.momentum > 0 ? { m: 0 } : {}
    case 'rmsprop':
      return { v: 0, ...(optimizer.momentum > 0 && { m: 0 }), ...(optimizer.centered && { a: 0 }) }
    case 'adagrad':
      return { v: optimizer.initialAccumulator }
    default:
      return { m: 0, v: 0, ...(optimizer.amsgrad && { a: 0 }) }
  }
}
