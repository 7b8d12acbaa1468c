/*
 * The words of the command line: a table of flags for each command (commands own their tables), parsed by node:util and checked in our
 * words. Ranges are left to the API, whose errors name places of the API; `inFlags` turns those into flags.
 */
import { parseArgs } from 'node:util'
import { nearest } from '../check/names.js'
import { BpttError, type ErrorDetails, show } from '../errors.js'

export interface Flag {
  /** A word for the value in the help; without it the flag is a switch. */
  readonly takes?: string
  readonly help: string
  readonly short?: string
  /** The value's place in the API: `config.state`, `options.optimizer.adam.lr`. */
  readonly place?: string
  /** From text to the value that the API takes. */
  readonly read?: (text: string, flag: string) => unknown
}
export type Flags = Readonly<Record<string, Flag>>

export interface Arguments {
  readonly positionals: readonly string[]
  /** Flag → its text, or true for a switch. */
  readonly values: ReadonlyMap<string, string | true>
}

/** A mistake in the command line itself: exit code 2. */
export class UsageError extends BpttError {}

/** What people type who know other programs, in our flags. */
const FOREIGN: Readonly<Record<string, string>> = {
  hidden: 'state',
  'hidden-size': 'state',
  units: 'state',
  size: 'state',
  layers: 'state',
  'learning-rate': 'lr',
  eta: 'lr',
  batch: 'batch-size',
  batchsize: 'batch-size',
  iterations: 'epochs',
  output: 'out',
  model: 'out',
  'validation-split': 'validation',
  'early-stopping': 'patience',
  clip: 'clip-norm',
  task: 'head',
  activation: 'nonlinearity',
  device: 'backend',
  maxlen: 'max-length',
  bptt: 'window',
  verbose: 'json',
}

export function parse(args: readonly string[], flags: Flags, positionals: readonly string[]): Arguments {
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { takes, short }]) => [
      name,
      { type: takes ? ('string' as const) : ('boolean' as const), ...(short ? { short } : {}) },
    ]),
  )
  const { tokens } = parseArgs({ args: [...args], options, strict: false, allowPositionals: true, tokens: true })
  const values = new Map<string, string | true>()
  const given: string[] = []
  for (const token of tokens) {
    if (token.kind === 'positional') given.push(token.value)
    if (token.kind !== 'option') continue
    const flag = Object.hasOwn(flags, token.name) ? flags[token.name]! : undefined
    if (!flag) throw unknown(token.rawName, token.name, flags)
    if (!flag.takes && token.value !== undefined)
      throw new UsageError('ERR_INVALID_ARG', 'takes no value', { at: `--${token.name}`, received: show(token.value) })
    if (flag.takes && (!token.value || (!token.inlineValue && token.value.startsWith('--'))))
      throw new UsageError('ERR_INVALID_ARG', 'needs a value', { at: `--${token.name}`, expected: flag.takes })
    values.set(token.name, token.value ?? true)
  }
  if (!values.has('help')) {
    if (given.length < positionals.length)
      throw new UsageError('ERR_INVALID_ARG', 'is missing', {
        at: positionals[given.length]!,
        hint: 'See --help.',
      })
    if (given.length > positionals.length)
      throw new UsageError('ERR_INVALID_ARG', 'is one argument too many', {
        at: show(given[positionals.length]),
        hint: positionals.length > 0 ? 'Put a name with blanks in quotes.' : undefined,
      })
  }
  return { positionals: given, values }
}

function unknown(raw: string, name: string, flags: Flags): UsageError {
  const names = Object.keys(flags)
  const foreign = Object.hasOwn(FOREIGN, name) ? FOREIGN[name]! : ''
  const meant = names.includes(foreign) ? foreign : nearest(name, names)
  const takes = meant && flags[meant]!.takes
  return new UsageError('ERR_UNKNOWN_OPTION', 'there is no such option', {
    at: raw,
    hint: !meant ? 'See --help.' : meant === foreign ? `Here it is --${meant}${takes ? ` ${takes}` : ''}.` : `Did you mean --${meant}?`,
  })
}

/** Values of the flags that have a place in the API, put there: `options.bptt.window` → { options: { bptt: { window } } }. */
export function placed(flags: Flags, { values }: Arguments): { config: object; options: object } {
  const root = { config: {}, options: {} }
  for (const [name, { place, read }] of Object.entries(flags)) {
    const text = values.get(name)
    if (!place || typeof text !== 'string') continue
    const keys = place.split('.')
    const last = keys.pop()!
    const parent = keys.reduce<Record<string, unknown>>((object, key) => (object[key] ??= {}) as Record<string, unknown>, root)
    parent[last] = read ? read(text, `--${name}`) : text
  }
  return root
}

/** An error about a place of the API, said about the flag that the value came from. */
export function inFlags(error: unknown, flags: Flags): unknown {
  if (!(error instanceof BpttError) || !error.at) return error
  const { at } = error
  const found = Object.entries(flags).find(
    ([, { place }]) => place && (at === place || at.startsWith(`${place}.`) || at.startsWith(`${place}[`) || place.startsWith(`${at}.`)),
  )
  return found ? reworded(UsageError, error, { at: `--${found[0]}` }) : error
}

/** The same error with another place. */
export function reworded(
  kind: typeof BpttError,
  { code, summary, expected, received, hint }: BpttError,
  place: Pick<ErrorDetails, 'at' | 'file' | 'line'>,
): BpttError {
  return new kind(code, summary, { expected, received, hint, ...place })
}

export function numeric(text: string, flag: string): number {
  const value = text.trim() === '' ? NaN : Number(text)
  if (Number.isNaN(value)) throw new UsageError('ERR_INVALID_ARG', 'is not a number', { at: flag, received: show(text) })
  return value
}

/** One of a flag's words, or undefined where it is not given. */
export function word<T extends string>({ values }: Arguments, flag: string, words: readonly T[]): T | undefined {
  const text = values.get(flag)
  if (text === undefined || words.includes(text as T)) return text as T | undefined
  throw new UsageError('ERR_INVALID_ARG', 'cannot be used', {
    at: `--${flag}`,
    expected: `one of ${words.map(show).join(', ')}`,
    received: show(text),
  })
}

/** The flags as lines of a help text. */
export function flagLines(flags: Flags): string {
  const left = (name: string, { takes, short }: Flag) => `  ${short ? `-${short}, ` : ''}--${name}${takes ? ` ${takes}` : ''}`
  const width = Math.max(...Object.entries(flags).map(([name, flag]) => left(name, flag).length)) + 2
  return Object.entries(flags)
    .map(([name, flag]) => left(name, flag).padEnd(width) + flag.help.replaceAll('\n', `\n${' '.repeat(width)}`))
    .join('\n')
}
