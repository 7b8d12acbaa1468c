/*
 * One snapshot of a model's weights, ready for streams: an engine of its own on this thread, shared by all streams that were opened on the
 * same weights. Each stream has its rows of carried states and its place for inputs; what it leaves behind is used again.
 */
import type { JobResult, LocalEngine, PreparedStep, Read, Write } from '../backends/engine.js'
import type { Core } from '../model/core.js'
import { type Compiled, compile } from '../plan/compile.js'
import { FRAME_HEADER, FrameField, frameInts } from '../plan/frame.js'
import { regionBytes } from '../plan/layout.js'
import { address, Region, stride, UNIT_BYTES, unitsOf } from '../plan/memory.js'
import { noData } from '../plan/wants.js'

/** Room of one stream of B rows: the first unit of its inputs in DATA and of its states in CARRY. */
export interface Place {
  readonly B: number
  readonly data: number
  readonly carry: number
}

export class StreamHost {
  readonly engine: LocalEngine
  private readonly free = new Map<number, Place[]>()
  private readonly plans = new WeakMap<Place, Compiled>()
  private dataUnits = 0
  private carryUnits = 0
  private scratchBytes = 0
  private readonly packBytes: number

  constructor(private readonly core: Core) {
    this.engine = core.backend.backend.createLocal({ ...core.options, threads: 1 })
    const place = this.take(1)
    const packing = compile(
      core.layout,
      { pack: true, outputs: true, readout: 'last' },
      { B: 1, R: 1 },
      { ...noData, x: address(Region.DATA, place.data) },
    )
    this.scratchBytes = packing.scratchBytes
    this.packBytes = packing.packBytes
    const frame = stepFrame(1, [])
    this.engine.run({
      bytes: this.bytes,
      writes: [{ at: core.layout.p, data: core.weights() }],
      plan: packing.plan,
      frames: frame,
      count: 1,
      reads: [],
    })
    this.giveBack(place)
  }

  /** Room for a stream of B rows, and its step; where they cannot be had, nothing is changed. */
  open(B: number): { place: Place; step: PreparedStep } {
    const { dataUnits, carryUnits, scratchBytes } = this
    const place = this.take(B)
    try {
      return { place, step: this.prepare(place) }
    } catch (error) {
      if (place.data < dataUnits) this.giveBack(place)
      else Object.assign(this, { dataUnits, carryUnits, scratchBytes })
      throw error
    }
  }

  private take(B: number): Place {
    const used = this.free.get(B)?.pop()
    if (used) return used
    const { input } = this.core.network
    const place = { B, data: this.dataUnits, carry: this.carryUnits }
    this.dataUnits += unitsOf(B * (input.tokens ? 1 : input.size))
    this.carryUnits += this.core.layout.carryUnits(B)
    return place
  }

  giveBack(place: Place): void {
    const list = this.free.get(place.B) ?? []
    this.free.set(place.B, list)
    list.push(place)
  }

  /** The plan of one step of these rows. */
  plan(place: Place): Compiled {
    let compiled = this.plans.get(place)
    if (!compiled) {
      const data = { ...noData, x: address(Region.DATA, place.data) }
      const capacity = { B: place.B, R: place.B }
      compiled = compile(this.core.layout, { outputs: true, readout: 'last', carry: { slots: place.B, unit: place.carry } }, capacity, data)
      this.plans.set(place, compiled)
      this.scratchBytes = Math.max(this.scratchBytes, compiled.scratchBytes)
    }
    return compiled
  }

  private prepare(place: Place): PreparedStep {
    const { input, output } = this.core.network
    const compiled = this.plan(place)
    return this.engine.prepare({
      bytes: this.bytes,
      plan: compiled.plan,
      frame: stepFrame(place.B, allOf(place.B)),
      input: {
        at: address(Region.DATA, place.data),
        kind: input.tokens ? 'int32' : 'float32',
        length: place.B * (input.tokens ? 1 : input.size),
      },
      output: { at: compiled.outputs, length: (place.B - 1) * stride(output.size) + output.size },
    })
  }

  /** Runs a frame of these rows, or none. */
  run(place: Place, frame: Int32Array | undefined, writes: readonly Write[], reads: readonly Read[]): JobResult {
    return this.engine.run({
      bytes: this.bytes,
      writes,
      plan: this.plan(place).plan,
      frames: frame ?? new Int32Array(0),
      count: frame ? 1 : 0,
      reads,
    })
  }

  private get bytes(): number[] {
    const { layout } = this.core
    return regionBytes({
      home: layout.homeUnits * UNIT_BYTES,
      data: this.dataUnits * UNIT_BYTES,
      carry: this.carryUnits * UNIT_BYTES,
      scratch: this.scratchBytes,
      pack: this.packBytes,
    })
  }
}

export const allOf = (B: number): number[] => Array.from({ length: B }, (_, j) => j)

/** One step of B rows with carried states, of which only `alive` get an input (rows of DATA by their number); the others keep their state. */
export function stepFrame(B: number, alive: readonly number[]): Int32Array {
  const T = alive.length ? 1 : 0
  const frame = new Int32Array(frameInts(B, T))
  frame[FrameField.SIZE] = frame.length
  frame[FrameField.B] = B
  frame[FrameField.T] = T
  frame[FrameField.R] = alive.length
  if (T) frame[FRAME_HEADER] = alive.length
  const [base, tbase, last, from, init, saved, slot] = Array.from({ length: 7 }, (_, n) => FRAME_HEADER + T + n * B) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  stepOrder(B, alive).forEach((j, q) => {
    const row = q < alive.length ? q : -1
    frame[base + q] = j
    frame[tbase + q] = 0
    frame[last + q] = row
    frame[from + q] = 0
    frame[init + q] = j
    frame[saved + q] = row
    frame[slot + q] = j
  })
  return frame
}

/** Rows of a frame in its order: the alive ones first. */
export function stepOrder(B: number, alive: readonly number[]): readonly number[] {
  if (alive.length === B) return alive
  const living = new Set(alive)
  return [...alive, ...allOf(B).filter((j) => !living.has(j))]
}
