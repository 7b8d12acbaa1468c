/* `bptt demo`: runs examples/line.mjs, which is the whole of it. */
import { spawn } from 'node:child_process'
import { constants } from 'node:os'
import { join } from 'node:path'
import { type Flags, flagLines } from './arguments.js'

export const flags = { help: { short: 'h', help: 'this text' } } satisfies Flags
export const positionals: string[] = []

export const help = () => `Trains on a made-up production line, and shows what initial weights do.

  bptt demo

The program is examples/line.mjs of this package, in 30 lines.
BPTT_BACKEND=wasm runs it on WebAssembly.

Options
${flagLines(flags)}
`

export function run(): Promise<number> {
  const program = join(__dirname, '..', '..', '..', 'examples', 'line.mjs')
  const child = spawn(process.execPath, [program], { stdio: 'inherit' })
  process.on('SIGINT', () => undefined) // the terminal sends it to the child too, whose end is awaited
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal!]))
  })
}
