/*
 * What the parts of a plan share while compile.ts puts it together: the network's sizes, what is asked for, the plan as far as it is
 * written, and where the states are.
 */
import type { Layout } from './layout.js'
import { Allocator, Region, stride, UNIT_FLOATS } from './memory.js'
import { By, Cell, Rows } from './operations.js'
import { packsOf, type Way } from './packs.js'
import type { Capacity, DataPlaces, Wants } from './wants.js'
import { type Movement, Writer } from './writer.js'

const cellOf = { tanh: Cell.TANH, relu: Cell.RELU, sigmoid: Cell.SIGMOID, identity: Cell.IDENTITY } as const

export type Lowering = ReturnType<typeof begin>

export function begin(layout: Layout, wants: Wants, { B, R }: Capacity, data: DataPlaces) {
  const { network } = layout
  const { segments } = wants
  const S = network.state
  const all = (wants.readout ?? network.readout) === 'all'
  const recomputes = segments !== undefined && !segments.keepStates
  /** Rows that there is room for at a time. */
  const near = segments ? Math.max(B, Math.min(R, segments.steps * B)) : R
  const scratch = new Allocator(Region.SCRATCH)
  const room = (count: number, size: number) => scratch.floats(count * stride(size))

  // The states: of all steps, or of those of a segment; and the ones before, which are those at its border or in front of its first row.
  const s = S.map((size) => room(recomputes ? near : R, size))
  const s0 = S.map((size) => room(recomputes ? B * (segments.most + 1) : B, size))
  const unit = (k: number) => stride(S[k]!) / UNIT_FLOATS
  const sMoves = (k: number): Movement | undefined => (segments?.keepStates ? [By.ROW, unit(k)] : undefined)
  const s0Moves = (k: number): Movement | undefined => segments && (recomputes ? [By.SEGMENT, B * unit(k)] : [By.BEFORE, unit(k), s[k]!])
  const packs = packsOf(layout, wants, near)
  /** The two forms of a matrix that kernels take: as it is, and packed. */
  const matrix = (name: 'U' | 'W' | 'V', layer: number, way: Way) => [layout.parameter(name, layer), packs.at(name, layer, way)] as const
  return {
    layout,
    network,
    wants,
    data,
    B,
    R,
    S,
    top: S.length - 1,
    near,
    /** The network is read out at every step. */
    all,
    rows: all ? Rows.STEPS : Rows.BATCH,
    /** Something is read out. */
    reads: wants.logits || wants.outputs || wants.loss,
    recomputes,
    cell: cellOf[network.nonlinearity],
    w: new Writer(),
    packs,
    matrix,
    scratch,
    room,
    states: { s, s0, unit, sMoves, s0Moves },
  }
}
