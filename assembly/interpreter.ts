// Executes a plan over one frame. Trusts its operands: src/backends/validate.ts has checked that they lie inside their regions.
import {
  before, enter, enterFrame, enterSegment, first, getResult, int, LANES, MOVED, poll, pollNow, setResult, spent, T,
} from './context'
import { ACTIVATE, LAST, LOSS, SUM_LOSS } from './head'
import { COPY, FETCH, STATE_IN, STATE_OUT, ZERO } from './move'
import { CLIP, NORM, STEP_NORMS, UPDATE } from './optimize'
import {
  BY_BEFORE, BY_ROW, FRAME_B, MOVE_argument, MOVE_by, MOVE_rows, MOVE_units, OP_ACTIVATE, OP_BIAS_DW, OP_CLIP, OP_COPY, OP_FETCH, OP_GATHER,
  OP_GATHER_DW, OP_GUARD, OP_LAST, OP_LOSS, OP_MOVE, OP_NORM, OP_PACK, OP_PROJECT, OP_PROJECT_DW, OP_PROJECT_DX, OP_RECUR, OP_RECUR_BACK,
  OP_RECUR_DW, OP_SEGMENTS, OP_STATE_IN, OP_STATE_OUT, OP_STEP_NORMS, OP_SUM_LOSS, OP_UPDATE, OP_ZERO, RESULT_LOSS, RESULT_NORM,
  RESULT_STATUS, SEGMENTS_count, SEGMENTS_order, SEGMENTS_skip, SEGMENTS_steps, STATUS_DONE, STATUS_NONFINITE_GRADIENT,
  STATUS_NONFINITE_LOSS, STATUS_STOPPED,
} from './plan.gen'
import { BIAS_DW, GATHER, GATHER_DW, PACK, PROJECT, PROJECT_DW, PROJECT_DX } from './project'
import { RECUR, RECUR_BACK, RECUR_DW } from './recur'
import { begin, dismiss, enlist, gather, isLeader, meet, nextFrame, order } from './team'

/** Sequences of each thread at least: halving fewer leaves each step as long as it was. */
const SEQUENCES: i32 = 4
/** Multiplications of a frame (the last one) at least: about 50 µs, against which the meetings are short. */
const ENOUGH: i64 = 1 << 20

/**
 * @param code instructions [code, end): the bytes of the instruction, opcode, arguments, each an int32
 * @param constants float64, the plan's
 * @param frame int32 (src/plan/frame.ts)
 * @param starts room for T + 1 int32
 * @param result room for RESULT_FIELDS float64
 * @param threads at most
 */
export function run(code: usize, end: usize, constants: usize, frame: usize, starts: usize, result: usize, threads: i32): void {
  if (threads > 1) begin()
  const most = spent < ENOUGH ? 1 : min(threads, int(frame, FRAME_B) / SEQUENCES)
  enter(frame, starts, constants, result, gather(most, code, end, constants, frame, starts))
  updated = false
  setResult(RESULT_STATUS, <f64>execute(code, end, 0))
  dismiss()
}

/** Helps the thread that runs frames, until it has none for a while. What a helper finds out about the frame nobody reads. */
export function serve(): void {
  if (!enlist()) return
  for (let team = nextFrame(); team; team = nextFrame()) {
    enter(order(3), order(4), order(2), LANES + 64, team)
    updated = false
    execute(order(0), order(1), 0)
  }
}

/** A frame that has begun to change parameters runs to its end. */
let updated = false

/** Instructions [code, end), over the frame or over segment m. The team meets before each and at the end. @returns the frame's status. */
function execute(code: usize, end: usize, m: i32): i32 {
  let moves: usize = 0 // the first of those before an instruction
  let ended = false // a time loop was
  for (let next: usize = 0; ; code = next) {
    if (moves == 0 && meet(ended || (!updated && code < end && isLeader() && poll()))) return STATUS_STOPPED
    if (code >= end) return STATUS_DONE
    next = code + load<i32>(code)
    const op = load<i32>(code, 4)
    let args = code + 8
    if (op == OP_SEGMENTS) {
      const status = segments(args, next)
      if (status != STATUS_DONE) return status
      next += int(args, SEGMENTS_count)
      continue
    }
    if (op == OP_MOVE) {
      if (!moves) moves = code
      continue
    }
    if (moves) {
      args = move(moves, code, m)
      moves = 0
    }
    switch (op) {
      case OP_ZERO: ZERO(args); break
      case OP_COPY: COPY(args); break
      case OP_FETCH: FETCH(args); break
      case OP_STATE_IN: STATE_IN(args); break
      case OP_STATE_OUT: STATE_OUT(args); break
      case OP_PACK: PACK(args); break
      case OP_PROJECT: PROJECT(args); break
      case OP_GATHER: GATHER(args); break
      case OP_RECUR: ended = !RECUR(args, !updated); break
      case OP_LAST: LAST(args); break
      case OP_LOSS: LOSS(args); break
      case OP_SUM_LOSS: SUM_LOSS(args); break
      case OP_ACTIVATE: ACTIVATE(args); break
      case OP_PROJECT_DX: PROJECT_DX(args); break
      case OP_RECUR_BACK: ended = !RECUR_BACK(args, !updated); break
      case OP_PROJECT_DW: PROJECT_DW(args); break
      case OP_RECUR_DW: RECUR_DW(args); break
      case OP_BIAS_DW: BIAS_DW(args); break
      case OP_GATHER_DW: GATHER_DW(args); break
      case OP_NORM: NORM(args); break
      case OP_STEP_NORMS: STEP_NORMS(args); break
      case OP_CLIP: CLIP(args); break
      case OP_GUARD:
        if (meet(!updated && isLeader() && pollNow())) return STATUS_STOPPED
        if (!isFinite(getResult(RESULT_LOSS))) return STATUS_NONFINITE_LOSS
        if (!isFinite(getResult(RESULT_NORM))) return STATUS_NONFINITE_GRADIENT
        break
      case OP_UPDATE:
        updated = true
        UPDATE(args)
        break
      default: unreachable()
    }
  }
  return STATUS_DONE
}

/** The instructions from `body` on, once for each segment. */
function segments(args: usize, body: usize): i32 {
  const steps = int(args, SEGMENTS_steps)
  const count = max(1, (T + steps - 1) / steps)
  const end = body + int(args, SEGMENTS_count)
  for (let n = 0; n < count; n++) {
    const m = int(args, SEGMENTS_order) ? count - 1 - n : n
    enterSegment(m, steps)
    const status = execute(n ? body : body + int(args, SEGMENTS_skip), end, m)
    enterFrame()
    if (status != STATUS_DONE) return status
  }
  return STATUS_DONE
}

/** The arguments of the instruction at `code` in segment m, where the MOVEs from `moves` on say. */
function move(moves: usize, code: usize, m: i32): usize {
  memory.copy(MOVED, code + 8, load<i32>(code) - 8)
  if (m) {
    for (; moves < code; moves += load<i32>(moves)) {
      const args = moves + 8
      const at = MOVED + ((<usize>int(args, MOVE_argument)) << 2)
      const by = int(args, MOVE_by)
      const units = int(args, MOVE_units)
      if (by == BY_BEFORE) store<i32>(at, int(args, MOVE_rows) + (first - before) * units)
      else store<i32>(at, load<i32>(at) + (by == BY_ROW ? first : m) * units)
    }
  }
  return MOVED
}
