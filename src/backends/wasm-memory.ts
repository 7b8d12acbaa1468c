/*
 * The one memory of a WASM engine: where its regions lie, how they grow, and the only views of it. Behind the module's own bytes
 * (assembly/context.ts) come the five regions of plan/memory.ts and JOB, which holds a job's plan, frames and results.
 */
import { BpttError } from '../errors.js'
import { floatOffset, REGIONS, Region, regionOf } from '../plan/memory.js'

export interface Views {
  readonly bytes: Uint8Array
  readonly ints: Int32Array
  readonly floats: Float32Array
  readonly doubles: Float64Array
}

export const JOB = REGIONS
/** Order in memory: what grows most often last, so that little has to move. */
const ORDER = [Region.HOME, Region.PACK, Region.CARRY, Region.DATA, Region.SCRATCH, JOB]
const KEPT: readonly number[] = [Region.HOME, Region.PACK, Region.CARRY, Region.DATA]
const PAGE = 65536
const MAX_PAGES = 65536
/** Kernels read whole vectors, and the last may begin at the last float. */
const SLACK = 64

export const createPages = (bytes: number, shared = false) =>
  new WebAssembly.Memory({ initial: Math.ceil(bytes / PAGE), maximum: MAX_PAGES, shared })

export class WasmMemory {
  /** Bytes of each region. */
  readonly sizes = new Array<number>(REGIONS + 1).fill(0)
  private readonly bases: number[]
  private current: Views | undefined

  /** @param heap first byte to lay out; @param table where the module reads the bases of the five regions. */
  constructor(
    private readonly memory: WebAssembly.Memory,
    private readonly heap: number,
    private readonly table: number,
  ) {
    this.bases = new Array<number>(REGIONS + 1).fill(heap)
    this.publish()
  }

  /** Views of all memory. Growing detaches them: take them here each time, never keep them over a call that may grow. */
  views(): Views {
    const { buffer } = this.memory
    if (this.current?.bytes.buffer !== buffer)
      this.current = {
        bytes: new Uint8Array(buffer),
        ints: new Int32Array(buffer),
        floats: new Float32Array(buffer),
        doubles: new Float64Array(buffer),
      }
    return this.current!
  }

  /** First byte of a region. */
  base(region: number): number {
    return this.bases[region]!
  }
  /** Byte of an address of plan/memory.ts. */
  byteOf(at: number): number {
    return this.bases[regionOf(at)]! + 4 * floatOffset(at)
  }

  /** The sizes that grow() would give for these bytes. */
  grown(bytes: readonly number[]): number[] {
    return this.sizes.map((size, r) => Math.max(size, 64 * Math.ceil((bytes[r] ?? 0) / 64)))
  }

  /**
   * Makes room, all or nothing: bytes by region number. Regions but SCRATCH and JOB keep their content, and their new bytes are zero.
   * @throws ERR_OUT_OF_MEMORY, with nothing changed
   */
  grow(bytes: readonly number[]): void {
    const { sizes, bases } = this
    if (!this.tooSmall(bytes)) return
    const wanted = this.grown(bytes)
    const moved = new Array<number>(REGIONS + 1)
    let end = this.heap
    for (const region of ORDER) {
      moved[region] = end
      end += wanted[region]!
    }
    const pages = Math.ceil((end + SLACK) / PAGE) - this.memory.buffer.byteLength / PAGE
    if (pages > 0) this.addPages(pages, end)
    // From the last to the first: all move up, into bytes that were free or have been moved already.
    const view = this.views().bytes
    for (const region of [...ORDER].reverse()) {
      const to = moved[region]!
      if (KEPT.includes(region)) {
        if (to !== bases[region]) view.copyWithin(to, bases[region]!, bases[region]! + sizes[region]!)
        view.fill(0, to + sizes[region]!, to + wanted[region]!)
      }
      bases[region] = to
      sizes[region] = wanted[region]!
    }
    this.publish()
  }

  private tooSmall(bytes: readonly number[]): boolean {
    for (let r = 0; r < bytes.length; r++) if (bytes[r]! > this.sizes[r]!) return true
    return false
  }

  private addPages(pages: number, bytes: number): void {
    try {
      this.memory.grow(pages)
    } catch (cause) {
      throw new BpttError('ERR_OUT_OF_MEMORY', 'the memory for this network and batch could not be had', {
        received: `${bytes} bytes`,
        hint: 'WebAssembly has 4 GiB at most; use smaller batches, or the native backend.',
        cause,
      })
    }
  }

  /** Tells the module where the regions are. */
  private publish(): void {
    this.views().ints.set(this.bases.slice(0, REGIONS), this.table / 4)
  }
}
