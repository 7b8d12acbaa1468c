/*
 * How a pass goes through time within the memory that it may take: all at once, in segments with the states kept, or in segments with
 * the states computed anew on the way back. The bits are the same; what is chosen is memory and time. The plans are compile.ts's.
 *
 * For each layer of s units, with R rows of B sequences over T steps, in segments of L steps (stride(s) for s, inputs and logits left out):
 *
 *   all at once          4·s·2R                 states and δ
 *   states kept          4·s·(R + B·L)          states, and δ of a segment
 *   computed anew        4·s·B·(T/L + 2L)       states at the borders, states and δ of a segment: least where L ≈ √(T/2)
 */
import { compile } from './compile.js'
import { segmentCount } from './frame.js'
import type { Layout } from './layout.js'
import { stride } from './memory.js'
import { packsOf, WORTH_PACKING } from './packs.js'
import type { Capacity, DataPlaces, Segments, Wants } from './wants.js'

/** 'full': what is fastest. 'low': as little as can be. A number: at most so many bytes, and then what is fastest. */
export type Budget = 'full' | 'low' | number

/** Floats of δ, and rows, that are worth having at a time: more brings no speed, less costs a percent. */
const NEAR_FLOATS = 1 << 20
const NEAR_ROWS = 2048
/** Rows for each token, whose sums are laid out anew for each segment. */
const ROWS_PER_TOKEN = 4

/** Segments that cost no time: of a step with its states kept, or of a pass that only its last states are asked of. */
export function fastSegments({ network }: Layout, wants: Wants, { R }: Capacity, T: number): Segments | undefined {
  if (!wants.gradients && (wants.readout ?? network.readout) === 'all') return undefined
  const { input, state } = network
  const rows = Math.max(NEAR_ROWS, Math.floor(NEAR_FLOATS / stride(Math.max(...state))), input.tokens ? ROWS_PER_TOKEN * input.size : 0)
  const steps = Math.ceil(T / Math.max(1, Math.ceil(R / rows)))
  return steps < T ? { steps, most: segmentCount(T, steps), keepStates: wants.gradients !== undefined } : undefined
}

export interface Choice {
  /** undefined: all at once. */
  readonly segments: Segments | undefined
  /** Of SCRATCH and PACK. */
  readonly bytes: number
}

/**
 * @param steps T of the longest frame
 * @param room bytes that SCRATCH and PACK may have, where the budget is a number; what takes least where nothing fits in there
 * @param least bytes that SCRATCH has in any case
 */
export function chooseSegments(
  layout: Layout,
  wants: Wants,
  capacity: Capacity,
  data: DataPlaces,
  steps: number,
  budget: Budget,
  room = Infinity,
  least = 0,
): Choice {
  const { B, R } = capacity
  const T = Math.max(1, steps)
  const planned = (segments?: Segments) => compile(layout, { ...wants, ...(segments && { segments }) }, capacity, data)
  const choice = (segments?: Segments): Choice => {
    const { scratchBytes, packBytes } = planned(segments)
    return { segments, bytes: Math.max(least, scratchBytes) + packBytes }
  }
  const of = (length: number, keepStates: boolean): Segments => ({ steps: length, most: segmentCount(T, length), keepStates })

  const fast = choice(fastSegments(layout, wants, capacity, T))
  if (budget !== 'low' && fast.bytes <= room) return fast

  // What the activations of a plan take grows evenly with the rows of a segment and with the borders: three plans tell everything.
  const near = (length: number) => Math.max(B, Math.min(R, length * B))
  const law = (keepStates: boolean) => {
    const bytesOf = (segments: Segments) => planned(segments).scratchBytes
    const [one, all] = [bytesOf(of(1, keepStates)), bytesOf(of(T, keepStates))]
    const border = bytesOf({ steps: 1, most: T + 1, keepStates }) - one
    const row = near(T) > near(1) ? (all - one + border * (T - 1)) / (near(T) - near(1)) : 0
    const packed = (rows: number) => packsOf(layout, { ...wants, segments: of(1, keepStates) }, rows).bytes
    const [few, many] = [packed(0), packed(WORTH_PACKING)]
    return (length: number) =>
      (near(length) < WORTH_PACKING ? few : many) +
      Math.max(least, one + border * (segmentCount(T, length) - T) + row * (near(length) - near(1)))
  }
  const lengths = Array.from({ length: T }, (_, i) => i + 1)
  const anew = law(false)
  if (budget !== 'low') {
    const kept = wants.gradients && law(true)
    const length = kept && lengths.findLast((L) => kept(L) <= room)
    if (length !== undefined) return choice(of(length, true))
    const shorter = lengths.findLast((L) => anew(L) <= room)
    if (shorter !== undefined) return choice(of(shorter, false))
  }
  const best = lengths.reduce((best, L) => (anew(L) > anew(best) ? best : L), 1)
  const candidates = [choice(), ...(wants.gradients ? [choice(of(1, true))] : []), choice(of(best, false))]
  return candidates.reduce((least, one) => (one.bytes < least.bytes ? one : least))
}
