/* `bptt doctor`: what doctor() of the API says. */
import { doctor } from '../doctor.js'
import { type Arguments, type Flags, flagLines } from './arguments.js'

export const flags = {
  json: { help: 'one JSON object' },
  help: { short: 'h', help: 'this text' },
} satisfies Flags
export const positionals: string[] = []

export const help = () => `Says which backends work on this machine, which one is used, and why not a
better one.

  bptt doctor [options]

Options
${flagLines(flags)}

Exit code 0: a model can be run here; 1: none can.
`

export async function run({ values }: Arguments): Promise<number> {
  const diagnosis = await doctor()
  process.stdout.write(`${values.has('json') ? JSON.stringify(diagnosis) : diagnosis}\n`)
  return diagnosis.chosen ? 0 : 1
}
