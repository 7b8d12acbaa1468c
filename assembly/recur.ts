// The time loops: RECUR, RECUR_BACK and the gradient of W. Shapes and orders: src/plan/operations.ts, docs/numerics.md. Only what depends
// on the state before is here; the products over all rows are project.ts.
import { active, B, int, last, pointer, poll, R, start, stride, T } from './context'
import { activate, derivative } from './functions'
import { copyRow, zeroRow } from './move'
import {
  ABOVE_LAST,
  ABOVE_STEPS,
  CELL_IDENTITY,
  RECUR_BACK_above,
  RECUR_BACK_aboveKind,
  RECUR_BACK_cell,
  RECUR_BACK_d,
  RECUR_BACK_g,
  RECUR_BACK_g0,
  RECUR_BACK_pack,
  RECUR_BACK_S,
  RECUR_BACK_s,
  RECUR_cell,
  RECUR_DW_d,
  RECUR_DW_dM,
  RECUR_DW_K,
  RECUR_DW_N,
  RECUR_DW_s,
  RECUR_DW_s0,
  RECUR_pack,
  RECUR_S,
  RECUR_s,
  RECUR_s0,
} from './plan.gen'
import { multiply, weightGradient } from './project'

/** @returns false where it was told to stop. */
export function RECUR(args: usize, stoppable: bool): bool {
  const s = pointer(args, RECUR_s)
  const pack = pointer(args, RECUR_pack)
  const S = int(args, RECUR_S)
  const cell = int(args, RECUR_cell)
  const row = stride(S)
  let before = pointer(args, RECUR_s0)
  for (let i = 0; i < T; i++) {
    const rows = int(active, i)
    const now = s + <usize>int(start, i) * row
    multiply(now, row, now, row, before, row, pack, rows, S, S)
    if (cell != CELL_IDENTITY) {
      for (let q = 0, at = now; q < rows; q++, at += row)
        for (let n: usize = 0; n < (<usize>S) << 2; n += 16) v128.store(at + n, activate(v128.load(at + n), cell))
    }
    before = now
    if (stoppable && poll()) return false
  }
  return true
}

/** @returns false where it was told to stop. */
export function RECUR_BACK(args: usize, stoppable: bool): bool {
  const d = pointer(args, RECUR_BACK_d)
  const s = pointer(args, RECUR_BACK_s)
  const above = pointer(args, RECUR_BACK_above)
  const kind = int(args, RECUR_BACK_aboveKind)
  const pack = pointer(args, RECUR_BACK_pack)
  const S = int(args, RECUR_BACK_S)
  const cell = int(args, RECUR_BACK_cell)
  const g = pointer(args, RECUR_BACK_g)
  const g0 = pointer(args, RECUR_BACK_g0)
  const row = stride(S)
  let after = 0 // rows of the step after this one
  for (let i = T - 1; i >= 0; i--) {
    const rows = int(active, i)
    const first = int(start, i)
    const now = d + <usize>first * row
    for (let q = 0; q < rows; q++) fromAbove(now + <usize>q * row, above, kind, q, first + q, row)
    if (after) multiply(now, row, now, row, now + <usize>rows * row, row, pack, after, S, S)
    if (g) memory.copy(g + <usize>first * row, now, <usize>rows * row)
    for (let q = 0; q < rows; q++) {
      const at = now + <usize>q * row
      const state = s + <usize>(first + q) * row
      for (let n: usize = 0; n < (<usize>S) << 2; n += 16) v128.store(at + n, derivative(v128.load(at + n), v128.load(state + n), cell))
    }
    after = rows
    if (stoppable && poll()) return false
  }
  if (g0) {
    for (let q = 0; q < B; q++) fromAbove(g0 + <usize>q * row, kind == ABOVE_LAST ? above : 0, kind, q, -1, row)
    if (after) multiply(g0, row, g0, row, d, row, pack, after, S, S)
  }
  return true
}

/** The gradient that reaches one row from above: the row's own, the sequence's where it ends here, or +0. */
function fromAbove(to: usize, above: usize, kind: i32, q: i32, at: i32, row: usize): void {
  if (above && kind == ABOVE_STEPS) {
    const own = above + <usize>at * row
    if (own != to) copyRow(to, own, row)
  } else if (above && kind == ABOVE_LAST && int(last, q) == at) copyRow(to, above + <usize>q * row, row)
  else zeroRow(to, row)
}

export function RECUR_DW(args: usize): void {
  const s = pointer(args, RECUR_DW_s)
  const s0 = pointer(args, RECUR_DW_s0)
  weightGradient(pointer(args, RECUR_DW_dM), pointer(args, RECUR_DW_d), s, s0, int(args, RECUR_DW_N), int(args, RECUR_DW_K), R)
}
