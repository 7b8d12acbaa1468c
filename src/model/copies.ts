/*
 * Which of the copies of a model's weights are up to date: the host's, the parameters in the engine's memory, and those that the engine
 * has packed for its products. They part where weights are set while something runs, or where the engine has updated them and nobody has
 * read them yet.
 */
import { initialWeights, initialWeightsInSlices } from '../network/initialize.js'
import type { Network } from '../network/network.js'
import { parameterTable } from '../network/parameters.js'
import { platform } from '../platform/platform.js'
import { firstBad } from '../sequences/numbers.js'

/** Which packed weights are right after a job, where it packs; 'updates' where none are. */
export type Effect = 'packs forward' | 'packs all' | 'updates' | 'nothing'

/** Above so many units of state, or weights (of a large vocabulary), drawing takes long enough to be noticed: it is done in slices where it can be. */
const SLOW_TO_DRAW = { state: 256, weights: 2 ** 20 }

export class Copies {
  /** Counts the weights that the host has had. */
  version = 0
  /** Somebody may look at the host's array even when others have come, which must not go into it then. */
  private isHeld = false
  /** The engine's were not all finite when they were read, so that the host kept those that it had. */
  private overflowed = false
  /** The engine's parameters are older than the host's. */
  private isBehind = true
  /** What was uploaded last, until the engine changes it. */
  private uploaded: Float32Array | undefined
  /** Which of its packed weights are those of its parameters. */
  private packed: 'none' | 'forward' | 'all' = 'none'

  constructor(
    private readonly network: Network,
    private host: Float32Array | undefined,
  ) {}

  /** The host's: drawn when they are wanted first. */
  get weights(): Float32Array {
    this.host ??= initialWeights(this.network)
    return this.host
  }

  /** Whether weights must be drawn first, which takes long enough to be noticed. */
  get drawsSlowly(): boolean {
    if (this.host) return false
    return Math.max(...this.network.state) > SLOW_TO_DRAW.state || parameterTable(this.network).count > SLOW_TO_DRAW.weights
  }

  /** Draws the initial weights without blocking; `check` throws between two slices where nobody wants them any more. */
  async draw(check: () => void): Promise<void> {
    const drawn = await initialWeightsInSlices(this.network, async () => {
      await platform().pause()
      check()
    })
    this.host ??= drawn
  }

  /** The host has others, which the engine must get. */
  set(weights: Float32Array): void {
    this.take(weights)
    this.isBehind = true
  }

  private take(weights: Float32Array): void {
    this.host = weights
    this.isHeld = false
    this.version++
  }

  /** The host has read the engine's; null: which were not all finite. */
  read(weights: Float32Array | null): void {
    this.overflowed = !weights || (weights !== this.host && firstBad(weights, 0, weights.length, 0) >= 0)
    if (weights && !this.overflowed) this.take(weights)
  }

  /** Whether the engine's were not all finite when they were read: it gets those that the host has. */
  recover(): boolean {
    const { overflowed } = this
    this.overflowed = false
    if (overflowed) this.isBehind = true
    return overflowed
  }

  /** The host's array, if it is drawn, which nothing is read into from now on. */
  hold(): Float32Array | undefined {
    this.isHeld = true
    return this.host
  }

  /** Where the engine's weights may be read into, if they are all finite. */
  get room(): Float32Array | undefined {
    return this.isHeld ? undefined : this.host
  }

  get engineIsBehind(): boolean {
    return this.isBehind
  }

  /** What must be uploaded before a job: of the weights that it answers from, if it holds some, or else of the host's. */
  missing(held: Float32Array | undefined): Float32Array | undefined {
    if (held && held !== this.host) return held === this.uploaded ? undefined : held
    return this.isBehind ? this.weights : undefined
  }

  /** Whether those packed for the way forward, or also those for the way back, are not those of the parameters. */
  unpacked(uses: 'forward' | 'all'): boolean {
    return !(this.packed === uses || this.packed === 'all')
  }

  /** A job has been given to the engine. */
  begun(effect: Effect): void {
    if (effect !== 'updates') return
    this.packed = 'none'
    this.uploaded = undefined
  }

  /** It has run, after `upload` where something was missing. */
  ran(effect: Effect, upload: Float32Array | undefined): void {
    if (upload) {
      this.isBehind = upload !== this.host
      if (effect !== 'updates') this.uploaded = upload
      this.packed = 'none'
    }
    if (effect === 'packs forward') this.packed = 'forward'
    if (effect === 'packs all') this.packed = 'all'
  }

  /** The engine is gone, with all that it had. */
  lost(): void {
    this.isBehind = true
    this.uploaded = undefined
  }

  forget(): void {
    this.host = undefined
  }
}
