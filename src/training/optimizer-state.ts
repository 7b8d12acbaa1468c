/* The moments of one optimiser in backend memory, and the plan's UPDATE that uses them. Owned by one train() or one trainer(). */
import type { Write } from '../backends/engine.js'
import type { Core } from '../model/core.js'
import { SCALAR_COUNT } from '../plan/frame.js'
import { NONE, UNIT_FLOATS } from '../plan/memory.js'
import type { Update } from '../plan/wants.js'
import { allocate } from '../sequences/room.js'
import { momentsOf, updateFlags, updateScalars } from './scalars.js'
import type { UpdateSettings } from './settings.js'

/** Moments of trainers that nobody holds any more are given back. */
const dropped = new FinalizationRegistry<() => void>((release) => release())

export const KIND = { sgd: 'SGD', rmsprop: 'RMSPROP', adagrad: 'ADAGRAD', adam: 'ADAM', adamw: 'ADAMW' } as const

/** Made out here, so that it holds on to nothing of the state whose end it waits for: a closure inside would share `this` with its neighbours. */
const releaseOf = (core: Core, taken: number[]) => () => {
  for (const at of taken.splice(0)) core.blocks.giveBack(at)
}

export class OptimizerState {
  /** Updates made so far. */
  updates = 0
  readonly update: Update
  private readonly taken: number[] = []
  /** What must be written before the first update. */
  starts: readonly Write[]

  constructor(
    core: Core,
    private readonly settings: UpdateSettings,
  ) {
    this.release = releaseOf(core, this.taken)
    dropped.register(this, this.release, this)
    const { optimizer, clipNorm } = settings
    const first = momentsOf(optimizer)
    const starts: Write[] = []
    const block = (start: number | undefined) => {
      if (start === undefined) return NONE
      const at = core.blocks.take()
      this.taken.push(at)
      starts.push({ at, data: allocate(Float32Array, core.layout.table.units * UNIT_FLOATS, () => 'optimizer').fill(start) })
      return at
    }
    this.update = {
      optimizer: KIND[optimizer.kind],
      flags: updateFlags(settings),
      m: block(first.m),
      v: block(first.v),
      a: block(first.a),
      maxNorm: clipNorm,
    }
    this.starts = starts
  }

  /** Gives the moments' memory back; they are gone. */
  readonly release: () => void

  /** Scalars of the next update. */
  scalars(lr: number): Float32Array {
    const list = new Float32Array(SCALAR_COUNT)
    this.putScalars(lr, 0, list, 0)
    return list
  }

  /** Those of the update that comes `ahead` updates after the next one, written to out[at …). */
  putScalars(lr: number, ahead: number, out: Float32Array, at: number): void {
    updateScalars(this.settings, lr, this.updates + ahead + 1, out, at)
  }
}
