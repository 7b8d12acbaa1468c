/* Where a model's memory begins: what of it is the same for every plan. */
import type { Network } from '../network/network.js'
import { type ParameterName, parameterTable } from '../network/parameters.js'
import { Allocator, address, NONE, REGIONS, Region, stride, unitsOf } from './memory.js'

/** The fixed part of a model's memory: where parameters and gradients are. */
export class Layout {
  readonly table
  readonly p: number
  readonly g: number
  /** Units of HOME that parameters and gradients take; moments come behind. */
  readonly homeUnits: number

  constructor(readonly network: Network) {
    this.table = parameterTable(network)
    this.p = address(Region.HOME, 0)
    this.g = address(Region.HOME, this.table.units)
    this.homeUnits = 2 * this.table.units
  }

  parameter(name: ParameterName, layer = -1): number {
    const p = this.table.get(name, layer)
    return p ? this.p + p.unit : NONE
  }
  gradient(name: ParameterName, layer = -1): number {
    const p = this.table.get(name, layer)
    return p ? this.g + p.unit : NONE
  }
  /** Addresses of the layers' carried states, rows of stride(s_k). */
  carries({ slots, unit }: { slots: number; unit: number }): number[] {
    const carry = new Allocator(Region.CARRY)
    carry.units = unit
    return this.network.state.map((S) => carry.floats(stride(S) * slots))
  }
  /** Units that they take. */
  carryUnits(slots: number): number {
    return this.network.state.reduce((sum, S) => sum + unitsOf(stride(S) * slots), 0)
  }
}

/** Bytes of every region, by number, for a job. */
export function regionBytes(sizes: { home: number; data: number; carry: number; scratch: number; pack: number }): number[] {
  const bytes = new Array<number>(REGIONS).fill(0)
  bytes[Region.HOME] = sizes.home
  bytes[Region.DATA] = sizes.data
  bytes[Region.CARRY] = sizes.carry
  bytes[Region.SCRATCH] = sizes.scratch
  bytes[Region.PACK] = sizes.pack
  return bytes
}
