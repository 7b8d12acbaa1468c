/* The way forward: states from inputs, layer by layer over all steps, or over those of one segment after the other. */
import { layerInput } from '../network/network.js'
import type { Lowering } from './lowering.js'
import { NONE, stride, unitsOf } from './memory.js'
import { Rows } from './operations.js'
import type { Movement } from './writer.js'

export type Forward = ReturnType<typeof forward>

/** @returns where its parts can be found, and how to write them again, which computes them anew */
export function forward(lowering: Lowering) {
  const { layout, network, wants, data, B, S, top, near, all, reads, recomputes, cell, w, matrix, room, states } = lowering
  const { s, s0, unit, sMoves, s0Moves } = states
  const { tokens, size: K } = network.input
  const carries = wants.carry && layout.carries(wants.carry)
  const x = tokens ? NONE : room(near, K)
  const h = all ? s[top]! : reads || data.dz !== NONE ? room(B, S[top]!) : NONE

  /** What a layer reads, and how that moves; undefined: tokens. */
  const inputOf = (k: number): [number, Movement | undefined] | undefined =>
    k > 0 ? [s[k - 1]!, sMoves(k - 1)] : tokens ? undefined : [x, undefined]
  const fetch = () => {
    if (!tokens) w.emit('FETCH', x, data.x, K)
  }
  const run = () => {
    fetch()
    S.forEach((size, k) => {
      const weights = [...matrix('U', k, 'forward'), layout.parameter('b', k), layout.parameter('bh', k), size, layerInput(network, k)]
      const from = inputOf(k)
      if (from) w.emitMoving({ y: sMoves(k), x: from[1] }, 'PROJECT', s[k]!, from[0], ...weights, Rows.STEPS)
      else w.emitMoving({ y: sMoves(0) }, 'GATHER', s[0]!, data.x, ...weights)
      w.emitMoving({ s: sMoves(k), s0: s0Moves(k) }, 'RECUR', s[k]!, s0[k]!, ...matrix('W', k, 'forward'), size, cell)
    })
  }
  /** What stays of the states: in the next border, in what is carried on, in what is read out at the end. */
  const keep = () => {
    S.forEach((size, k) => {
      const before = recomputes ? s0Moves(k) : undefined
      if (recomputes) w.emitMoving({ dst: before, s0: before }, 'LAST', s0[k]! + B * unit(k), s0[k]!, s[k]!, size)
      if (carries) w.emitMoving({ s0: before }, 'STATE_OUT', carries[k]!, s0[k]!, s[k]!, size)
      if (k === top && !all && h !== NONE) w.emitMoving({ s0: before }, 'LAST', h, s0[k]!, s[k]!, size)
    })
  }

  S.forEach((size, k) => {
    if (carries) w.emit('STATE_IN', s0[k]!, carries[k]!, size)
    else w.emit('ZERO', s0[k]!, unitsOf(B * stride(size)))
  })
  if (!wants.segments) run()
  else
    w.segments(wants.segments.steps, 'forward', () => {
      run()
      if (recomputes) keep()
      return 0
    })
  if (!recomputes) keep()
  return {
    /** What is read out: the top layer's states, or the last one of each sequence. */
    h,
    inputOf,
    fetch,
    run,
  }
}
