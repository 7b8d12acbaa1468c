// How threads share a long operation: it goes by steps (of time, or chunks of rows) over what can be divided (sequences, or a side of a
// matrix). Each thread begins with a part of its own, the same in all operations over the same, which it finds in its caches. One that is
// through takes half of what is left of another's, from its next step on, so that they end together where one's processor is slower than
// another's, or has other things to do; where both are alike, nothing is cut smaller than need be.
import { cut, part, parts } from './context'
import { awaitChange, PARTS, wake } from './team'

/** The share in hand, of which others may take from the end, and the step of it in hand. */
export let shareBegin: i32 = 0
export let shareEnd: i32 = 0
export let shareStep: i32 = 0
let going = false
/** The word of the part of which it is the rest, or 0: nobody takes of it. */
let word: usize = 0

/**
 * Puts in hand the next step of the share of 0 … n in hand, or the first of another, cut at multiples of grain, in the operation in hand,
 * which has so many steps.
 * @returns whether there was one
 */
export function next(n: i32, grain: i32, steps: i32): bool {
  if (going && ++shareStep < steps) {
    if (word) {
      shareEnd = <i32>atomic.add<i64>(word, 1 << 32)
      wake(word + 4)
    }
    return true
  }
  shareStep = 0
  if (parts == 1) {
    word = 0
    shareBegin = 0
    shareEnd = n
    going = !going && steps > 0
    return going
  }
  going = true
  for (let k = 0; k < parts; k++) {
    const p = (part + k) % parts
    word = PARTS + ((<usize>p) << 3)
    const begin = cut(n, grain, p, parts)
    while (true) {
      const had = atomic.load<i64>(word)
      const begun = <i32>(had >> 32)
      shareEnd = begun ? <i32>had : cut(n, grain, p + 1, parts)
      shareBegin = begun ? begin + ((shareEnd - begin + 2 * grain - 1) / (2 * grain)) * grain : begin
      if (begun >= steps || shareBegin >= shareEnd) break
      const left = begun ? had - <i64>(shareEnd - shareBegin) : ((<i64>1) << 32) | shareEnd
      if (atomic.cmpxchg<i64>(word, had, left) != had) continue
      if (begun) {
        // All of the step in hand is still done there.
        awaitChange(word + 4, begun)
        shareStep = begun
        word = 0
      }
      return true
    }
  }
  going = false
  return false
}
