// Several threads on one frame: who takes part, and where they meet. Each thread has an instance of this module on the same memory, runs
// the whole plan, and does its share of each operation (context.ts); the team meets after each. One thread leads: it owns the engine,
// starts frames, and alone decides whether to stop (pause.ts). Helpers come and go between frames (src/backends/wasm-team.ts calls and
// sends them). Bits do not depend on how many there are. Alone, a thread never comes here but for meet().
import { part, parts, place } from './context'

// One word each, on lines of their own.
/** int64: helpers that are members | threads that work on the frame, 0 between frames, << 8 | number of the frame << 16. */
const STATE: usize = 128
/** Helpers that have come to the meeting. */
const ARRIVED: usize = 192
/** Number of the meeting << 1 | whether to stop. */
const RELEASED: usize = 256
const SLEEPERS: usize = 320
/** Not 0: the leader has left a time loop; nobody needs to go on with it. */
export const LEFT: usize = 384
/** Not 0: a thread has trapped (1) or died (2), and what the others wait for will not come. */
const FAILED: usize = 388
const DIED: i32 = 2
/** Helpers that have been here at once. */
const KNOWN: usize = 392
/** Not 0: the leader runs a frame, be it alone. */
const BUSY: usize = 396
/** Counts on while helpers are at work. */
export const LIFE: usize = 400
/**
 * int64 for each part of the operation in hand: where it ends | steps of it that were begun << 32; 0: nobody has it (share.ts). Up to OWN
 * of context.ts there is room for 64, which is MAX_THREADS of src/backends/wasm.ts.
 */
export const PARTS: usize = 1024
/** The frame in hand: arguments of assist() in interpreter.ts. */
const ORDER: usize = 448

const MEMBERS: i64 = 0xff
const WORKING: i64 = 0xff00
const FRAME: i64 = 0x10000
/** Looks at a word before sleeping: about 50 µs, as long as waking takes. */
const SPINS: i32 = 20000
/** Nanoseconds of sleep, after which a thread looks around. */
const NAP: i64 = 20_000_000
/** Naps after which a helper that nobody needs goes. */
const PATIENCE: i32 = 5
/** Naps after which helpers that show no sign of life are dead: some five seconds. */
const DEAD: i32 = 250

/** RELEASED at the last meeting. */
let meeting: i32 = 0
/** The frame that this member knows of. */
let seen: i64 = 0

/** Whether as many helpers are here as ever were. */
export function complete(): bool {
  return <i32>(atomic.load<i64>(STATE) & MEMBERS) >= atomic.load<i32>(KNOWN)
}

/** Threads that worked on the last frame. */
export function team(): i32 {
  return parts
}

/** Lets everybody who waits for this thread trap too. @returns FAILED as it was */
export function fail(): i32 {
  return atomic.xchg<i32>(FAILED, 1)
}

/** @returns whether `word` has changed before the thread went to sleep or while it slept. */
function changes(word: usize, value: i32): bool {
  for (let n = 0; n < SPINS; n++) if (atomic.load<i32>(word) != value) return true
  if (atomic.load<i32>(FAILED)) unreachable()
  atomic.add<i32>(SLEEPERS, 1)
  const outcome = atomic.wait<i32>(word, value, NAP)
  atomic.sub<i32>(SLEEPERS, 1)
  return outcome != 2
}

export function wake(word: usize): void {
  if (atomic.load<i32>(SLEEPERS)) atomic.notify(word, -1)
}

/** Waits for the whole team, before an operation. @param stop of the leader: whether to stop. @returns that, to all */
export function meet(stop: bool): bool {
  if (parts == 1) return stop
  if (part == 0) {
    for (let here = 0; here != parts - 1; here = atomic.load<i32>(ARRIVED)) awaitChange(ARRIVED, here)
    atomic.store<i32>(ARRIVED, 0)
    memory.fill(PARTS, 0, (<usize>parts) << 3)
    meeting += 2
    atomic.store<i32>(RELEASED, meeting | <i32>stop)
    wake(RELEASED)
    return stop
  }
  if (atomic.add<i32>(ARRIVED, 1) == parts - 2) wake(ARRIVED)
  awaitChange(RELEASED, meeting)
  meeting = atomic.load<i32>(RELEASED)
  return (meeting & 1) != 0
}

/**
 * Until `word` is no longer `value`. Nothing else tells the leader of the end of a thread: the news of it waits for the event loop, which
 * waits for this.
 */
export function awaitChange(word: usize, value: i32): void {
  let life = 0
  let quiet = 0
  while (atomic.load<i32>(word) == value) {
    const signs = atomic.load<i32>(LIFE)
    quiet++
    if (changes(word, value) || signs != life) quiet = 0
    life = signs
    if (part == 0 && quiet == DEAD) {
      atomic.store<i32>(FAILED, DIED)
      unreachable()
    }
  }
}

/** Begins a frame of an engine with threads. */
export function begin(): void {
  atomic.store<i32>(BUSY, 1)
}

/** Begins its work with as many helpers as are here, `most` threads at most. @returns how many threads */
export function gather(most: i32, code: usize, end: usize, constants: usize, frame: usize, starts: usize): i32 {
  if (most <= 1) return 1
  store<usize>(ORDER, code)
  store<usize>(ORDER, end, 4)
  store<usize>(ORDER, constants, 8)
  store<usize>(ORDER, frame, 12)
  store<usize>(ORDER, starts, 16)
  atomic.store<i32>(LEFT, 0)
  while (true) {
    const state = atomic.load<i64>(STATE)
    const team = min(most, <i32>(state & MEMBERS) + 1)
    if (team == 1) return 1
    const next = (state + FRAME) | ((<i64>team) << 8)
    if (atomic.cmpxchg<i64>(STATE, state, next) == state) {
      wake(STATE)
      return team
    }
  }
}

/** Ends it. */
export function dismiss(): void {
  atomic.store<i32>(BUSY, 0)
  if (parts > 1) atomic.store<i64>(STATE, atomic.load<i64>(STATE) & ~WORKING)
}

/** Makes this thread a member, unless frames leave no gap. */
export function enlist(): bool {
  for (let n = 0; n < SPINS; n++) {
    const state = atomic.load<i64>(STATE)
    if (state & WORKING || atomic.cmpxchg<i64>(STATE, state, state + 1) != state) continue
    seen = state >> 16
    place(<i32>((state & MEMBERS) + 1))
    if (atomic.load<i32>(KNOWN) < part) atomic.store<i32>(KNOWN, part)
    return true
  }
  return false
}

/**
 * Naps of a member that waits for a frame. No local variable, which the optimizer would keep on the stack, for a select, while the member
 * naps: the first compiler of V8 11.3 loses it there, and members would never go.
 */
let naps = 0

/** Waits for a frame. @returns the size of its team, or 0 where the member has gone because there was none for a while */
export function nextFrame(): i32 {
  naps = 0
  while (true) {
    const state = atomic.load<i64>(STATE)
    const team = <i32>((state & WORKING) >> 8)
    if (team && state >> 16 != seen) {
      seen = state >> 16
      if (part >= team) continue
      meeting = atomic.load<i32>(RELEASED)
      return team
    }
    // Members go in the reverse order of their coming.
    if (naps >= PATIENCE && !team && !atomic.load<i32>(BUSY) && <i32>(state & MEMBERS) == part) {
      if (atomic.cmpxchg<i64>(STATE, state, state - 1) == state) return 0
    } else if (!changes(STATE, <i32>state)) naps++
  }
}

/** Word i of the frame in hand: code, end, constants, frame, starts. */
export function order(i: i32): usize {
  return load<usize>(ORDER + ((<usize>i) << 2))
}
