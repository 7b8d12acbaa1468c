/* stream(): one step at a time, synchronous, nothing allocated, with the same bits as a whole sequence at once. */
import { BpttError, notThis, show } from '../errors.js'
import type { Core } from '../model/core.js'
import { address, Region, stride, UNIT_FLOATS } from '../plan/memory.js'
import { badValue } from '../sequences/input.js'
import { flatOf } from '../sequences/numbers.js'
import { readState } from '../sequences/state.js'
import type { Num, State } from '../types.js'
import { padRows, readRows, unpadRows } from './pass.js'
import { allOf, type Place, StreamHost, stepFrame, stepOrder } from './stream-host.js'

/** Places of streams that nobody holds any more are given back to their host. */
const dropped = new FinalizationRegistry<() => void>((release) => release())
const hosts = new WeakMap<Core, { version: number; host: StreamHost }>()

/** The host of the weights as they are now. */
function hostOf(core: Core): StreamHost {
  const { version } = core
  let entry = hosts.get(core)
  if (entry?.version !== version) {
    entry = { version, host: new StreamHost(core) }
    hosts.set(core, entry)
    core.adopt(entry.host.engine)
  }
  return entry.host
}

export class Stream {
  private readonly host: StreamHost
  private readonly place: Place
  private readonly step
  private readonly input: Float32Array | Int32Array
  private readonly output: Float32Array
  private readonly length: number
  private readonly features: number
  private readonly tokens: boolean
  private readonly O: number

  constructor(
    readonly core: Core,
    batch: number,
  ) {
    const { input, output } = core.network
    this.host = hostOf(core)
    const { place, step } = this.host.open(batch)
    this.place = place
    this.step = step
    this.input = this.step.input
    this.length = this.input.length
    this.tokens = input.tokens
    this.features = input.tokens ? 1 : input.size
    this.O = output.size
    this.output = batch === 1 ? this.step.output : new Float32Array(batch * output.size)
    const { host } = this
    dropped.register(this, () => host.giveBack(place))
    this.reset()
  }

  /**
   * One step: w is [batch·r], a number where that is one, or tokens [batch].
   * @returns the outputs [batch·t]: always the same array, overwritten by the next push
   */
  push(w: number | Num): Float32Array {
    coreOf(this).check()
    if (this.output.length === 0) flatOf(this.output, () => 'output') // throws: it was transferred
    if (!this.take(w) && this.step.run()) {
      if (this.place.B > 1) this.unpad(this.step.output, allOf(this.place.B))
    } else {
      if (!this.tokens) this.checkMissing(w)
      this.pushMasked()
    }
    return this.output
  }

  /** Copies w in. @returns whether a token is missing; of numbers that shows when the step is run */
  private take(w: number | Num): boolean {
    const { input, length, tokens } = this
    // Its length by its elements, about which nothing can lie.
    if (!tokens && w instanceof Float32Array && w[length - 1] !== undefined && w[length] === undefined) input.set(w)
    else if (typeof w === 'number') {
      if (length !== 1) throw wrongLength(length, 1)
      input[0] = tokens ? this.token(w, w, 0) : w
    } else {
      if (typeof w !== 'object' || w === null)
        throw new BpttError('ERR_INVALID_ARG', 'is not a step', { at: 'w', expected: 'a number or an array', received: show(w) })
      if (w.length !== length) throw wrongLength(length, w.length)
      for (let j = 0; j < length; j++) {
        const value: unknown = w[j]
        if (typeof value !== 'number') throw this.bad(value, w, j)
        input[j] = tokens ? this.token(value, w, j) : value
      }
    }
    return tokens && (length === 1 ? input[0] === GAP : input.includes(GAP))
  }

  private token(value: number, w: number | Num, j: number): number {
    const { network } = this.core
    if (Number.isInteger(value) && value >= 0 && value < network.input.size) return value
    if (Number.isNaN(value) && network.missing === 'mask') return GAP
    throw this.bad(value, w, j)
  }

  private bad(value: unknown, w: number | Num, j: number): BpttError {
    return badValue(this.core.network, value, typeof w === 'number' ? 'w' : `w[${j}]`)
  }

  /** Of an input that is not finite: all of it must be, but for gaps where they are allowed. */
  private checkMissing(w: number | Num): void {
    const { input, length } = this
    for (let j = 0; j < length; j++) {
      const x = input[j]!
      if (x - x === 0 || (Number.isNaN(x) && this.core.network.missing === 'mask')) continue
      throw this.bad(typeof w === 'number' ? w : w[j], w, j)
    }
  }

  /** Rows with a missing reading keep their state, and answer from it. */
  private pushMasked(): void {
    const { B } = this.place
    const R = this.features
    const missing = (x: number) => (this.tokens ? x === GAP : Number.isNaN(x))
    const alive = allOf(B).filter((j) => !this.input.subarray(j * R, j * R + R).some(missing))
    const compiled = this.host.plan(this.place)
    const inputs = { at: address(Region.DATA, this.place.data), data: this.input.map((x) => (missing(x) ? 0 : x)) }
    const { reads } = this.host.run(this.place, stepFrame(B, alive), [inputs], [readRows(compiled.outputs, B, this.O)])
    this.unpad(reads[0] as Float32Array, stepOrder(B, alive))
  }

  /** Rows of stride(t) to the dense rows of the output, each to its place. */
  private unpad(padded: Float32Array, order: readonly number[]): void {
    const width = stride(this.O)
    order.forEach((j, q) => this.output.set(padded.subarray(q * width, q * width + this.O), j * this.O))
  }

  /** The state of each layer, [batch, s_k]: a copy. Can be set, from here or from forward()'s finalState. */
  get state(): State {
    this.core.check()
    const { state } = this.core.network
    const { B } = this.place
    const { reads } = this.host.run(
      this.place,
      undefined,
      [],
      this.carries().map((at, k) => readRows(at, B, state[k]!)),
    )
    return { layers: reads.map((rows, k) => ({ s: { shape: [B, state[k]!], data: unpadRows(rows as Float32Array, state[k]!) } })) }
  }

  set state(value: State) {
    this.core.check()
    const states = readState(this.core.network, value, this.place.B, 'state')
    const carries = this.carries()
    this.host.run(
      this.place,
      undefined,
      states.map((rows, k) => ({ at: carries[k]!, data: padRows(rows, this.core.network.state[k]!) })),
      [],
    )
  }

  /** Sets one row, or all, back to the zero state. */
  reset(row?: number): void {
    coreOf(this).check()
    const { state } = this.core.network
    const { B } = this.place
    if (row !== undefined && !(Number.isInteger(row) && row >= 0 && row < B))
      throw new BpttError('ERR_OUT_OF_RANGE', 'is not a row of this stream', {
        at: 'row',
        expected: `an integer from 0 to ${B - 1}`,
        received: show(row),
      })
    const writes = this.carries().map((at, k) => {
      const width = stride(state[k]!)
      const unit = width / UNIT_FLOATS
      return row === undefined ? { at, data: new Float32Array(B * width) } : { at: at + row * unit, data: new Float32Array(width) }
    })
    this.host.run(this.place, undefined, writes, [])
  }

  private carries(): number[] {
    return this.core.layout.carries({ slots: this.place.B, unit: this.place.carry })
  }
}

/** Of a method's `this`, which is lost where the method is passed on alone. Bound ones would make a push of one among many streams slower. */
function coreOf(stream: Stream | undefined): Core {
  if (stream?.core) return stream.core
  throw notThis('a stream', stream, 'stream.push(…)')
}

/** A token that is missing, where tokens are copied to. */
const GAP = -1

const wrongLength = (expected: number, received: number) =>
  new BpttError('ERR_SHAPE_MISMATCH', 'has the wrong number of values', { at: 'w', expected: String(expected), received: String(received) })
