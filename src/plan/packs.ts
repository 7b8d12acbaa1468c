/*
 * Where a plan has its matrices in the forms that kernels read (PACK), and when it makes them. Without an update both forms of a matrix
 * stay, for plans to come, each in a place that is the same in all plans of a network. With one they are old when the plan ends: then one
 * place serves the way forward first and the way back after it, wherever the plan does not go to and fro between them too often.
 */
import type { ParameterName } from '../network/parameters.js'
import type { Layout } from './layout.js'
import { Allocator, NONE, packFloats, Region } from './memory.js'
import { Pack } from './operations.js'
import type { Wants } from './wants.js'
import type { Writer } from './writer.js'

export type Way = 'forward' | 'backward'

/** Rows of a segment for which packing W anew takes a few percent of what is computed with it. */
export const WORTH_PACKING = 512

/** @param near rows that the plan has room for at a time */
export function packsOf(layout: Layout, wants: Wants, near: number) {
  const { pack, update, segments, readout = layout.network.readout } = wants
  const area = new Allocator(Region.PACK)
  const matrices = layout.table.list.flatMap(({ name, layer, unit, shape: [N, K] }) => {
    if (K === undefined) return []
    const place = () => area.floats(packFloats(N!, K))
    return { name, layer, of: [layout.p + unit, N!, K] as const, place, forward: place(), backward: NONE, repeated: false }
  })
  const [first, ...back] = matrices
  if (wants.dx) back.push(first!)
  for (const matrix of wants.gradients ? back : []) {
    /** Segments on the way back go forward through it, too. */
    const both = segments !== undefined && (matrix.name === 'V' ? readout === 'all' : !segments.keepStates)
    const takeTurns = pack && update && (!both || (!segments.keepStates && near >= WORTH_PACKING))
    matrix.backward = takeTurns ? matrix.forward : matrix.place()
    matrix.repeated = both && matrix.backward === matrix.forward
  }
  return {
    bytes: area.bytes,
    at: (name: ParameterName, layer: number, way: Way) => matrices.find((matrix) => matrix.name === name && matrix.layer === layer)![way],
    /** Makes the forms for one way: those that each segment on the way back makes anew, or the others. */
    emit(w: Writer, way: Way, inSegments = false): void {
      if (!pack) return
      const forward = way === 'forward'
      for (const matrix of matrices) {
        const { repeated } = matrix
        if (matrix[way] === NONE || (forward && matrix.name === 'V' && !(wants.logits || wants.outputs || wants.loss))) continue
        // Segments on the way forward find what was made before them.
        if (inSegments ? !repeated : repeated && !forward) continue
        const form = !forward ? Pack.PROJECT_DX : matrix === first && layout.network.input.tokens ? Pack.GATHER : Pack.PROJECT
        w.emit('PACK', matrix[way], ...matrix.of, form)
      }
    },
  }
}
