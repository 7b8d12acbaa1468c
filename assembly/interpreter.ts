// Executes a plan over one frame. Trusts its operands: src/backends/validate.ts has checked that they lie inside their regions.
import { before, enter, enterFrame, enterSegment, first, getResult, int, LANES, MOVED, setResult, T } from './context'
import { ACTIVATE, LAST, LOSS, SUM_LOSS } from './head'
import { COPY, FETCH, STATE_IN, STATE_OUT, ZERO } from './move'
import { CLIP, NORM, STEP_NORMS, UPDATE } from './optimize'
import { commit, done, leaves, over, ready } from './pause'
import * as plan from './plan.gen'
import { BIAS_DW, GATHER, GATHER_DW, PACK, PROJECT, PROJECT_DW, PROJECT_DX } from './project'
import { RECUR, RECUR_BACK, RECUR_DW } from './recur'
import { begin, dismiss, enlist, gather, meet, nextFrame, order } from './team'

/** Sequences of each thread at least: halving fewer leaves each step as long as it was. */
const SEQUENCES: i32 = 4

/**
 * @param code instructions [code, end): the bytes of the instruction, opcode, arguments, each an int32
 * @param constants float64, the plan's
 * @param frame int32 (src/plan/frame.ts)
 * @param starts room for T + 1 int32
 * @param result room for RESULT_FIELDS float64
 * @param threads at most
 * Where it has left a frame with STATUS_PAUSED, the next call, with the same arguments, goes on with that.
 */
export function run(code: usize, end: usize, constants: usize, frame: usize, starts: usize, result: usize, threads: i32): void {
  if (threads > 1) begin()
  const most = min(threads, int(frame, plan.FRAME_B) / SEQUENCES)
  enter(frame, starts, constants, result, gather(most, code, end, constants, frame, starts))
  ready()
  setResult(plan.RESULT_STATUS, <f64>execute(code, end, 0))
  dismiss()
}

/** Helps the thread that runs frames, until it has none for a while. What a helper finds out about the frame nobody reads. */
export function serve(): void {
  if (!enlist()) return
  for (let team = nextFrame(); team; team = nextFrame()) {
    enter(order(3), order(4), order(2), LANES + 64, team)
    ready()
    execute(order(0), order(1), 0)
  }
}

/** Instructions [code, end), over the frame or over segment m. The team meets before each and at the end. @returns the frame's status. */
function execute(code: usize, end: usize, m: i32): i32 {
  let moves: usize = 0 // the first of those before an instruction
  for (let next: usize = 0; ; code = next) {
    if (moves == 0 && meet(over != 0)) return over
    if (code >= end) return plan.STATUS_DONE
    next = code + load<i32>(code)
    const op = load<i32>(code, 4)
    let args = code + 8
    if (op == plan.OP_SEGMENTS) {
      const status = segments(args, next)
      if (status != plan.STATUS_DONE) return status
      next += int(args, plan.SEGMENTS_count)
      continue
    }
    if (op == plan.OP_MOVE) {
      if (!moves) moves = code
      continue
    }
    if (moves) {
      args = move(moves, code, m)
      moves = 0
    }
    if (done()) continue
    switch (op) {
      case plan.OP_ZERO: ZERO(args); break
      case plan.OP_COPY: COPY(args); break
      case plan.OP_FETCH: FETCH(args); break
      case plan.OP_STATE_IN: STATE_IN(args); break
      case plan.OP_STATE_OUT: STATE_OUT(args); break
      case plan.OP_PACK: PACK(args); break
      case plan.OP_PROJECT: PROJECT(args); break
      case plan.OP_GATHER: GATHER(args); break
      case plan.OP_RECUR: RECUR(args); break
      case plan.OP_LAST: LAST(args); break
      case plan.OP_LOSS: LOSS(args); break
      case plan.OP_SUM_LOSS: SUM_LOSS(args); break
      case plan.OP_ACTIVATE: ACTIVATE(args); break
      case plan.OP_PROJECT_DX: PROJECT_DX(args); break
      case plan.OP_RECUR_BACK: RECUR_BACK(args); break
      case plan.OP_PROJECT_DW: PROJECT_DW(args); break
      case plan.OP_RECUR_DW: RECUR_DW(args); break
      case plan.OP_BIAS_DW: BIAS_DW(args); break
      case plan.OP_GATHER_DW: GATHER_DW(args); break
      case plan.OP_NORM: NORM(args); break
      case plan.OP_STEP_NORMS: STEP_NORMS(args); break
      case plan.OP_CLIP: CLIP(args); break
      case plan.OP_GUARD:
        if (meet(leaves(0))) return over
        if (!isFinite(getResult(plan.RESULT_LOSS))) return plan.STATUS_NONFINITE_LOSS
        if (!isFinite(getResult(plan.RESULT_NORM))) return plan.STATUS_NONFINITE_GRADIENT
        break
      case plan.OP_UPDATE:
        commit()
        UPDATE(args)
        break
      default: unreachable()
    }
  }
  return plan.STATUS_DONE
}

/** The instructions from `body` on, once for each segment. */
function segments(args: usize, body: usize): i32 {
  const steps = int(args, plan.SEGMENTS_steps)
  const count = max(1, (T + steps - 1) / steps)
  const end = body + int(args, plan.SEGMENTS_count)
  for (let n = 0; n < count; n++) {
    const m = int(args, plan.SEGMENTS_order) ? count - 1 - n : n
    enterSegment(m, steps)
    const status = execute(n ? body : body + int(args, plan.SEGMENTS_skip), end, m)
    enterFrame()
    if (status != plan.STATUS_DONE) return status
  }
  return plan.STATUS_DONE
}

/** The arguments of the instruction at `code` in segment m, where the MOVEs from `moves` on say. */
function move(moves: usize, code: usize, m: i32): usize {
  memory.copy(MOVED, code + 8, load<i32>(code) - 8)
  if (m) {
    for (; moves < code; moves += load<i32>(moves)) {
      const args = moves + 8
      const at = MOVED + ((<usize>int(args, plan.MOVE_argument)) << 2)
      const by = int(args, plan.MOVE_by)
      const units = int(args, plan.MOVE_units)
      if (by == plan.BY_BEFORE) store<i32>(at, int(args, plan.MOVE_rows) + (first - before) * units)
      else store<i32>(at, load<i32>(at) + (by == plan.BY_ROW ? first : m) * units)
    }
  }
  return MOVED
}
