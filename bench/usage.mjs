/* The command line that the programs of bench/ share: reading options, refusing wrong ones with the help, notes on stderr. */
import { parseArgs } from 'node:util'

export const text = { type: 'string' }
export const flag = { type: 'boolean', default: false }

export class UsageError extends Error {}

export const note = (line) => process.stderr.write(`${line}\n`)

/** parseArgs(), with readers of its values. @throws UsageError */
export function parsed(options, allowPositionals = false) {
  let values
  let positionals
  try {
    ;({ values, positionals } = parseArgs({ options, allowPositionals }))
  } catch (error) {
    throw new UsageError(error.message)
  }
  const number = (name, valid = () => true) => {
    const value = Number(values[name])
    if (!(value > 0 && value < 1e6 && valid(value))) throw new UsageError(`--${name}: '${values[name]}' will not do`)
    return value
  }
  /** What was given, of `all`; all of them where nothing was. */
  const among = (name, all, given = values[name]) => {
    const names = given === undefined ? all : given.split(',')
    for (const one of names) if (!all.includes(one)) throw new UsageError(`--${name}: there is no '${one}', but ${all.join(', ')}`)
    return names
  }
  return { values, positionals, number, among }
}

export const warnIfBusy = ({ load }) => {
  if (load[0] > 0.5) note(`Something else is running (load average ${load[0]}): figures will be too low.`)
}

/** Runs a program; exits with 2 where it was called wrongly, with 1 where it failed. */
export const runMain = (main, help) =>
  main().catch((error) => {
    note(error instanceof UsageError ? `${error.message}\n\n${help}` : error.stack)
    process.exitCode = error instanceof UsageError ? 2 : 1
  })
