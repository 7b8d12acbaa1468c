/*
 * Lowers a network to a plan: the straight list of operations of one batch. What it is asked for is said in wants.ts. Cells, heads,
 * losses, optimisers and truncation are composed here and in the parts (forward.ts, readout.ts, backward.ts), and nowhere else.
 */
import { backward } from './backward.js'
import { forward } from './forward.js'
import type { Layout } from './layout.js'
import { begin } from './lowering.js'
import { NONE } from './memory.js'
import { Optimizer } from './operations.js'
import type { Plan } from './plan.js'
import { type ReadOut, readOut } from './readout.js'
import type { Capacity, DataPlaces, Wants } from './wants.js'

/** A plan with the places of what can be read after each frame; NONE for what it does not make. */
export interface Compiled {
  readonly plan: Plan
  readonly capacity: Capacity
  readonly scratchBytes: number
  readonly packBytes: number
  /** Rows of stride(t): [R] with readout 'all', else [B]. */
  readonly logits: number
  readonly outputs: number
  /** [R] rows of stride(s_k). */
  readonly states: readonly number[]
  /** [B] rows of stride(s_k). */
  readonly initialStates: readonly number[]
  readonly dx: number
  /** Of each layer: [B] rows of stride(s_k) dL/ds_0; float64 [R] and [B] norms. */
  readonly g0: readonly number[]
  readonly norms: readonly number[]
  readonly norms0: readonly number[]
}

export function compile(layout: Layout, wants: Wants, capacity: Capacity, data: DataPlaces): Compiled {
  const lowering = begin(layout, wants, capacity, data)
  const { w, packs, rows, all, reads } = lowering
  const { units, matrixUnits } = layout.table

  packs.emit(w, 'forward')
  if (wants.gradients === 'fresh') w.emit('ZERO', layout.g, units)
  const way = forward(lowering)
  let read: ReadOut = { logits: NONE, outputs: NONE, dz: data.dz, rowLoss: NONE }
  /** Outputs at every step are read out where their gradient is needed. */
  const readsOnTheWayBack = wants.segments !== undefined && all
  if (reads && !readsOnTheWayBack) {
    read = readOut(lowering, way.h)
    if (wants.loss) w.emit('SUM_LOSS', read.rowLoss, rows)
  }
  const back = wants.gradients && backward(lowering, way, readsOnTheWayBack ? undefined : read)
  if (wants.update) {
    const { maxNorm, m, v, a, flags, optimizer } = wants.update
    if (maxNorm !== undefined) w.emit('CLIP', w.constant(maxNorm))
    w.emit('GUARD')
    w.emit('UPDATE', layout.p, layout.g, m, v, a, units, matrixUnits, Optimizer[optimizer], flags)
  }
  const { logits, outputs } = read
  const { scratch, states } = lowering
  return {
    plan: w.finish(),
    capacity,
    scratchBytes: scratch.bytes,
    packBytes: packs.bytes,
    logits,
    outputs,
    states: states.s,
    initialStates: states.s0,
    dx: NONE,
    g0: [],
    norms: [],
    norms0: [],
    ...back,
  }
}
