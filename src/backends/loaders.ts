/*
 * The backends of this build, for Node: each with what it needs is loaded when it is asked for, for native.ts and wasm.ts do things at
 * load that must not happen at import. The browser build has loaders-browser.ts in its place. Called by select.ts.
 */
import type { Backend, BackendName } from './engine.js'

/** Throws BpttError where it cannot be used. */
export function load(name: BackendName): Backend {
  // Literal names, so that bundlers find them.
  if (name === 'native') return require('./native.js').loadNative()
  if (name === 'wasm') return require('./wasm.js').loadWasm()
  return require('./reference.js').loadReference()
}
