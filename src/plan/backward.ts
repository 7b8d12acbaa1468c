/* Backpropagation through time, from the top layer down, over all steps or over those of one segment after the other, the last one first. */
import { layerInput } from '../network/network.js'
import type { Forward } from './forward.js'
import type { Lowering } from './lowering.js'
import { NONE, stride, unitsOf } from './memory.js'
import { Above, Rows } from './operations.js'
import { type ReadOut, readOut } from './readout.js'

/** @param read undefined: on the way back, segment by segment */
export function backward(lowering: Lowering, { h, inputOf, fetch, run }: Forward, read: ReadOut | undefined) {
  const { layout, network, wants, data, B, R, S, top, near, all, rows, recomputes, cell, w, packs, matrix, scratch, room, states } =
    lowering
  const { s, s0, unit, sMoves, s0Moves } = states
  const { segments, gradients, stateGradients } = wants
  const { tokens, size: K } = network.input
  const { size: O } = network.output
  const widest = Math.max(...S)
  const spare = [room(near, widest), top > 0 ? room(near, widest) : NONE]
  const g = stateGradients ? room(R, widest) : NONE
  /** Of each layer, in segments: d of the step behind. Where there are borders the last one, which nobody needs on the way back. */
  const after = S.map((size, k) => (recomputes ? s0[k]! + B * unit(k) * segments!.most : segments ? room(B, size) : NONE))
  const tokenSums = tokens ? scratch.floats(stride(S[0]!) * K) : NONE
  const g0: number[] = []
  const norms: number[] = []
  const norms0: number[] = []
  let dx = NONE
  let d = spare[0]!
  /** dL/ds from what reads the layer's states, and of which steps. */
  let above: number = NONE
  let aboveKind: number = Above.NONE
  let rowLoss = NONE

  const given = (k: number) => data.ds[k] ?? NONE
  /** dL/ds of all steps of layer k through M, on top of what is given. */
  const into = (k: number, from: number, M: 'U' | 'V', N: number, layer = -1) => {
    const has = given(k) !== NONE
    if (has) w.emit('COPY', d, given(k), unitsOf(R * stride(S[k]!)))
    if (from !== NONE) w.emit('PROJECT_DX', d, from, ...matrix(M, layer, 'backward'), N, S[k]!, Rows.STEPS, has ? 1 : 0)
    if (has || from !== NONE) [above, aboveKind] = [d, Above.STEPS]
  }

  const outputGradients = ({ dz }: ReadOut) => {
    const steps = all ? dz : data.dzSteps
    into(top, steps, 'V', O)
    if (dz === NONE) return
    w.emitMoving({ x: all ? sMoves(top) : undefined }, 'PROJECT_DW', layout.gradient('V'), dz, h, O, S[top]!, rows)
    if (network.outputBias) w.emit('BIAS_DW', layout.gradient('c'), dz, O, rows)
    if (steps !== NONE) return // After an update nobody wants what was read out.
    ;[above, aboveKind] = [wants.update ? h : room(B, S[top]!), Above.LAST]
    w.emit('PROJECT_DX', above, dz, ...matrix('V', -1, 'backward'), O, S[top]!, Rows.BATCH, 0)
  }

  const layerGradients = (k: number) => {
    const size = S[k]!
    const moves = { s: sMoves(k), s0: s0Moves(k) }
    g0[k] = stateGradients ? room(B, size) : NONE
    w.emitMoving({ s: moves.s }, 'RECUR_BACK', d, s[k]!, after[k]!, above, aboveKind, ...matrix('W', k, 'backward'), size, cell, g, g0[k]!)
    if (segments) w.emit('COPY', after[k]!, d, B * unit(k))
    if (stateGradients) {
      norms[k] = scratch.floats(2 * R)
      norms0[k] = scratch.floats(2 * B)
      w.emit('STEP_NORMS', norms0[k]!, norms[k]!, g0[k]!, g, size)
    }
    w.emitMoving(moves, 'RECUR_DW', layout.gradient('W', k), d, s[k]!, s0[k]!, size, size)
    const from = inputOf(k)
    if (from) w.emitMoving({ x: from[1] }, 'PROJECT_DW', layout.gradient('U', k), d, from[0], size, layerInput(network, k), Rows.STEPS)
    else w.emit('GATHER_DW', layout.gradient('U', 0), d, data.x, tokenSums, size, K)
    if (network.bias) w.emit('BIAS_DW', layout.gradient('b', k), d, size, Rows.STEPS)
    if (network.bias === 'double' && gradients === 'added') w.emit('BIAS_DW', layout.gradient('bh', k), d, size, Rows.STEPS)
  }

  const layers = () => {
    for (let k = top; k >= 0; k--) {
      layerGradients(k)
      const from = d
      if (k > 0) {
        d = d === spare[0] ? spare[1]! : spare[0]!
        into(k - 1, from, 'U', S[k]!, k)
      } else if (wants.dx) {
        dx = room(R, K)
        w.emit('PROJECT_DX', dx, d, ...matrix('U', 0, 'backward'), S[0]!, K, Rows.STEPS, 0)
      }
    }
  }

  packs.emit(w, 'backward')
  if (read) outputGradients(read)
  if (!segments) layers()
  else
    w.segments(segments.steps, 'backward', () => {
      const begin = w.length
      packs.emit(w, 'forward', true)
      if (recomputes) run()
      else fetch() // the way forward has left those of the last segment
      const there = w.length - begin
      const late = read ? undefined : readOut(lowering, h)
      packs.emit(w, 'backward', true)
      if (late) outputGradients(late)
      layers()
      rowLoss = late?.rowLoss ?? NONE
      return there
    })
  if (rowLoss !== NONE) w.emit('SUM_LOSS', rowLoss, rows)
  // Two biases have one gradient: the net adds them.
  if (network.bias === 'double' && gradients === 'fresh')
    S.forEach((size, k) => w.emit('COPY', layout.gradient('bh', k), layout.gradient('b', k), unitsOf(size)))
  w.emit('NORM', layout.g, layout.table.units)
  return { dx, g0, norms, norms0 }
}
