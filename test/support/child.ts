/* Programs that tests run in a process of their own, because they end it, measure it, or must be alone in it. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..', '..')

/** What every such program begins with. */
const PRELUDE = `
const { RNN } = require(${JSON.stringify(root)});
const x = Array.from({ length: 64 }, (_, b) => Array.from({ length: 1 + (b * 7) % 20 }, (_, i) => [Math.sin(b + i), Math.cos(b * i), b / 64, 1]));
const y = x.map((_, b) => b % 3);
const make = (backend, more = {}) => new RNN({ input: 4, state: 24, output: { softmax: 3 }, backend, threads: 2, ...more });
const endless = { epochs: 1e6, batchSize: 16 };
`

export interface Ended {
  readonly code: number | string
  readonly output: string
  readonly milliseconds: number
}

/** Runs JavaScript (CommonJS, with top-level await) in a new Node, with arguments of its own behind Node's. */
export function inChild(program: string, args: string[] = [], timeout = 60_000, own: string[] = []): Promise<Ended> {
  const source = `${PRELUDE}\n;(async () => {${program}})()`
  const begin = performance.now()
  return new Promise((resolve) => {
    execFile(process.execPath, [...args, '-e', source, ...own], { cwd: root, timeout, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      const code = error ? (error.signal ?? error.code ?? 1) : 0
      resolve({ code, output: `${stdout}${stderr}`.trim(), milliseconds: performance.now() - begin })
    })
  })
}
export { PRELUDE }
