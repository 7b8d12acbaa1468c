// When a thread leaves a frame before its end: for good, where somebody asks for a stop, or for a while, where a page's own thread must do
// other things. Operations cut what is long into blocks, and ask before each whether to leave it out. What is half done after a stop nobody
// reads. After a pause the frame is run once more, without the operations and blocks that were done: their numbers say where it was left.
// Only a frame of one thread pauses.
import { clearResult, part, parts } from './context'
import * as plan from './plan.gen'
import { LEFT, LIFE } from './team'

/** Multiplications between two looks around: about 50 µs. Looking leaves the module, and a step of a small network is shorter than that. */
const LOOK: i64 = 1 << 20
/** Those for which a frame stands that has hardly any. */
const FRAME: i64 = 1 << 14

/** Imported: STATUS_STOPPED or STATUS_PAUSED, where somebody asks for that, or 0. */
declare function asked(): i32

/** The status with which this thread leaves the frame, or 0. */
export let over: i32 = 0
/** Whether the frame may still be stopped. */
let stoppable = true
/** Multiplications since the last look. */
let work: i64 = 0
/** Up to which blocks are done and nothing is asked; -1 where some are left out. */
let limit: i64 = LOOK
/** Number of the operation in hand in the frame, and of the next block in that. */
let operation: i32 = 0
let block: i32 = 0
/** With which the frame goes on; and with which block the operation in hand does. */
let leftOperation: i32 = 0
let leftBlock: i32 = 0
let first: i32 = 0

/** A frame begins; or goes on, where the last one was left for a while. */
export function ready(): void {
  operation = 0
  if (over != plan.STATUS_PAUSED) {
    clearResult()
    stoppable = true
    leftOperation = 0
    work += FRAME
  }
  over = 0
  limit = LOOK
}

/** A frame that has begun to change parameters runs to its end. */
export function commit(): void {
  stoppable = false
}

/** The next operation begins. @returns whether it was done before the frame was left */
export function done(): bool {
  operation++
  block = 0
  if (operation == leftOperation) {
    first = leftBlock
    limit = -1
  } else first = 0
  return operation < leftOperation
}

/** A block of so many multiplications begins. @returns whether to leave it out: it was done, or the frame is over */
export function skips(multiplications: i64): bool {
  block++
  work += multiplications
  return work > limit && asks(multiplications)
}

function asks(multiplications: i64): bool {
  work -= multiplications
  if (over || block <= first || leaves(LOOK)) return true
  limit = LOOK
  work += multiplications
  return false
}

/** Whether to leave the frame. Looks if more has been done since it last did. */
export function leaves(least: i64): bool {
  if (work <= least) return false
  work = 0
  if (part > 0) {
    atomic.add<i32>(LIFE, 1)
    if (atomic.load<i32>(LEFT)) {
      over = plan.STATUS_STOPPED
      limit = -1
    }
  } else {
    const status = asked()
    if (stoppable || status == plan.STATUS_PAUSED) over = status
    if (over) {
      limit = -1
      leftOperation = operation
      leftBlock = block - 1
      if (parts > 1) atomic.store<i32>(LEFT, 1)
    }
  }
  return over != 0
}
