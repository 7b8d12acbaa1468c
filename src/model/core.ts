/*
 * The inside of a model: its weights (copies.ts), the engine that computes with them, and the queue before that (turns.ts). RNN (rnn.ts),
 * training/ and inference/ are written over this; it knows plans, addresses and bytes, but no user input.
 */
import type { Engine, EngineDescription, EngineOptions, Job, JobResult, LocalEngine, Read, Write } from '../backends/engine.js'
import { createEngine } from '../backends/remote.js'
import { type BackendChoice, chooseBackend } from '../backends/select.js'
import { BpttError } from '../errors.js'
import type { Network } from '../network/network.js'
import type { Compiled } from '../plan/compile.js'
import { Layout, regionBytes } from '../plan/layout.js'
import { UNIT_BYTES, UNIT_FLOATS } from '../plan/memory.js'
import type { Budget } from '../plan/segments.js'
import type { DataPlaces } from '../plan/wants.js'
import { Blocks } from './blocks.js'
import { Copies, type Effect } from './copies.js'
import { type Asked, Plans } from './plans.js'
import { Turns } from './turns.js'

export interface Runtime {
  readonly backend: 'auto' | 'native' | 'wasm' | 'reference'
  readonly threads: number | undefined
  readonly numerics: 'fast' | 'portable'
}

/** What one turn at the engine runs: a plan over frames, with what goes in before and comes out after. */
export interface Turn {
  readonly compiled: Compiled
  readonly frames: Int32Array
  readonly count: number
  readonly writes?: readonly Write[]
  readonly reads?: readonly Read[]
  /** The weights that it leaves become the host's. */
  readonly readsWeights?: boolean | undefined
  /** Core.held(), to answer from those weights even if others have been set meanwhile. */
  readonly weights?: Float32Array | undefined
  /** Core.memory as it was when what the turn builds on was put there. */
  readonly memory?: number | undefined
  /** Bytes of DATA and CARRY that it uses. */
  readonly dataBytes: number
  readonly carryBytes?: number
  /** Called when the engine has copied all of this, before it has run it. */
  readonly taken?: (() => void) | undefined
}

/** What a pass takes beside its states. */
export interface PassSizes {
  readonly dataBytes: number
  readonly carryBytes: number
  /** Bytes of HOME; default: what there is. */
  readonly home?: number
}

const NO_BYTES = { home: 0, data: 0, carry: 0, scratch: 0, pack: 0 }

export class Core {
  readonly layout: Layout
  /** Moments of optimisers in HOME, behind parameters and gradients. */
  readonly blocks: Blocks
  readonly plans: Plans
  /** Units of CARRY taken by a training run; other calls put theirs behind. */
  residentCarryUnits = 0
  /** What naive answers to compare with are made of: set by train(). */
  trainMean: Float64Array | undefined

  /** Counts the engines that were lost: what was kept in the memory of one is not in that of the next. */
  memory = 0

  private readonly copies: Copies
  private readonly turns = new Turns(() => this.giveWay())
  private choice: BackendChoice | undefined
  private engine: Engine | undefined
  private bytes = NO_BYTES
  /** The turn that the engine was given last updates weights: it may end before its last frame, with Status.STOPPED, where somebody else waits. */
  private givesWay = false
  private writer: string | undefined
  private disposed = false
  /** Engines of streams, for as long as somebody else holds them. */
  private readonly others = new Set<WeakRef<LocalEngine>>()
  private readonly residents = new Map<object, number>()

  constructor(
    readonly network: Network,
    readonly runtime: Runtime,
    weights?: Float32Array,
  ) {
    this.layout = new Layout(network)
    this.blocks = new Blocks(this.layout.homeUnits, this.layout.table.units)
    this.plans = new Plans(this.layout)
    this.copies = new Copies(network, weights)
  }

  /** The weights as of the last update that was read back: do not write, and look at them now. */
  weights(): Float32Array {
    return this.copies.weights
  }

  /** Counts the weights that the host has had. */
  get version(): number {
    return this.copies.version
  }

  /** Replaces the weights. */
  setWeights(weights: Float32Array): void {
    this.copies.set(weights)
  }

  /** Copies.recover(): the model keeps the weights that were read last where an update has made some that are not finite. */
  recover(): boolean {
    return this.copies.recover()
  }

  get options(): EngineOptions {
    return { numerics: this.runtime.numerics, threads: this.runtime.threads }
  }

  get backend(): BackendChoice {
    return this.loadBackend()
  }

  /** What the first use of `backend` does. */
  loadBackend(): BackendChoice {
    this.choice ??= chooseBackend(this.runtime.backend)
    return this.choice
  }

  get description(): EngineDescription {
    return this.engine?.description ?? this.backend.backend.describe(this.options)
  }

  /** Reserves the right to change the weights; @returns its release. */
  startWriting(what: string): () => void {
    this.check()
    if (this.writer !== undefined)
      throw new BpttError('ERR_BUSY', `${what} cannot start while ${this.writer} is running on this model`, {
        hint: 'Await it, or stop it first.',
      })
    this.writer = what
    return () => {
      this.writer = undefined
    }
  }

  check(): void {
    if (this.disposed) throw new BpttError('ERR_DISPOSED', 'this model was disposed of', { hint: 'Make a new one.' })
  }

  /** Turns.take(), while the model lives. */
  inTurn<T>(task: () => Promise<T>, follows = false): Promise<T> {
    return this.turns.take(async () => {
      this.check()
      return task()
    }, follows)
  }

  /** Whether weights must be drawn first, which takes long enough to be noticed. */
  get drawsSlowly(): boolean {
    return this.copies.drawsSlowly
  }

  /** Draws the initial weights without blocking. @param check throws where they are not wanted any more */
  async draw(check?: () => void): Promise<void> {
    await this.copies.draw(() => {
      this.check()
      check?.()
    })
    this.check()
  }

  /** Whether a turn asked for now hands its writes to the engine before this call ends. */
  get prompt(): boolean {
    return this.turns.idle && !this.drawsSlowly
  }

  /** The weights as they are, for a read of several turns; none while a writer changes them, or before they are drawn. */
  held(): Float32Array | undefined {
    return this.writer === undefined ? this.copies.hold() : undefined
  }

  /** What a turn must upload first. */
  private missing(held: Float32Array | undefined): Float32Array | undefined {
    return this.copies.missing(this.writer === undefined ? held : undefined)
  }

  /** Whether the next plan must pack the weights that it uses: those for the way forward, or also those for the way back. */
  mustPack(uses: 'forward' | 'all', held?: Float32Array): boolean {
    return this.missing(held) !== undefined || this.copies.unpacked(uses)
  }

  /** One turn at the engine; inside inTurn only. */
  async run(turn: Turn, effect: Effect): Promise<JobResult> {
    // Who asked mustPack() has drawn them: no setWeights() may come between the question and the job.
    if (this.drawsSlowly) await this.draw()
    this.engine ??= createEngine(this.backend.backend, this.options)
    if (turn.memory !== undefined && turn.memory !== this.memory)
      throw new BpttError('ERR_BACKEND', 'the engine was lost, and with it the data and moments that it held', {
        hint: 'Start again, from the weights of the last report: train() once more, or a new trainer().',
      })
    const upload = this.missing(turn.weights)
    const writes = upload ? [{ at: this.layout.p, data: upload }, ...(turn.writes ?? [])] : turn.writes
    this.copies.begun(effect)
    this.givesWay = effect === 'updates'
    const result = await this.submit(this.engine, turn, writes)
    this.copies.ran(effect, upload)
    this.check()
    if (turn.readsWeights) this.copies.read((result.reads as (Float32Array | null)[]).pop()!)
    return result
  }

  /**
   * Puts the turn's writes into the engine's memory: by the end of this call where nobody is before it, else from copies of them.
   * @returns Core.memory as it was then
   */
  async load({ writes = [], ...turn }: Turn): Promise<number> {
    const own = this.turns.idle ? writes : writes.map(({ at, data }) => ({ at, data: data.slice() }))
    return this.inTurn(async () => {
      const { memory } = this
      this.engine ??= createEngine(this.backend.backend, this.options)
      await this.submit(this.engine, turn, own)
      return memory
    })
  }

  private async submit(engine: Engine, turn: Turn, writes: readonly Write[] = []): Promise<JobResult> {
    const next = this.room(turn)
    const { reads = [], readsWeights } = turn
    const weights: Read = { at: this.layout.p, kind: 'float32', length: this.layout.table.units * UNIT_FLOATS }
    const job: Job = {
      bytes: regionBytes(next),
      writes,
      plan: turn.compiled.plan,
      frames: turn.frames,
      count: turn.count,
      reads: readsWeights ? [...reads, weights] : reads,
      into: readsWeights ? this.copies.room : undefined,
    }
    try {
      const running = engine.submit(job)
      if (this.turns.waiting > 0) this.giveWay()
      turn.taken?.()
      const result = await running
      this.bytes = next
      return result
    } catch (error) {
      if (engine === this.engine && (!(error instanceof BpttError) || error.code !== 'ERR_OUT_OF_MEMORY')) this.dropEngine()
      throw error
    }
  }

  /** Bytes that the engine has once it has run a turn. */
  private room({ dataBytes, carryBytes = 0, compiled }: Turn): typeof NO_BYTES {
    const { bytes } = this
    return {
      home: Math.max(bytes.home, this.blocks.units * UNIT_BYTES),
      data: Math.max(bytes.data, dataBytes),
      carry: Math.max(bytes.carry, carryBytes),
      scratch: Math.max(bytes.scratch, compiled.scratchBytes),
      pack: Math.max(bytes.pack, compiled.packBytes),
    }
  }

  /** Whether a turn can begin behind the one that runs, which reads nothing: nobody waits, and the engine queues and has all that it needs. */
  canFollow(turn: Turn): boolean {
    const { bytes, engine } = this
    return (
      this.turns.waiting === 0 &&
      !this.copies.engineIsBehind &&
      !!engine?.queues &&
      `${regionBytes(this.room(turn))}` === `${regionBytes(bytes)}`
    )
  }

  /** Asks a turn that updates weights, if the engine has one, to end before its next update. */
  interrupt(): void {
    if (this.givesWay) this.engine?.stop()
  }

  private giveWay(): void {
    if (this.givesWay) this.engine?.giveWay?.()
  }

  /** Units of DATA taken by who leaves data there from one turn to the next (training runs, long reads); others put theirs behind. */
  get residentUnits(): number {
    return Math.max(0, ...this.residents.values()) / UNIT_BYTES
  }

  /** From now on somebody's data lie in DATA, before this many bytes, until endResidence(). */
  reside(who: object, bytes: number): void {
    this.residents.set(who, bytes)
  }

  endResidence(who: object): void {
    this.residents.delete(who)
  }

  /** Plans.within(), of all that this model takes. */
  within(budget: Budget, asked: Asked, data: DataPlaces, sizes: PassSizes): Compiled {
    const { dataBytes, carryBytes, home = this.blocks.units * UNIT_BYTES } = sizes
    return this.plans.within(budget, asked, data, () => home + dataBytes + carryBytes + this.workspaceBytes)
  }

  get workspaceBytes(): number {
    return this.backend.backend.workspaceBytes(this.options)
  }

  /** Bytes of what the engine has now. */
  get engineBytes(): { home: number; data: number; carry: number; scratch: number; pack: number; workspace: number } {
    return { ...this.bytes, workspace: this.bytes.home > 0 ? this.workspaceBytes : 0 }
  }

  /** Goes on with the weights that were read last, on a new engine. */
  private dropEngine(): void {
    this.engine?.dispose()
    this.engine = undefined
    this.memory++
    this.copies.lost()
    this.bytes = NO_BYTES
  }

  /** Disposes of an engine, if it still lives, when the model is disposed of. */
  adopt(engine: LocalEngine): void {
    for (const other of this.others) if (!other.deref()) this.others.delete(other)
    this.others.add(new WeakRef(engine))
  }

  dispose(): void {
    if (this.disposed) return
    this.disposed = true
    for (const other of this.others) other.deref()?.dispose()
    this.dropEngine()
    this.copies.forget()
  }
}
