/*
 * Reads a file of sequences: JSON lines `{"x": …, "y": …}`, or lines `label<TAB>text`. The first line that cannot be read is an error with
 * its file and number. What a network for these rows looks like is task.ts; what the formats are for users is docs/data-files.md.
 */
import { readFileSync } from 'node:fs'
import { BpttError, show } from '../errors.js'
import { reworded } from './arguments.js'

export const FORMATS = ['jsonl', 'text'] as const
export type Format = (typeof FORMATS)[number]

/** One sequence: text, numbers (one a step), or a list of numbers a step; NaN where a reading is missing. */
export type Sequence = string | number[] | number[][]

export interface Row {
  readonly x: Sequence
  /** undefined: the line has none */
  readonly y: unknown
  /** From 1. */
  readonly line: number
}

export interface DataFile {
  /** For messages. */
  readonly file: string
  readonly rows: readonly Row[]
}

/** @param path a file, or - for standard input
 *  @param format found out from the first line where it is not given */
export function readData(path: string, format: Format | undefined, need: 'x and y' | 'x'): DataFile {
  const file = path === '-' ? 'standard input' : path
  const rows: Row[] = []
  for (const { text, line } of linesOf(bytesOf(path, file), file)) {
    if (text.trim() === '') continue
    format ??= text.trimStart().startsWith('{') ? 'jsonl' : 'text'
    const row = format === 'jsonl' ? jsonRow(text, line, file) : textRow(text, line, file, need)
    if (need === 'x and y' && row.y === undefined)
      throw bad(file, line, 'has no answer to learn from', { at: 'y', hint: 'Every line is {"x": …, "y": …}.' })
    rows.push(row)
  }
  if (rows.length === 0) throw new BpttError('ERR_EMPTY', 'has no sequences', { file })
  return { file, rows }
}

function bytesOf(path: string, file: string): Buffer {
  try {
    return readFileSync(path === '-' ? 0 : path)
  } catch (error) {
    throw new BpttError('ERR_IO', `cannot be read: ${reason(error)}`, { file, cause: error })
  }
}

/** Why a file cannot be used, in words. @param folder that it would be in, where that is what may be missing */
export function reason(error: unknown, folder?: string): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return folder === undefined ? 'no such file' : `no folder ${folder}`
  if (code === 'EISDIR') return 'a folder'
  return code === 'EACCES' ? 'no permission' : message
}

function* linesOf(bytes: Buffer, file: string): Generator<{ text: string; line: number }> {
  const decoder = new TextDecoder('utf-8', { fatal: true }) // drops a byte order mark
  for (let from = 0, line = 1; from < bytes.length; line++) {
    const end = bytes.indexOf(10, from)
    const to = end < 0 ? bytes.length : end
    try {
      yield { text: decoder.decode(bytes.subarray(from, to > from && bytes[to - 1] === 13 ? to - 1 : to)), line }
    } catch (error) {
      if (error instanceof BpttError) throw error
      throw bad(file, line, 'is not UTF-8 text')
    }
    from = to + 1
  }
}

function textRow(text: string, line: number, file: string, need: 'x and y' | 'x'): Row {
  const tab = text.indexOf('\t')
  if (tab < 0 && need === 'x') return { x: text, y: undefined, line }
  if (tab <= 0) {
    const hint = 'Every line is a label, a tab, and the text; for other data use JSON lines: {"x": …, "y": …}.'
    throw bad(file, line, tab < 0 ? 'has no tab' : 'has no label before the tab', { received: show(text), hint })
  }
  return { x: text.slice(tab + 1), y: text.slice(0, tab), line }
}

function jsonRow(text: string, line: number, file: string): Row {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw bad(file, line, 'is not JSON', { received: show(text), hint: 'Every line is one object: {"x": …, "y": …}.' })
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw bad(file, line, 'is not an object', { expected: '{"x": …, "y": …}', received: show(value) })
  const { x, y } = value as { x?: unknown; y?: unknown }
  return { x: sequence(x, line, file), y: y ?? undefined, line }
}

function sequence(x: unknown, line: number, file: string): Sequence {
  const wrong = (at: string, expected: string, value: unknown) =>
    bad(file, line, value === undefined ? 'is missing' : 'cannot be used', {
      at,
      expected,
      received: value === undefined ? undefined : show(value),
    })
  if (typeof x === 'string') {
    if (illFormed(x)) throw bad(file, line, 'has half a surrogate pair', { at: 'x', received: show(x) })
    return x
  }
  if (!Array.isArray(x)) throw wrong('x', 'a text, a list of numbers, or a list of lists of numbers', x)
  const number = (value: unknown, at: string) => {
    if (value === null) return NaN
    if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(at, 'a number, or null for a reading that is missing', value)
    return value
  }
  if (!Array.isArray(x[0])) return x.map((value, i) => number(value, `x[${i}]`))
  const width = x[0].length
  return x.map((step: unknown, i) => {
    if (!Array.isArray(step)) throw wrong(`x[${i}]`, `a list of ${width} numbers, as at the first step`, step)
    if (step.length !== width || width === 0)
      throw wrong(`x[${i}]`, width ? `${width} numbers, as at the first step` : 'at least one number', step)
    return step.map((value, j) => number(value, `x[${i}][${j}]`))
  })
}

/** JSON can say a half of a surrogate pair; UTF-8, and so a model file, cannot. */
export const illFormed = (text: string) => /\p{Surrogate}/u.test(text)

export function bad(
  file: string,
  line: number,
  summary: string,
  details: { at?: string; expected?: string; received?: string; hint?: string } = {},
): BpttError {
  return new BpttError('ERR_DATA', summary, { ...details, file, line })
}

/** An error of the API about the i-th sequence or target, said about its line. */
export function inFile(error: unknown, { file, rows }: DataFile): unknown {
  if (!(error instanceof BpttError)) return error
  const [, name, index, rest] = /^(?:data\.)?(xs?|y)\[(\d+)\](.*)$/.exec(error.at ?? '') ?? []
  const row = rows[Number(index)]
  return row ? reworded(BpttError, error, { at: `${name![0]}${rest}`, file, line: row.line }) : error
}
