/* Node: threads, environment variables, worker_threads. See seam.ts. */
import { existsSync, readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { parentPort, Worker } from 'node:worker_threads'
import { BpttError } from '../errors.js'
import type { Platform } from './seam.js'

/** Processors that the container's quota allows. A spinning pool above it would be stopped in mid-work. */
function quota(): number {
  try {
    const [time, period] = readFileSync('/sys/fs/cgroup/cpu.max', 'utf8').split(' ').map(Number)
    return time! > 0 && period! > 0 ? Math.max(1, Math.floor(time! / period!)) : Infinity // "max" is no number
  } catch {
    return Infinity // no cgroup, no quota
  }
}

function makeWorker(): Worker {
  const file = join(__dirname, '..', 'backends', 'worker.js')
  if (!existsSync(file))
    throw new BpttError('ERR_BACKEND', 'the file of the training Worker is missing', {
      expected: file,
      hint: 'A bundler must leave the package "bptt" external.',
    })
  // The process's own flags (--inspect-brk, --input-type=module, …) are not meant for it.
  return new Worker(file, { execArgv: [], argv: [], name: 'bptt' } as ConstructorParameters<typeof Worker>[1])
}

export const node: Platform = {
  environment: (name) => process.env[name],
  threads: () => Math.min(availableParallelism(), quota()),
  unshared: () => undefined,
  pause: () => new Promise((resolve) => setImmediate(resolve)),

  warn: (text) => process.emitWarning(text),
  describe: () => `Node ${process.versions.node}, ${process.platform} ${process.arch}`,
  // Only what is used is loaded: half of the time to a first prediction would go into modules that it does not need.
  readFile: async (path, maxBytes) => (await import('../files/node-io.js')).readBytes(path, maxBytes),
  writeFile: async (path, bytes) => (await import('../files/node-io.js')).writeBytes(path, bytes),

  async sha256() {
    const hash = (await import('node:crypto')).createHash('sha256')
    return { update: (bytes) => void hash.update(bytes), hex: () => hash.digest('hex') }
  },

  planCheck(plan) {
    const { MemoryCheck } = require('../backends/validate.js') as typeof import('../backends/validate.js')
    return new MemoryCheck(plan)
  },

  spawn(make, onMessage, onEnd) {
    const worker = make ? (make() as Worker) : makeWorker()
    let ended = false
    const end = (reason: unknown) => {
      if (!ended) onEnd(reason)
      ended = true
    }
    worker.on('message', onMessage)
    worker.on('messageerror', end)
    worker.on('error', end)
    worker.on('exit', (code) => end(new Error(`it ended with exit code ${code}`)))
    worker.unref()
    return {
      post: (message, transfer) => worker.postMessage(message, transfer),
      hold: (alive) => (alive ? worker.ref() : worker.unref()),
      sharesMemory: typeof SharedArrayBuffer !== 'undefined',
    }
  },

  serve(program) {
    const port = parentPort
    if (!port) throw new BpttError('ERR_INTERNAL', 'backends/worker.js is the program of a Worker and was loaded outside of one')
    port.on(
      'message',
      program((message, transfer) => port.postMessage(message, transfer)),
    )
  },
}
