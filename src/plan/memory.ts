/*
 * The memory map that all backends share: five regions, addresses of 64-byte units inside them, and the rule for row strides.
 * What a region holds and who sizes it; the layout of a network's parameters is network/parameters.ts.
 */

/**
 * HOME     parameters, gradients, moments: never moves while a model lives
 * DATA     inputs, targets, weights that stay in backend memory during a call
 * CARRY    one state row a sequence and layer, kept between frames
 * SCRATCH  activations of one frame; its content is never kept between frames
 * PACK     the backend's private form of the weights; not comparable between backends
 */
export const Region = { HOME: 0, DATA: 1, CARRY: 2, SCRATCH: 3, PACK: 4 } as const
export const REGIONS = 5

export const UNIT_BYTES = 64
export const UNIT_FLOATS = 16
/** An address holds the region above this many bits of unit offset (2^28 units = 16 GiB a region). */
export const REGION_SHIFT = 28
export const NONE = -1
/** Of the native backend: what each thread brings for packed operands and for the rows of a time loop. */
export const WORKSPACE_BYTES = 4 << 20

/** Floats from one row of activations to the next: whole 64-byte units on every backend. */
export const stride = (size: number) => Math.ceil(size / UNIT_FLOATS) * UNIT_FLOATS
/** Units that `floats` float32 take. */
export const unitsOf = (floats: number) => Math.ceil(floats / UNIT_FLOATS)
export const address = (region: number, unit: number) => region * 2 ** REGION_SHIFT + unit
export const regionOf = (at: number) => Math.floor(at / 2 ** REGION_SHIFT)
/** Offset of an address inside its region, in floats. */
export const floatOffset = (at: number) => (at % 2 ** REGION_SHIFT) * UNIT_FLOATS

/** Floats of a packed matrix M [N, K], enough for every form and every backend's panel width (at most 64 columns). */
export const packFloats = (N: number, K: number) => Math.max(Math.ceil(N / 64) * 64 * K, Math.ceil(K / 64) * 64 * N, stride(N) * K)

/** Hands out consecutive, 64-byte aligned places of one region. */
export class Allocator {
  units = 0
  constructor(readonly region: number) {}
  floats(count: number): number {
    const at = address(this.region, this.units)
    this.units += unitsOf(count)
    return at
  }
  get bytes() {
    return this.units * UNIT_BYTES
  }
}
