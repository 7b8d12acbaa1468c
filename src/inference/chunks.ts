/*
 * Cuts many sequences into passes of bearable size: of like length, so that a step's rows fill a kernel, and few enough that other calls get
 * their turn between. A row's result does not depend on the other rows of its pass, so neither do the answers.
 */
import type { Core } from '../model/core.js'
import { layerInput } from '../network/network.js'
import type { Sequences, Targets } from '../sequences/data.js'
import { batcherOf, dataFloats, everyId, type PassRequest, type PassResult, pass, placeData, roomyCapacity, targetWidth } from './pass.js'

/** About 30 ms of work for a kernel at 100 GFLOP/s. */
const CHUNK_FLOP = 3e9
/** Sequences side by side that fill a kernel's tiles, and hide the reading of W at every step (docs/performance.md): whatever they take. */
const FULL = 32
/** Of activations that stay near the processor; of few sequences, which are long, those of a segment do. */
const MOST_ROWS = 8192
const MOST_ROWS_OF_FEW = 32768
/**
 * Floats that several passes put into backend memory at once. JavaScript's would have to hold a copy, as the caller may change the data
 * meanwhile, and fresh memory there is the dearest of all; but an engine keeps what it has, so of more each pass brings its own.
 */
const MOST_RESIDENT = 2 ** 24

export interface Chunk {
  /** The sequences of the chunk, by their number in the call. */
  readonly ids: Int32Array
  readonly sequences: Sequences
  readonly result: PassResult
}

interface ChunkRequest extends Pick<PassRequest, 'wants' | 'budget' | 'reads' | 'final'> {
  readonly initial?: readonly Float32Array[] | undefined
}

/** Runs everything and visits each chunk's results, in a fixed order. */
export async function forEachChunk(
  core: Core,
  sequences: Sequences,
  targets: Targets | undefined,
  request: ChunkRequest,
  visit: (chunk: Chunk) => void,
): Promise<void> {
  const { wants, budget, reads, final } = request
  let weights = core.held()
  const chunks = chunkIds(core, sequences)
  const stays = chunks.length > 1 && mayStay(core, sequences, targets)
  // What is lent is handed on by the end of this call, or copied.
  const copied = sequences.lent && !(core.prompt && (stays || chunks.length === 1))
  const all = copied ? { ...sequences, rows: sequences.rows.slice(), lent: false } : sequences
  const placed = stays ? placeData(core, roomyCapacity(sequences), all, targets) : undefined
  const batcher = placed && batcherOf(core, all, targets)
  if (placed) core.reside(placed, placed.bytes)
  const source = placed ? { ...all, rows: all.rows.subarray(0, 0) } : all
  let memory: number | undefined
  try {
    for (const ids of chunks) {
      const part = pick(core, source, placed ? undefined : targets, ids)
      const initial = request.initial?.map((states, k) => pickRows(states, core.network.state[k]!, ids))
      const resident = placed && { ids, batcher: batcher!, data: placed.data, bytes: placed.bytes }
      const writes = memory === undefined ? placed?.writes : undefined
      const asked = {
        sequences: part.sequences,
        targets: part.targets,
        resident,
        writes,
        memory,
        wants,
        budget,
        reads,
        final,
        initial,
        weights,
      }
      const result = await pass(core, asked)
      if (placed) memory ??= core.memory
      weights ??= core.held()
      visit({ ids, sequences: part.sequences, result })
    }
  } finally {
    if (placed) core.endResidence(placed)
  }
}

/** Whether data that several passes need may be in backend memory until the last one. */
function mayStay(core: Core, sequences: Sequences, targets: Targets | undefined): boolean {
  const floats = dataFloats(core, roomyCapacity(sequences))
  return floats.x + (targets ? 2 * floats.targets : 0) <= MOST_RESIDENT
}

/** Whether so many sequences, of so many rows in all, make one pass; a single one always does. */
function bearable({ network }: Core, count: number, rows: number): boolean {
  const flopPerRow = 2 * network.state.reduce((sum, S, k) => sum + S * (S + layerInput(network, k)), 0)
  return count === 1 || (count <= FULL ? rows <= MOST_ROWS_OF_FEW : rows <= MOST_ROWS && rows * flopPerRow <= CHUNK_FLOP)
}

/** Of `count` sequences of one length, how many make a pass. */
export function chunkSize(core: Core, count: number, length: number): number {
  while (!bearable(core, count, count * length)) count--
  return count
}

function chunkIds(core: Core, { count, offsets }: Sequences): Int32Array[] {
  const rows = (id: number) => offsets[id + 1]! - offsets[id]!
  if (count === 0) return []
  if (bearable(core, count, offsets[count]!)) return [everyId(count)]
  const ids = everyId(count)
  if (ids.some((id) => rows(id) !== rows(0))) ids.sort((a, b) => rows(b) - rows(a) || a - b)
  const chunks: Int32Array[] = []
  for (let from = 0, to = 0, sum = 0; from < count; from = to, sum = 0) {
    do sum += rows(ids[to++]!)
    while (to < count && bearable(core, to + 1 - from, sum + rows(ids[to]!)))
    chunks.push(ids.subarray(from, to))
  }
  return chunks
}

/** These sequences alone, where they lie next to each other in the memory of all. */
export function pick(
  core: Core,
  all: Sequences,
  targets: Targets | undefined,
  ids: Int32Array,
): { sequences: Sequences; targets: Targets | undefined } {
  const n = ids.length
  if (n === all.count) return { sequences: all, targets }
  const R = core.network.input.tokens ? 1 : core.network.input.size
  const offsets = new Int32Array(n + 1)
  for (let j = 0; j < n; j++) offsets[j + 1] = offsets[j]! + all.offsets[ids[j]! + 1]! - all.offsets[ids[j]!]!
  const together = !all.lent && ids.every((id, j) => id === ids[0]! + j)
  const byRow = <A extends Int32Array | Float32Array>(source: A, width: number): A => {
    const first = all.offsets[ids[0]!]!
    if (together) return source.subarray(first * width, (first + offsets[n]!) * width) as A
    if (source.length === 0) return source
    const rows = new (source.constructor as new (length: number) => A)(offsets[n]! * width)
    ids.forEach((id, j) => {
      rows.set(source.subarray(all.offsets[id]! * width, all.offsets[id + 1]! * width), offsets[j]! * width)
    })
    return rows
  }
  const each = (source: Int32Array) => Int32Array.from(ids, (id) => source[id]!)
  const width = targetWidth(core)
  const row = <A extends Int32Array | Float32Array>(source: A): A =>
    core.network.readout === 'all' ? byRow(source, width) : pickRows(source, width, ids)
  return {
    sequences: {
      ...all,
      count: n,
      offsets,
      rows: byRow(all.rows, R),
      lengths: each(all.lengths),
      given: each(all.given),
      steps: all.steps && byRow(all.steps, 1),
      cut: all.cut && each(all.cut),
      lent: false,
    },
    targets: targets && { values: row(targets.values), weights: row(targets.weights) },
  }
}

function pickRows<A extends Int32Array | Float32Array>(source: A, width: number, ids: Int32Array): A {
  const rows = new (source.constructor as new (length: number) => A)(ids.length * width)
  ids.forEach((id, j) => {
    rows.set(source.subarray(id * width, id * width + width), j * width)
  })
  return rows
}
