/*
 * Browsers, and other places with web Workers. Not part of the Node build (import.meta does not exist in CommonJS). See seam.ts.
 */
import '../backends/wasm-bytes.gen.js' // first, an order that bundlers keep: amid code its text costs a page 0.8 kB more of gzip
import { BpttError } from '../errors.js'
import { fetchBytes } from '../files/source.js'
import type { Platform } from './seam.js'

/** The part of DedicatedWorkerGlobalScope that is used: TypeScript's libraries for pages and for Workers exclude each other. */
interface WorkerScope {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void
  onmessage: ((event: MessageEvent) => void) | null
}

const sharesMemory = () => typeof SharedArrayBuffer !== 'undefined' && globalThis.crossOriginIsolated

export const browser: Platform = {
  environment: () => undefined,
  threads: () => navigator.hardwareConcurrency || 1,
  unshared: () =>
    sharesMemory() ? undefined : 'this page is not crossOriginIsolated: it needs the headers COOP same-origin and COEP require-corp',

  // A timer would wait 4 ms and more.
  pause: () =>
    new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => {
        port1.close()
        resolve()
      }
      port2.postMessage(null)
    }),

  warn: (text) => console.warn(text),
  describe: () => navigator.userAgent,
  readFile: fetchBytes,
  async writeFile() {
    throw new BpttError('ERR_IO', 'a page cannot write files', {
      at: 'path',
      hint: 'Use toBytes() and offer the bytes as a download, or keep them in IndexedDB.',
    })
  },

  spawn(make, onMessage, onEnd) {
    const worker = make
      ? (make() as Worker)
      : new Worker(new URL('../backends/worker.js', import.meta.url), { type: 'module', name: 'bptt' })
    let ended = false
    const end = (reason: unknown) => {
      if (!ended) onEnd(reason)
      ended = true
      worker.terminate()
    }
    worker.onmessage = (event) => onMessage(event.data)
    worker.onmessageerror = () => end(new Error('a message could not be read'))
    worker.onerror = (event) => end(new Error(event.message || 'its script could not be loaded'))
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      hold: () => {},
      sharesMemory: sharesMemory(),
    }
  },

  serve(program) {
    const scope = globalThis as unknown as WorkerScope
    const receive = program((message, transfer) => scope.postMessage(message, transfer))
    scope.onmessage = (event) => receive(event.data)
  },
}
