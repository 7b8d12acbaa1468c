// The time loops: RECUR, RECUR_BACK and the gradient of W. Shapes and orders: src/plan/operations.ts, docs/numerics.md. Only what depends
// on the state before is here; the products over all rows are project.ts.
import { active, after, B, int, pointer, R, start, stride, T } from './context'
import { activateRow, derivativeRow } from './functions'
import { copyRow, zeroRow } from './move'
import { matrixGradient } from './outer'
import { skips } from './pause'
import * as plan from './plan.gen'
import { zeros } from './project'
import { next, shareBegin, shareEnd, shareStep } from './share'
import { multiply } from './tile'

/** Multiplications that take as long as a state's function and its derivative. */
const WORK: i32 = 8

export function RECUR(args: usize): void {
  const s = pointer(args, plan.RECUR_s)
  const s0 = pointer(args, plan.RECUR_s0)
  const pack = pointer(args, plan.RECUR_pack)
  const S = int(args, plan.RECUR_S)
  const cell = int(args, plan.RECUR_cell)
  const row = stride(S)
  while (next(B, 4, T)) {
    const i = shareStep
    const q0 = shareBegin
    const rows = min(shareEnd, int(active, i)) - q0
    if (rows <= 0) continue
    const now = s + <usize>(int(start, i) + q0) * row
    const before = i ? s + <usize>(int(start, i - 1) + q0) * row : s0 + <usize>q0 * row
    multiply(now, row, now, row, before, row, pack, rows, S, S)
    if (!skips(<i64>rows * S * WORK)) activateRow(now, <usize>rows * row, cell)
  }
}

export function RECUR_BACK(args: usize): void {
  const d = pointer(args, plan.RECUR_BACK_d)
  const s = pointer(args, plan.RECUR_BACK_s)
  const behind = pointer(args, plan.RECUR_BACK_after)
  const above = pointer(args, plan.RECUR_BACK_above)
  const kind = int(args, plan.RECUR_BACK_aboveKind)
  const pack = pointer(args, plan.RECUR_BACK_pack)
  const S = int(args, plan.RECUR_BACK_S)
  const cell = int(args, plan.RECUR_BACK_cell)
  const g = pointer(args, plan.RECUR_BACK_g)
  const g0 = pointer(args, plan.RECUR_BACK_g0)
  const row = stride(S)
  const none = zeros(S)
  const ends = kind == plan.ABOVE_LAST ? above : 0
  // The last step is the one before the first: g0.
  while (next(B, 4, g0 ? T + 1 : T)) {
    const q0 = shareBegin
    // The step after this one, and its rows.
    const i = T - shareStep
    const later = i < T ? d + <usize>(int(start, i) + q0) * row : behind + <usize>q0 * row
    const alive = max(0, min(shareEnd, i < T ? int(active, i) : after) - q0)
    if (i == 0) {
      const own = g0 + <usize>q0 * row
      multiply(own, row, none, 0, later, row, pack, alive, S, S)
      for (let q = alive; q < shareEnd - q0; q++) atEnd(own + <usize>q * row, ends, q0 + q, row)
      continue
    }
    const rows = min(shareEnd, int(active, i - 1)) - q0
    if (rows <= 0) continue
    const at = <usize>(int(start, i - 1) + q0) * row
    const now = d + at
    const own = above + at
    if (kind == plan.ABOVE_STEPS) multiply(now, row, own, row, later, row, pack, alive, S, S)
    // Sequences end in the order of rows, last ones first: those of the step after this one have nothing above them here.
    else multiply(now, row, none, 0, later, row, pack, alive, S, S)
    if (skips(<i64>rows * S * WORK)) continue
    const begun = <usize>alive * row
    if (kind != plan.ABOVE_STEPS) for (let q = alive; q < rows; q++) atEnd(now + <usize>q * row, ends, q0 + q, row)
    else if (own != now) memory.copy(now + begun, own + begun, <usize>(rows - alive) * row)
    if (g) memory.copy(g + at, now, <usize>rows * row)
    derivativeRow(now, s + at, <usize>rows * row, cell)
  }
}

/** The gradient that reaches a sequence where it ends: its own row of those above, or +0. */
function atEnd(to: usize, above: usize, q: i32, row: usize): void {
  if (above) copyRow(to, above + <usize>q * row, row)
  else zeroRow(to, row)
}

export function RECUR_DW(args: usize): void {
  const s = pointer(args, plan.RECUR_DW_s)
  const s0 = pointer(args, plan.RECUR_DW_s0)
  const N = int(args, plan.RECUR_DW_N)
  const K = int(args, plan.RECUR_DW_K)
  matrixGradient(pointer(args, plan.RECUR_DW_dM), pointer(args, plan.RECUR_DW_d), s, s0, N, K, R)
}
