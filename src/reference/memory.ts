/*
 * The reference's five regions, and what an operation sees of them: Context resolves addresses to views. In the float32 classes a region
 * is one ArrayBuffer seen as float32, int32 and float64. The oracle keeps the three kinds apart, under the same addresses, so that what
 * is called float32 elsewhere has 64 bits there.
 */
import type { Asked } from '../backends/engine.js'
import { BpttError } from '../errors.js'
import type { FrameFields } from '../plan/frame.js'
import { floatOffset, REGIONS, Region, regionOf, UNIT_BYTES } from '../plan/memory.js'
import { Rows, Status } from '../plan/operations.js'
import type { Floats } from './arithmetic.js'

interface Views {
  floats: Floats
  ints: Int32Array
  doubles: Float64Array
}

function allocate(bytes: number, wide: boolean): Views {
  if (wide) return { floats: new Float64Array(bytes / 4), ints: new Int32Array(bytes / 4), doubles: new Float64Array(bytes / 8) }
  const buffer = new ArrayBuffer(bytes)
  return { floats: new Float32Array(buffer), ints: new Int32Array(buffer), doubles: new Float64Array(buffer) }
}

export class Memory {
  private readonly bytes: number[] = new Array(REGIONS).fill(0)
  private regions: Views[]
  /** Views made so far, by address. */
  private readonly cache: { [K in keyof Views]: Map<number, Views[K]> } = { floats: new Map(), ints: new Map(), doubles: new Map() }

  /** @param wide the oracle's memory. */
  constructor(private readonly wide: boolean) {
    this.regions = this.bytes.map(() => allocate(0, wide))
  }

  /** Makes room, all or nothing. Content is kept, but for SCRATCH; new bytes are zero. Views from before are stale. */
  grow(bytes: readonly number[]): void {
    const wanted = this.bytes.map((now, r) => Math.max(now, Math.ceil((bytes[r] ?? 0) / UNIT_BYTES) * UNIT_BYTES))
    if (wanted.every((size, r) => size === this.bytes[r])) return
    let regions: Views[]
    try {
      regions = wanted.map((size, r) => (size === this.bytes[r] ? this.regions[r]! : allocate(size, this.wide)))
    } catch (cause) {
      throw new BpttError('ERR_OUT_OF_MEMORY', 'the memory for this network and batch could not be had', {
        received: `${wanted.reduce((a, b) => a + b)} bytes`,
        cause,
      })
    }
    regions.forEach(({ floats, ints, doubles }, r) => {
      const old = this.regions[r]!
      if (old.floats === floats || r === Region.SCRATCH) return
      floats.set(old.floats)
      if (!this.wide) return
      ints.set(old.ints)
      doubles.set(old.doubles)
    })
    this.regions = regions
    wanted.forEach((size, r) => (this.bytes[r] = size))
    for (const views of Object.values(this.cache)) views.clear()
  }

  /** Gives everything back; a later grow() starts anew. */
  free(): void {
    this.bytes.fill(0)
    this.regions = this.bytes.map(() => allocate(0, this.wide))
    for (const views of Object.values(this.cache)) views.clear()
  }

  /** Everything from an address to the end of its region. */
  floats(at: number): Floats {
    return this.view('floats', at, floatOffset(at))
  }
  ints(at: number): Int32Array {
    return this.view('ints', at, floatOffset(at))
  }
  doubles(at: number): Float64Array {
    return this.view('doubles', at, floatOffset(at) / 2)
  }
  private view<K extends keyof Views>(kind: K, at: number, first: number): Views[K] {
    const cache = this.cache[kind]
    let view = cache.get(at)
    if (!view) cache.set(at, (view = this.regions[regionOf(at)]![kind].subarray(first) as Views[K]))
    return view
  }

  zero(at: number, floats: number): void {
    this.floats(at).fill(0, 0, floats)
    if (!this.wide) return
    this.ints(at).fill(0, 0, floats)
    this.doubles(at).fill(0, 0, floats / 2)
  }
  copy(to: number, from: number, floats: number): void {
    this.floats(to).set(this.floats(from).subarray(0, floats))
    if (!this.wide) return
    this.ints(to).set(this.ints(from).subarray(0, floats))
    this.doubles(to).set(this.doubles(from).subarray(0, floats / 2))
  }
}

/** Multiplications between two looks around: a fraction of a millisecond. */
const LOOK = 2 ** 15
/** Those for which a frame stands that has hardly any. */
const FRAME = 2 ** 15

/** Whether a frame is to be left before its end. */
export class Lookout {
  private work = 0
  /** Whether the frame may still be stopped: one that has begun to change parameters runs to its end. */
  stoppable = true
  /** The status with which to leave it, or 0. */
  over = 0

  constructor(private readonly asked: Asked = () => 0) {}

  /** The same before a frame, which may have hardly any. */
  begins(): boolean {
    return this.due(FRAME, LOOK)
  }

  /** Before so many multiplications: whether to leave the frame. Looks if more than `least` were done since it last did. */
  due(multiplications: number, least: number): boolean {
    if (this.work > least) {
      const status = this.asked()
      this.over = this.stoppable || status === Status.PAUSED ? status : 0
      this.work = 0
      if (this.over) return true
    }
    this.work += multiplications
    return false
  }
}

/** What an operation sees: memory, the frame in hand, and where results go. */
export class Context {
  constructor(
    readonly memory: Memory,
    readonly frame: FrameFields,
    /** The plan's. */
    readonly constants: Float64Array,
    /** [RESULT_FIELDS] of this frame. */
    readonly result: Float64Array,
    private readonly lookout: Lookout,
  ) {}
  /** Before so many multiplications: whether to yield, for a while or for good. What is half done then nobody reads. */
  due(multiplications: number, least = LOOK) {
    return this.lookout.due(multiplications, least)
  }
  floats(at: number) {
    return this.memory.floats(at)
  }
  ints(at: number) {
    return this.memory.ints(at)
  }
  doubles(at: number) {
    return this.memory.doubles(at)
  }
  /** How many rows an operand has now. */
  rows(kind: number) {
    return kind === Rows.STEPS ? this.frame.R : this.frame.B
  }
}

/** An operation of the plan: its arguments are those of plan/operations.ts, in order. A long one yields in between. */
export type Operation = (c: Context, ...args: number[]) => undefined | void | Generator<undefined, void>
