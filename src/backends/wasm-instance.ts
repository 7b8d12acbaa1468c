/*
 * One instance of a WASM module (wasm-module.ts): what it exports, and the life of one that helps another thread's (wasm-team.ts). Apart
 * from the modules' bytes, which a helper is sent compiled.
 */
import type { Asked } from './engine.js'

/** What assembly/index.ts exports. */
export interface Exports {
  readonly heap: WebAssembly.Global
  readonly each: WebAssembly.Global
  readonly regionBases: WebAssembly.Global
  readonly called: WebAssembly.Global
  probe(at: number): void
  run(code: number, end: number, constants: number, frame: number, starts: number, result: number, threads: number): void
  serve(): void
  complete(): number
  team(): number
  fail(): number
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory, asked: Asked = () => 0): Exports {
  return new WebAssembly.Instance(module, { env: { memory }, pause: { asked } }).exports as unknown as Exports
}

/** What a helper is sent: the module and the shared memory to run it on, and the word to clear when it goes. */
export interface Call {
  readonly kind: 'help'
  readonly module: WebAssembly.Module
  readonly memory: WebAssembly.Memory
  readonly word: number
}

/** In a helper: works until nobody needs it. */
export function help({ module, memory, word }: Call): void {
  const exports = instantiate(module, memory)
  try {
    exports.serve()
  } catch {
    exports.fail() // those who wait for this thread end too, and their engine says so
  } finally {
    Atomics.store(new Int32Array(memory.buffer), exports.called.value / 4 + word, 0)
  }
}
