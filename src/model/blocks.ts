/* Hands out blocks of HOME for optimiser moments, each of the size of all parameters; what is given back is used again. */
import { address, Region } from '../plan/memory.js'

export class Blocks {
  /** Units of HOME in use or once used. */
  units: number
  private readonly free: number[] = []

  constructor(
    first: number,
    private readonly size: number,
  ) {
    this.units = first
  }

  /** @returns the address of a block; its content is whatever was there. */
  take(): number {
    const unit = this.free.pop() ?? this.units
    if (unit === this.units) this.units += this.size
    return address(Region.HOME, unit)
  }

  giveBack(at: number): void {
    this.free.push(at - address(Region.HOME, 0))
  }
}
