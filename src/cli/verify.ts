/*
 * `bptt verify`: whether this machine keeps the promise of docs/numerics.md. The same small network is trained on every backend, instruction
 * set and arithmetic there is; inside an arithmetic class all weights must be the same to the last bit.
 */
import { createHash } from 'node:crypto'
import { Random } from '../network/random.js'
import { RNN } from '../rnn.js'
import type { Config } from '../types.js'
import { type Arguments, type Flags, flagLines } from './arguments.js'
import { paint } from './screen.js'

export const flags = {
  json: { help: 'one JSON object' },
  help: { short: 'h', help: 'this text' },
} satisfies Flags
export const positionals: string[] = []

export const help = () => `Shows whether all backends of this machine compute the same bits.

  bptt verify [options]

Trains a small network for ${UPDATES} updates on every backend and instruction set, in
both arithmetics, and compares the hash of all weights: those of one class (fma,
mul-add) must be equal, here and on every other machine. Exit code 0: they are;
1: they are not.

Options
${flagLines(flags)}
`

/** Columns of a trial's name. */
const NAME = 30
const EPOCHS = 10
const BATCH = 8
const SEQUENCES = 35
const UPDATES = EPOCHS * Math.ceil(SEQUENCES / BATCH)
const INPUT = 5
const LABELS = ['a', 'b', 'c']

interface Trial {
  readonly backend: 'native' | 'wasm' | 'reference'
  /** Forced by BPTT_ISA; the other backends have no choice. */
  readonly forced?: string
  readonly numerics: 'fast' | 'portable'
}
interface Outcome extends Trial {
  readonly isa?: string
  readonly class?: string
  readonly hash?: string
  readonly refused?: string
}

const ISAS: Readonly<Record<string, readonly string[]>> = { x64: ['avx512', 'avx2', 'sse2'], arm64: ['neon'] }
const numerics = ['fast', 'portable'] as const
const trials: readonly Trial[] = [
  ...(ISAS[process.arch] ?? []).flatMap((forced) => numerics.map((n) => ({ backend: 'native' as const, forced, numerics: n }))),
  ...(['wasm', 'reference'] as const).flatMap((backend) => numerics.map((n) => ({ backend, numerics: n }))),
]

export async function run({ values }: Arguments): Promise<number> {
  const outcomes: Outcome[] = []
  for (const trial of trials) outcomes.push(await outcome(trial))
  const classes = [...new Set(outcomes.flatMap((o) => o.class ?? []))].sort()
  const hashesOf = (name: string) => [...new Set(outcomes.filter((o) => o.class === name).map((o) => o.hash))]
  const equal = classes.length > 0 && classes.every((name) => hashesOf(name).length === 1)
  if (values.has('json')) process.stdout.write(`${JSON.stringify({ equal, updates: UPDATES, outcomes })}\n`)
  else process.stdout.write(report(outcomes, classes, hashesOf))
  return equal ? 0 : 1
}

function report(outcomes: readonly Outcome[], classes: readonly string[], hashesOf: (name: string) => unknown[]): string {
  const { bold, dim, green, red } = paint()
  const name = ({ backend, forced, isa, numerics }: Outcome) =>
    `${[backend, forced ?? (isa === backend ? '' : isa)].filter(Boolean).join(' ')}${numerics === 'portable' ? ', portable' : ''}`
  const lines = classes.flatMap((which) => {
    const all = outcomes.filter((o) => o.class === which)
    const one = hashesOf(which).length === 1
    const verdict = all.length === 1 ? dim('nothing to compare with') : one ? green('all equal') : red('NOT EQUAL')
    return [bold(`${which}: `) + verdict, ...all.map((o) => `  ${name(o).padEnd(NAME)} ${one ? dim(o.hash!) : o.hash!}`), '']
  })
  const refused = outcomes.filter((o) => o.refused)
  return `${[
    `Weights after ${UPDATES} updates, SHA-256:`,
    '',
    ...lines,
    ...(refused.length ? [bold('not on this machine'), ...refused.map((o) => dim(`  ${name(o).padEnd(NAME)} ${o.refused}`)), ''] : []),
  ].join('\n')}`
}

async function outcome(trial: Trial): Promise<Outcome> {
  const { backend, forced, numerics } = trial
  const before = process.env.BPTT_ISA
  if (forced) process.env.BPTT_ISA = forced
  else delete process.env.BPTT_ISA
  try {
    const model = new RNN({ ...network, backend, numerics })
    const { isa, arithmetic } = model.backend
    await model.train(data(), { epochs: EPOCHS, batchSize: BATCH, optimizer: { adam: { lr: 0.01, weightDecay: 0.01 } }, clipNorm: 1 })
    const outcome = { ...trial, isa, class: arithmetic, hash: hashOf(model) }
    model.dispose()
    return outcome
  } catch (error) {
    return { ...trial, refused: (error as Error).message.split('\n')[0] }
  } finally {
    if (before === undefined) delete process.env.BPTT_ISA
    else process.env.BPTT_ISA = before
  }
}

/** Sizes on no border of any vector width. */
const network = { input: INPUT, state: [21, 13], output: LABELS, bias: 'double', seed: 1 } as const satisfies Config

/** Sequences of 1 to 19 steps. */
function data() {
  const random = new Random(1, 'CHECK')
  const x = Array.from({ length: SEQUENCES }, () =>
    Array.from({ length: 1 + random.below(19) }, () => Float32Array.from({ length: INPUT }, () => random.normal())),
  )
  return { x, y: x.map(() => LABELS[random.below(LABELS.length)] as 'a') }
}

function hashOf({ layers, V, c }: { layers: RNN['layers']; V: RNN['V']; c?: RNN['c'] }): string {
  const hash = createHash('sha256')
  for (const { U, W, b, bh } of layers) for (const { data } of [U, W, b!, bh!]) hash.update(data)
  return hash.update(V.data).update(c!.data).digest('hex').slice(0, 32)
}
