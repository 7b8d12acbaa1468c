/* Reading out: logits, outputs and the loss from what the top layer has come to, with dL/dlogits. */
import type { Lowering } from './lowering.js'
import { NONE } from './memory.js'
import { Head } from './operations.js'

const headOf = { softmax: Head.SOFTMAX, sigmoid: Head.SIGMOID, linear: Head.LINEAR } as const

export interface ReadOut {
  readonly logits: number
  readonly outputs: number
  readonly dz: number
  readonly rowLoss: number
}

/** @param h forward.ts */
export function readOut(lowering: Lowering, h: number): ReadOut {
  const { layout, network, wants, data, B, R, S, top, near, all, rows, w, matrix, scratch, states } = lowering
  const { size: O, head } = network.output
  const room = () => lowering.room(all ? near : B, O)
  const logits = room()
  const from = all ? { x: states.sMoves(top) } : {}
  w.emitMoving(from, 'PROJECT', logits, h, ...matrix('V', -1, 'forward'), layout.parameter('c'), NONE, O, S[top]!, rows)
  let outputs = NONE
  if (wants.outputs) {
    outputs = wants.logits || wants.loss ? room() : logits
    w.emit('ACTIVATE', outputs, logits, O, headOf[head], rows)
  }
  if (!wants.loss) return { logits, outputs, dz: data.dz, rowLoss: NONE }
  const rowLoss = scratch.floats((all ? R : B) * 4)
  const dz = !wants.gradients ? NONE : wants.logits ? room() : logits
  w.emit('LOSS', dz, logits, data.targets, data.weights, rowLoss, O, headOf[head], rows)
  return { logits, outputs, dz, rowLoss }
}
