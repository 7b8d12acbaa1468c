/* `bptt train FILE`: a network for a file of sequences, trained, with its progress, and saved; Ctrl-C ends the training and saves too. */
import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { basename, dirname, extname, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { BACKENDS, INITS, NONLINEARITIES, READOUTS } from '../check/config.js'
import { BpttError, show } from '../errors.js'
import { type AnyRNN, RNN } from '../rnn.js'
import type { Progress, RunResult } from '../types.js'
import { type Arguments, type Flags, flagLines, numeric, placed, UsageError, word } from './arguments.js'
import { FORMATS, inFile, readData, reason } from './data-file.js'
import { backend, duration, ProgressLine, paint, plural, scores, size, whole } from './screen.js'
import { dataOf, HEADS, taskOf } from './task.js'

const list = (text: string, flag: string) => (text.includes(',') ? text.split(',').map((n) => numeric(n, flag)) : numeric(text, flag))

export const flags = {
  out: {
    takes: 'FILE',
    short: 'o',
    help: 'where to save the model (default: the name of the\ndata file, as .safetensors, in this folder)',
  },
  state: { takes: 'N[,N…]', place: 'config.state', read: list, help: 'units of the state; a list for stacked layers\n(default 64)' },
  epochs: { takes: 'N', place: 'options.epochs', read: numeric, help: 'times through the data (default 10)' },
  lr: { takes: 'X', place: 'options.optimizer.adam.lr', read: numeric, help: 'learning rate of Adam (default 0.001)' },
  'batch-size': { takes: 'N', place: 'options.batchSize', read: numeric, help: 'sequences an update (default 32)' },
  validation: {
    takes: 'X',
    place: 'options.validation',
    read: numeric,
    help: 'share of the sequences kept to measure with\n(default none)',
  },
  patience: {
    takes: 'N',
    place: 'options.earlyStopping.patience',
    read: numeric,
    help: 'stop after N epochs without progress on the\nvalidation sequences, and keep the best of all\n(needs --validation)',
  },
  'clip-norm': { takes: 'X', place: 'options.clipNorm', read: numeric, help: 'bound of the gradient norm (default 5)' },
  window: { takes: 'N', place: 'options.bptt.window', read: numeric, help: 'truncated backpropagation: an update every N\nsteps' },
  'max-length': { takes: 'N', place: 'options.maxLength', read: numeric, help: 'cut longer sequences to their last N steps' },
  seed: { takes: 'N', place: 'config.seed', read: numeric, help: 'of initial weights, order and validation split\n(default 0)' },
  nonlinearity: { takes: 'NAME', place: 'config.nonlinearity', help: `${NONLINEARITIES.join(', ')} (default tanh)` },
  init: { takes: 'NAME', place: 'config.init', help: `${INITS.join(', ')} (default orthogonal)` },
  head: { takes: 'NAME', help: 'softmax, sigmoid or linear (default: by the kind of y)' },
  readout: { takes: 'NAME', help: 'last: an answer a sequence; all: one a step\n(default: all where y is a list, else last)' },
  tokens: { takes: 'N', place: 'config.input.tokens', read: numeric, help: 'the numbers of x are tokens from 0 to N - 1' },
  format: { takes: 'NAME', help: 'jsonl or text (default: seen from the first line)' },
  backend: { takes: 'NAME', place: 'config.backend', help: `${BACKENDS.join(', ')} (default auto)` },
  threads: { takes: 'N', place: 'config.threads', read: numeric, help: 'threads at most' },
  numerics: { takes: 'NAME', place: 'config.numerics', help: 'fast, or portable: the same bits on every backend' },
  json: { help: 'one JSON object a line: every epoch, then the model' },
  help: { short: 'h', help: 'this text' },
} satisfies Flags
export const positionals = ['FILE']
/** The model is what it is for: bptt train … | head. */
export const outlivesReader = true

export const help = () => `Trains a network on a file of sequences, and saves it.

  bptt train FILE [options]

FILE has one sequence a line (- reads standard input): either JSON,
{"x": …, "y": …}, or a label, a tab and a text. What is to be learnt follows
from the first y: a text is a label, a number is a number to predict, true or
false is yes or no, and a list has one answer for every step.

Options
${flagLines(flags)}

Examples
  bptt train names.tsv --epochs 20 --lr 0.003 --validation 0.2
  bptt train sensors.jsonl --state 128,64 --out sensors.safetensors
  cat log.jsonl | bptt train - --out log.safetensors --json

Ctrl-C ends the training after the update in flight, and saves what was learnt
(exit code 130).
`

export async function run(args: Arguments): Promise<number> {
  const path = args.positionals[0]!
  const json = args.values.has('json')
  const say = (line: string) => {
    if (!json) process.stdout.write(`${line}\n`)
  }
  const tell = (value: unknown) => {
    if (json) process.stdout.write(`${JSON.stringify(value)}\n`)
  }
  const { bold, dim } = paint()
  const out = outFile(args, path)
  const { config, options } = placed(flags, args)
  if (args.values.has('patience') && !args.values.has('validation'))
    throw new UsageError('ERR_INVALID_ARG', 'needs --validation, whose loss it watches', { at: '--patience' })
  const tokens = args.values.has('tokens') ? numeric(args.values.get('tokens') as string, '--tokens') : undefined
  const request = { head: word(args, 'head', HEADS), readout: word(args, 'readout', READOUTS), tokens }

  const file = readData(path, word(args, 'format', FORMATS), 'x and y')
  const model = new RNN({ state: 64, ...config, ...taskOf(file, request) })
  const line = new ProgressLine()
  const onProgress = json || !line.live ? undefined : (p: Progress) => line.show(p) // where lines stay, one for an epoch is enough
  const started = performance.now()
  const training = model.train(dataOf(file, model), { ...options, seed: model.config.seed, onProgress })
  const interrupt = onInterrupt(() => training.stop())
  try {
    await Promise.race([training, setImmediate()]) // a wrong option rejects at once, and is all that is said
    say(`${bold(plural(file.rows.length, 'sequence'))} of ${file.file}`)
    say(description(model))
    say(dim(`${plural(model.parameterCount, 'parameter')} on ${backend(model.backend)}`))
    for await (const epoch of training) {
      tell(epoch)
      if (!json) line.show(epoch)
    }
  } catch (error) {
    throw inFile(error, file)
  } finally {
    line.end()
    interrupt.forget()
  }
  const result = await training
  for (const words of summary(result, args.values.has('patience'), (performance.now() - started) / 1000)) say(words)

  await model.save(out)
  const bytes = statSync(out).size
  const { stopped, best } = result
  tell({ model: out, bytes, parameters: model.parameterCount, stopped, best, backend: model.backend })
  say(`${interrupt.happened ? 'Interrupted; what was learnt is saved:' : 'Saved'} ${bold(out)} (${size(bytes)})`)
  say(dim(`Try it: npx bptt predict ${out} ${path === '-' ? 'FILE' : path}`))
  return interrupt.happened ? 130 : 0
}

/** The file to save to; that it cannot be written shows before the training, not after. */
function outFile({ values }: Arguments, path: string): string {
  const given = values.get('out') as string | undefined
  if (given === undefined && path === '-')
    throw new UsageError('ERR_INVALID_ARG', 'is needed with standard input', { at: '--out', expected: 'FILE' })
  const out = given ?? `${basename(path, extname(path))}.safetensors`
  if (resolve(out) === resolve(path))
    throw new UsageError('ERR_INVALID_ARG', 'is the data file, which the model would replace', { at: '--out', received: show(out) })
  let old: Stats | undefined
  try {
    accessSync(`${dirname(out)}/`, constants.W_OK)
    old = statSync(out, { throwIfNoEntry: false })
  } catch (error) {
    throw new BpttError('ERR_IO', `cannot be written: ${reason(error, dirname(out))}`, { file: out, cause: error })
  }
  if (old?.isDirectory() || /[/\\]$/.test(out))
    throw new BpttError('ERR_IO', 'is a folder', { file: out, hint: 'Give the name of a file.' })
  if (old?.isFile() === false) throw new BpttError('ERR_IO', 'is not a regular file', { file: out })
  return out
}

/** What came of a run, in lines. The first epoch may not have ended: then there is nothing to judge. */
function summary({ truncated, empty, best, history }: RunResult, keepsBest: boolean, seconds: number): string[] {
  const lines: string[] = []
  if (truncated) lines.push(`${plural(truncated, 'sequence')} cut to the last steps by --max-length.`)
  if (empty) lines.push(`${plural(empty, 'sequence')} without a step.`)
  const last = history.at(-1)
  if (!last) return lines
  lines.push(`${plural(last.epoch, 'epoch')} in ${duration(seconds)}, ${whole(last.sequencesPerSecond)} sequences/s`)
  const { validation, ...training } = keepsBest ? best : last
  lines.push(validation ? `Validation: ${scores(validation)}` : `Training: ${scores(training)}`)
  if (!best.validation || best.epoch === last.epoch) return lines
  const { epoch, validation: its } = best
  lines.push(
    keepsBest
      ? `Epoch ${epoch}, the best one, is kept.`
      : `Epoch ${epoch} was better: validation loss ${its.loss.toFixed(4)}. --patience keeps the best.`,
  )
  return lines
}

/** `57 characters → state of 64 → one of 4 labels for every sequence`. */
function description({ config: { input, state, output, readout }, labels }: AnyRNN): string {
  let from = ''
  if (typeof input === 'number') from = `${plural(input, 'number')} a step`
  else from = 'tokens' in input ? plural(input.tokens, 'token') : plural(input.labels.length, 'character')
  const headed = typeof output === 'object' ? output : {}
  let to = `one of ${plural(labels.length, 'label')}`
  if ('linear' in headed) to = plural(labels.length, 'number')
  if ('sigmoid' in headed) to = labels.length === 1 ? 'yes or no' : `${labels.length} times yes or no`
  return `${from} → state of ${[state].flat().join(', ')} → ${to} for every ${readout === 'all' ? 'step' : 'sequence'}`
}

/** The first Ctrl-C ends the training as it should end; a second one ends the program. */
function onInterrupt(stop: () => Promise<unknown>): { happened: boolean; forget(): void } {
  const state = { happened: false, forget: () => void process.off('SIGINT', listener) }
  const listener = () => {
    state.happened = true
    stop().catch(() => undefined) // told where the run is awaited
  }
  process.once('SIGINT', listener)
  return state
}
