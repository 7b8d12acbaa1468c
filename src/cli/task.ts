/*
 * From the rows of a data file to a network's input and output, and to the x and y of the API. What kind of answer a file asks for is read
 * from its first y; every other row must agree, and the first that does not is an error with its line.
 */
import { BpttError, show } from '../errors.js'
import type { AnyRNN } from '../rnn.js'
import { text } from '../sequences/text.js'
import type { Config, Data, Input, Output, Readout } from '../types.js'
import { bad, type DataFile, illFormed, type Row, type Sequence } from './data-file.js'
import { plural } from './screen.js'

export const HEADS = ['softmax', 'sigmoid', 'linear'] as const
export type HeadName = (typeof HEADS)[number]

export interface Request {
  /** Default: softmax for labels, sigmoid for true and false, linear for numbers. */
  readonly head?: HeadName
  /** Default: 'all' where y is a list, else 'last'. */
  readonly readout?: Readout
  /** The numbers of x are tokens below this. */
  readonly tokens?: number
}
export type Task = Pick<Config, 'input' | 'output' | 'missing'> & { readonly readout: Readout }

/** @throws ERR_DATA at the first row that is of another kind than the first one */
export function taskOf(data: DataFile, { head, readout = Array.isArray(data.rows[0]!.y) ? 'all' : 'last', tokens }: Request): Task {
  return {
    input: inputOf(data, tokens),
    output: outputOf(data, readout, head),
    readout,
    ...(data.rows.some(hasGaps) ? { missing: 'mask' as const } : {}),
  }
}

/** The rows as the API takes them. */
export function dataOf(
  { rows }: DataFile,
  { labels, config: { readout } }: Pick<AnyRNN, 'labels' | 'config'>,
): Data<Input, Output, Readout> {
  const labelled = typeof labels[0] === 'string'
  const one = (y: unknown) => (labelled && typeof y === 'number' ? String(y) : Array.isArray(y) ? y.map(Number) : y)
  const y = rows.map((row) => (readout === 'all' && Array.isArray(row.y) ? row.y.map(one) : one(row.y)))
  return { x: sequences(rows), y } as unknown as Data<Input, Output, Readout>
}

/** @throws ERR_DATA at the first row that this network cannot read */
export function checkInput({ rows, file }: DataFile, { config: { input, missing } }: Pick<AnyRNN, 'config'>): void {
  const expected = typeof input === 'number' ? numbers(input) : 'tokens' in input ? numbers(1) : 'a text'
  for (const row of rows) {
    const received = kindOfInput(row)
    if (received && received !== expected) throw bad(file, row.line, 'does not suit the model', { at: 'x', expected, received })
    if (missing === 'error' && hasGaps(row))
      throw bad(file, row.line, 'has a missing reading', { at: 'x', hint: 'The model was trained on a file without any.' })
  }
}

const numbers = (width: number) => (width === 1 ? 'one number a step' : `${width} numbers a step`)

/** What the steps of a row are, in words: those of one file are of one kind. Empty, like the row, where it has none. */
function kindOfInput({ x }: Row): string {
  if (x.length === 0) return ''
  if (typeof x === 'string') return 'a text'
  return numbers(Array.isArray(x[0]) ? x[0].length : 1)
}

export const sequences = (rows: readonly Row[]): Sequence[] => rows.map(({ x }) => x)

function inputOf({ rows, file }: DataFile, tokens: number | undefined): Input {
  const first = rows.find(kindOfInput)
  if (!first) throw new BpttError('ERR_EMPTY', 'has only empty sequences', { file })
  const kind = kindOfInput(first)
  for (const row of rows) {
    const received = kindOfInput(row)
    if (received && received !== kind)
      throw bad(file, row.line, 'is of another kind', { at: 'x', expected: `${kind}, as in line ${first.line}`, received })
  }
  if (tokens !== undefined && kind !== numbers(1))
    throw bad(file, first.line, 'has no tokens', { at: 'x', expected: numbers(1), received: kind, hint: 'Leave --tokens out.' })
  if (typeof first.x === 'string') return text.chars(rows.map(({ x }) => x).join(''))
  if (tokens !== undefined) return { tokens }
  return Array.isArray(first.x[0]) ? first.x[0].length : 1
}

const hasGaps = ({ x }: Row) =>
  typeof x !== 'string' && x.some((step) => (Array.isArray(step) ? step.some(Number.isNaN) : Number.isNaN(step)))

/** One answer, or the answer of one step. */
interface Answer {
  readonly value: unknown
  readonly at: string
  readonly line: number
}

function* answers({ rows, file }: DataFile, readout: Readout): Generator<Answer> {
  for (const { x, y, line } of rows) {
    if (readout === 'last') {
      yield { value: y, at: 'y', line }
      continue
    }
    const text = typeof x === 'string' && typeof y === 'string'
    if (!text && !Array.isArray(y))
      throw bad(file, line, 'is not a list', { at: 'y', expected: 'an answer for every step', received: show(y) })
    const steps = typeof x === 'string' ? [...x].length : x.length
    const list: unknown[] = [...(y as string | unknown[])]
    if (list.length !== steps)
      throw bad(file, line, `has ${plural(list.length, 'answer')}; x has ${plural(steps, 'step')}`, {
        at: 'y',
        hint: 'A list answers every step; --readout last makes it the one answer to the sequence.',
      })
    for (let i = 0; i < steps; i++) if (list[i] !== null) yield { value: list[i], at: text ? 'y' : `y[${i}]`, line } // null: does not count
  }
}

/** What an answer is, in words: answers of one file are of one kind. */
function kindOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value === '' || illFormed(value) ? undefined : 'a label'
  if (typeof value === 'boolean') return 'true or false'
  if (typeof value === 'number' && Number.isFinite(value)) return 'a number'
  if (!Array.isArray(value) || value.length === 0) return undefined
  if (value.every((v) => typeof v === 'number' && Number.isFinite(v))) return `${value.length} numbers`
  if (value.every((v) => typeof v === 'boolean')) return `${value.length} times true or false`
  return undefined
}

interface Survey {
  readonly first: Answer
  /** Of the first answer, and so of all. */
  readonly kind: string
  readonly distinct: ReadonlySet<unknown>
}

function survey(data: DataFile, readout: Readout): Survey {
  const { file } = data
  const distinct = new Set<unknown>()
  let first: (Answer & { kind: string }) | undefined
  for (const answer of answers(data, readout)) {
    const { value, at, line } = answer
    const kind = kindOf(value)
    const received = show(value)
    if (!kind)
      throw bad(file, line, 'cannot be learnt', { at, expected: 'a label, a number, true or false, or a list of numbers', received })
    first ??= { ...answer, kind }
    if (kind !== first.kind)
      throw bad(file, line, 'is of another kind', { at, expected: `${first.kind}, as in line ${first.line}`, received })
    distinct.add(value)
  }
  if (!first) throw new BpttError('ERR_EMPTY', 'has no answer that counts', { file })
  return { first, kind: first.kind, distinct }
}

/** Which kinds of answers a head can learn; the first head is the one for a kind where none is asked for. */
const LEARNS: Readonly<Record<HeadName, (kind: string) => boolean>> = {
  linear: (kind) => kind.includes('number'),
  softmax: (kind) => kind === 'a label' || kind === 'a number',
  sigmoid: (kind) => kind !== 'a label',
}

function outputOf(data: DataFile, readout: Readout, asked: HeadName | undefined): Output {
  const { first, kind, distinct } = survey(data, readout)
  const received = show(first.value)
  const head = asked ?? (Object.keys(LEARNS) as HeadName[]).find((name) => LEARNS[name](kind))!
  const width = Array.isArray(first.value) ? first.value.length : 1
  if (!LEARNS[head](kind))
    throw bad(data.file, first.line, `does not suit --head ${head}`, {
      at: first.at,
      received,
      hint: 'softmax: labels; sigmoid: true and false; linear: numbers.',
    })
  if (head === 'linear') return { linear: width }
  if (head === 'sigmoid') return { sigmoid: width }
  if (distinct.size < 2)
    throw bad(data.file, first.line, 'is the only label of the file', { at: first.at, received, hint: 'At least two can be told apart.' })
  if (readout === 'all' && typeof data.rows[0]!.y === 'string') return text.chars([...distinct].join(''))
  return labelsOf([...distinct])
}

/** Numbers in their order, texts in that of their code units. */
const labelsOf = (distinct: unknown[]) => {
  const numbers = distinct.filter((value) => typeof value === 'number')
  return numbers.length ? numbers.sort((a, b) => a - b).map(String) : (distinct as string[]).sort()
}
