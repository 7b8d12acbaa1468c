/* The backends of the browser build. See loaders.ts. */
import { BpttError } from '../errors.js'
import type { Backend, BackendName } from './engine.js'
import { loadReference } from './reference.js'
import { loadWasm } from './wasm.js'

export function load(name: BackendName): Backend {
  if (name === 'wasm') return loadWasm()
  if (name === 'reference') return loadReference()
  throw new BpttError('ERR_BACKEND', 'the native backend needs Node, and this is a browser')
}
