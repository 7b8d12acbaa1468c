/*
 * The seam between the package and where it runs: Node (node.ts) or a browser (browser.ts). host.ts says which, as
 * backends/loaders.ts does which backends there are; the browser build puts other lines there. Nothing else in src/ asks where it is.
 */
import type { PlanCheck } from '../backends/engine.js'
import type { Plan } from '../plan/plan.js'

/** What one end of a Worker hears. */
export type Listener = (message: unknown) => void
export type Post = (message: unknown, transfer: ArrayBuffer[]) => void

/** The main side's view of the training Worker. */
export interface TrainingWorker {
  readonly post: Post
  /** Whether it keeps the process alive. A new one does not. */
  hold(alive: boolean): void
  /** Whether a word of shared memory reaches it. */
  readonly sharesMemory: boolean
}

/** A hash in the making. */
export interface Digest {
  update(bytes: Uint8Array): void
  hex(): string
}

export interface Platform {
  environment(name: string): string | undefined
  /** Threads worth starting. */
  threads(): number
  /** Why threads cannot share memory here; undefined where they can. */
  unshared(): string | undefined
  /** Resolves after everything else that waits in the event loop had its turn. */
  pause(): Promise<void>
  /** Tells whoever looks after the program what works less well than it could. */
  warn(text: string): void
  /** Words for doctor(): `Node 20.20.2, linux x64`. */
  describe(): string
  /** The platform's own SHA-256, where there is one everywhere. */
  sha256?(): Promise<Digest>
  readFile(path: string | URL, maxBytes: number): Promise<{ bytes: Uint8Array; file?: string }>
  writeFile(path: string, bytes: Uint8Array): Promise<void>
  /**
   * Checks a plan before WebAssembly runs it. Not in a browser: it has only the plans of plan/compile.ts, which under Node are checked
   * every time, and what a wrong one could reach there is the memory of its own model. 2.3 kB of a page's first load.
   */
  planCheck?(plan: Plan): PlanCheck
  /**
   * Starts a Worker that runs backends/worker.js.
   * @param make the user's way to make it
   * @param onEnd called once when it dies, with the reason
   */
  spawn(make: (() => unknown) | undefined, onMessage: Listener, onEnd: (reason: unknown) => void): TrainingWorker
  /** Inside the Worker: connects the program to its other end. */
  serve(program: (post: Post) => Listener): void
}
