// What the module exports: the interpreter, a probe, and where the engine (src/backends/wasm-memory.ts) finds its places in memory.
import { OWN, OWN_BYTES, REGION_BASES } from './context'
import { madd } from './simd'

export { run, serve } from './interpreter'
export { complete, fail, team } from './team'

/** Address of the table of region bases, one int32 each. */
export const regionBases: usize = REGION_BASES
/** First byte that is the engine's to lay out where it has one thread, and the bytes that each more takes before it. */
export const heap: usize = OWN + OWN_BYTES
export const each: usize = OWN_BYTES
/** A word for each helper: not 0 while it has been called to this memory. */
export const called: usize = 512

/** d = madd(a, b, c) for four vectors a, b, c, d at `at`: from memory, so that no compiler can fold it. */
export function probe(at: usize): void {
  v128.store(at, madd(v128.load(at), v128.load(at, 16), v128.load(at, 32)), 48)
}
