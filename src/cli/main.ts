#!/usr/bin/env node
/*
 * The command line: finds the command, and turns what it throws into a message and an exit code. A command is a file of this folder with
 * its flags, its help and run(); docs/command-line.md is for users.
 */
import { nearest } from '../check/names.js'
import { BpttError, show } from '../errors.js'
import { VERSION } from '../files/version.js'
import { type Arguments, type Flags, inFlags, parse, UsageError } from './arguments.js'
import { paint } from './screen.js'

interface Command {
  readonly flags: Flags
  readonly positionals: readonly string[]
  /** It goes on where nobody reads what it says. */
  readonly outlivesReader?: boolean
  help(): string
  run(args: Arguments): Promise<number>
}

/** Loaded when asked for: --version needs none of it. */
const COMMANDS: Readonly<Record<string, () => Command>> = {
  demo: () => require('./demo.js'),
  train: () => require('./train.js'),
  predict: () => require('./predict.js'),
  doctor: () => require('./doctor.js'),
  verify: () => require('./verify.js'),
}

/** Of bptt itself. */
const FLAGS = { help: { short: 'h', help: 'this text' }, version: { short: 'v', help: 'of the package' } } satisfies Flags

const HELP = `bptt ${VERSION}: trains and runs recurrent neural networks.

  bptt demo                 trains on a made-up production line; start here
  bptt train FILE           learns from a file of sequences, and saves a model
  bptt predict MODEL FILE   answers every sequence of a file
  bptt doctor               says which backends work here, and why
  bptt verify               shows that all backends here compute the same bits

  bptt COMMAND --help       says more, with examples
  bptt --version

Exit codes: 0 done; 1 an error in the data, the model or the machine; 2 a
mistake in the command line; 130 interrupted (bptt train has saved what was
learnt).
`

/** Of the command that runs. */
let outlivesReader = false

async function main([name, ...rest]: string[]): Promise<number> {
  if (name === undefined || name === 'help') {
    process.stdout.write(rest[0] ? command(rest[0]).help() : HELP)
    return name === undefined ? 2 : 0
  }
  if (name.startsWith('-')) {
    const asked = parse([name], FLAGS, []).values.has('version') ? `${VERSION}\n` : HELP
    process.stdout.write(asked)
    return 0
  }
  const chosen = command(name)
  const args = parse(rest, chosen.flags, chosen.positionals)
  if (args.values.has('help')) {
    process.stdout.write(chosen.help())
    return 0
  }
  outlivesReader = chosen.outlivesReader === true
  try {
    return await chosen.run(args)
  } catch (error) {
    throw inFlags(error, chosen.flags)
  }
}

function command(name: string): Command {
  if (Object.hasOwn(COMMANDS, name)) return COMMANDS[name]!()
  const names = Object.keys(COMMANDS)
  const meant = nearest(name, names)
  const hint = meant ? `Did you mean bptt ${meant}?` : `There are ${names.join(', ')}.`
  throw new UsageError('ERR_INVALID_ARG', 'there is no such command', { received: show(name), hint })
}

function tell(error: unknown): void {
  process.stderr.write(`${told(error)}\n`)
}

/** For people, or for machines where they asked for JSON; what is not a BpttError is a defect, and shows its stack. */
function told(error: unknown): string {
  if (!(error instanceof BpttError)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const { code, message, at, expected, received, hint, file, line } = error
  if (process.argv.includes('--json')) return JSON.stringify({ error: { code, message, at, expected, received, hint, file, line } })
  return `${paint(process.stderr).red('bptt:')} ${message} [${code}]`
}

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE' && outlivesReader) return
  if (error.code === 'EPIPE') process.exit(0) // whoever reads has had enough: bptt predict … | head
  tell(new BpttError('ERR_IO', 'cannot be written', { file: 'standard output', received: error.message, cause: error }))
  process.exit(1)
})

process.stderr.on('error', () => undefined) // the exit code still tells

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code
  },
  (error: unknown) => {
    tell(error)
    process.exitCode = error instanceof UsageError ? 2 : 1
  },
)
