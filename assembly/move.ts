// Operations that only move rows: ZERO, COPY, FETCH, STATE_IN, STATE_OUT. Shapes: src/plan/operations.ts.
import { active, base, high, init, int, low, pointer, Q0, Q1, saved, slot, start, stride, T } from './context'
import * as plan from './plan.gen'
import { loadPart } from './simd'

/** dst = src, `bytes` a multiple of 16. For the short rows of small networks a loop beats memory.copy, which leaves the module. */
export function copyRow(dst: usize, src: usize, bytes: usize): void {
  for (const end = src + bytes; src < end; src += 16, dst += 16) v128.store(dst, v128.load(src))
}

export function zeroRow(dst: usize, bytes: usize): void {
  for (const end = dst + bytes; dst < end; dst += 16) v128.store(dst, i32x4.splat(0))
}

export function ZERO(args: usize): void {
  const units = int(args, plan.ZERO_units)
  const begin = low(units, 1)
  memory.fill(pointer(args, plan.ZERO_dst) + <usize>begin * plan.UNIT_BYTES, 0, <usize>(high(units, 1) - begin) * plan.UNIT_BYTES)
}

export function COPY(args: usize): void {
  const units = int(args, plan.COPY_units)
  const begin = <usize>low(units, 1) * plan.UNIT_BYTES
  memory.copy(pointer(args, plan.COPY_dst) + begin, pointer(args, plan.COPY_src) + begin, <usize>high(units, 1) * plan.UNIT_BYTES - begin)
}

export function FETCH(args: usize): void {
  const to = pointer(args, plan.FETCH_dst)
  const data = pointer(args, plan.FETCH_data)
  const K = int(args, plan.FETCH_K)
  const whole = (<usize>(K & ~3)) << 2
  const row = stride(K)
  for (let i = 0; i < T; i++) {
    const end = min(Q1, int(active, i))
    for (let q = Q0; q < end; q++) {
      const dst = to + <usize>(int(start, i) + q) * row
      const src = data + <usize>(int(base, q) + i) * ((<usize>K) << 2)
      copyRow(dst, src, whole)
      if (K & 3) v128.store(dst + whole, loadPart(src + whole, K & 3))
      const used = (<usize>((K + 3) & ~3)) << 2
      zeroRow(dst + used, row - used)
    }
  }
}

export function STATE_IN(args: usize): void {
  const to = pointer(args, plan.STATE_IN_dst)
  const carry = pointer(args, plan.STATE_IN_carry)
  const row = stride(int(args, plan.STATE_IN_S))
  for (let q = Q0; q < Q1; q++) {
    const dst = to + <usize>q * row
    const from = int(init, q)
    if (from < 0) zeroRow(dst, row)
    else copyRow(dst, carry + <usize>from * row, row)
  }
}

export function STATE_OUT(args: usize): void {
  const carry = pointer(args, plan.STATE_OUT_carry)
  const s0 = pointer(args, plan.STATE_OUT_s0)
  const s = pointer(args, plan.STATE_OUT_s)
  const row = stride(int(args, plan.STATE_OUT_S))
  for (let q = Q0; q < Q1; q++) {
    const to = int(slot, q)
    if (to < 0) continue
    const at = int(saved, q)
    copyRow(carry + <usize>to * row, at < 0 ? s0 + <usize>q * row : s + <usize>at * row, row)
  }
}
