// Executes a plan over one frame. Trusts its operands: src/backends/validate.ts has checked that they lie inside their regions.
import { enter, getResult, poll, pollNow, setResult } from './context'
import { ACTIVATE, LAST, LOSS, SUM_LOSS } from './head'
import { COPY, FETCH, STATE_IN, STATE_OUT, ZERO } from './move'
import { CLIP, NORM, STEP_NORMS, UPDATE } from './optimize'
import {
  OP_ACTIVATE, OP_BIAS_DW, OP_CLIP, OP_COPY, OP_FETCH, OP_GATHER, OP_GATHER_DW, OP_GUARD, OP_LAST, OP_LOSS, OP_NORM, OP_PACK, OP_PROJECT,
  OP_PROJECT_DW, OP_PROJECT_DX, OP_RECUR, OP_RECUR_BACK, OP_RECUR_DW, OP_STATE_IN, OP_STATE_OUT, OP_STEP_NORMS, OP_SUM_LOSS, OP_UPDATE,
  OP_ZERO, RESULT_LOSS, RESULT_NORM, RESULT_STATUS, STATUS_DONE, STATUS_NONFINITE_GRADIENT, STATUS_NONFINITE_LOSS, STATUS_STOPPED,
} from './plan.gen'
import { BIAS_DW, GATHER, GATHER_DW, PACK, PROJECT, PROJECT_DW, PROJECT_DX } from './project'
import { RECUR, RECUR_BACK, RECUR_DW } from './recur'

/**
 * @param code instructions [code, end): the bytes of the instruction, opcode, arguments, each an int32
 * @param constants float64, the plan's
 * @param frame int32 (src/plan/frame.ts)
 * @param starts room for T + 1 int32
 * @param result room for RESULT_FIELDS float64
 */
export function run(code: usize, end: usize, constants: usize, frame: usize, starts: usize, result: usize): void {
  enter(frame, starts, constants, result)
  setResult(RESULT_STATUS, <f64>execute(code, end))
}

/** @returns the frame's status. */
function execute(code: usize, end: usize): i32 {
  let updated = false // a frame that has begun to change parameters runs to its end
  for (; code < end; code += load<i32>(code)) {
    if (!updated && poll()) return STATUS_STOPPED
    const args = code + 8
    switch (load<i32>(code, 4)) {
      case OP_ZERO: ZERO(args); break
      case OP_COPY: COPY(args); break
      case OP_FETCH: FETCH(args); break
      case OP_STATE_IN: STATE_IN(args); break
      case OP_STATE_OUT: STATE_OUT(args); break
      case OP_PACK: PACK(args); break
      case OP_PROJECT: PROJECT(args); break
      case OP_GATHER: GATHER(args); break
      case OP_RECUR: if (!RECUR(args, !updated)) return STATUS_STOPPED; break
      case OP_LAST: LAST(args); break
      case OP_LOSS: LOSS(args); break
      case OP_SUM_LOSS: SUM_LOSS(args); break
      case OP_ACTIVATE: ACTIVATE(args); break
      case OP_PROJECT_DX: PROJECT_DX(args); break
      case OP_RECUR_BACK: if (!RECUR_BACK(args, !updated)) return STATUS_STOPPED; break
      case OP_PROJECT_DW: PROJECT_DW(args); break
      case OP_RECUR_DW: RECUR_DW(args); break
      case OP_BIAS_DW: BIAS_DW(args); break
      case OP_GATHER_DW: GATHER_DW(args); break
      case OP_NORM: NORM(args); break
      case OP_STEP_NORMS: STEP_NORMS(args); break
      case OP_CLIP: CLIP(args); break
      case OP_GUARD:
        if (!updated && pollNow()) return STATUS_STOPPED
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
