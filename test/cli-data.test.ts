/* Data files become rows, rows become a network and data, the first line that does not fit is named; and what the terminal shows. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Progress } from 'bptt'
import { afterAll, describe, expect, it } from 'vitest'
import { readData } from '#lib/cli/data-file.js'
import { backend, bar, duration, number, ProgressLine, paint } from '#lib/cli/screen.js'
import { dataOf, type Request, taskOf } from '#lib/cli/task.js'

const folder = mkdtempSync(join(tmpdir(), 'bptt-data-'))
afterAll(() => rmSync(folder, { recursive: true }))

function read(content: string | Uint8Array, need: 'x and y' | 'x' = 'x and y', format?: 'jsonl' | 'text') {
  const path = join(folder, 'data')
  writeFileSync(path, content)
  return readData(path, format, need)
}
const lines = (...rows: unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n')
const task = (content: string, request: Request = {}) => taskOf(read(content), request)

describe('lines', () => {
  it('reads label, tab and text, with any line ends, a byte order mark and blank lines', () => {
    const { rows } = read('\ufeffa\tb c\r\n\r\nd\te\tf\n')
    expect(rows).toEqual([
      { x: 'b c', y: 'a', line: 1 },
      { x: 'e\tf', y: 'd', line: 3 },
    ])
  })

  it('reads JSON lines; null is a reading that is missing', () => {
    const { rows } = read('{"x":[1,null],"y":0}\n{"x":[[1,2]],"y":"a","id":7}\n{"x":"text","y":true}')
    expect(rows.map(({ x, y }) => [x, y])).toEqual([
      [[1, Number.NaN], 0],
      [[[1, 2]], 'a'],
      ['text', true],
    ])
  })

  it('takes the format that is asked for', () => {
    expect(read('{"\tx', 'x and y', 'text').rows).toEqual([{ x: 'x', y: '{"', line: 1 }])
    expect(read('only text', 'x').rows).toEqual([{ x: 'only text', y: undefined, line: 1 }])
  })

  it.each([
    ['a\tb\nno tab\n', 2, 'has no tab'],
    ['a\tb\n\tno label', 2, 'has no label before the tab'],
    ['{"x":[1],"y":1}\n{"x":[1]', 2, 'is not JSON'],
    ['{"x":[1],"y":1}\n[1]', 2, 'is not an object'],
    ['{"y":1}', 1, 'x: is missing: expected a text, a list of numbers'],
    ['{"x":[1]}', 1, 'y: has no answer to learn from'],
    ['{"x":5,"y":1}', 1, 'x: cannot be used'],
    ['{"x":[1e999],"y":1}', 1, 'x[0]: cannot be used: expected a number, or null for a reading that is missing, received Infinity'],
    ['{"x":[[1,2],[3]],"y":1}', 1, 'x[1]: cannot be used: expected 2 numbers, as at the first step, received an array of 1'],
    ['{"x":[[1,2],3],"y":1}', 1, 'x[1]: cannot be used: expected a list of 2 numbers, as at the first step, received 3'],
    ['{"x":"a","y":1}\n{"x":"b\\ud800","y":1}', 2, 'x: has half a surrogate pair: received "b\\ud800"'],
    ['{"x":[[]],"y":1}', 1, 'x[0]: cannot be used: expected at least one number'],
  ])('%j is refused', (content, line, message) => {
    const refused = expect.objectContaining({ code: 'ERR_DATA', line, message: expect.stringContaining(`:${line}: ${message}`) })
    expect(() => read(content)).toThrow(refused)
  })

  it('names the line that is no UTF-8, and a file without sequences', () => {
    const bytes = Uint8Array.from([97, 9, 98, 10, 97, 9, 0xff, 10])
    expect(() => read(bytes)).toThrow(expect.objectContaining({ code: 'ERR_DATA', line: 2 }))
    expect(() => read('\n \n')).toThrow(expect.objectContaining({ code: 'ERR_EMPTY' }))
  })
})

describe('the network that a file asks for', () => {
  it.each<[string, string, Request, object]>([
    ['labels', lines({ x: [1], y: 'b' }, { x: [], y: 'a' }), {}, { input: 1, output: ['a', 'b'], readout: 'last' }],
    ['numbers', lines({ x: [[1, 2]], y: 3 }, { x: [], y: 1 }), {}, { input: 2, output: { linear: 1 }, readout: 'last' }],
    ['yes and no', lines({ x: [1], y: true }), {}, { input: 1, output: { sigmoid: 1 }, readout: 'last' }],
    ['several numbers', lines({ x: [1], y: [1, 2] }), { readout: 'last' }, { input: 1, output: { linear: 2 }, readout: 'last' }],
    ['numbers as labels', lines({ x: [1], y: 10 }, { x: [1], y: 9 }), { head: 'softmax' }, { output: ['9', '10'] }],
    ['0 and 1 as yes and no', lines({ x: [1], y: [0, 1] }), { readout: 'last', head: 'sigmoid' }, { output: { sigmoid: 2 } }],
    ['a list', lines({ x: [1, 2], y: [null, 'b'] }, { x: [1], y: ['a'] }), {}, { output: ['a', 'b'], readout: 'all' }],
    ['tokens', lines({ x: [1, 2], y: 'a' }, { x: [0], y: 'b' }), { tokens: 3 }, { input: { tokens: 3 } }],
    ['gaps', lines({ x: [1, null], y: 1 }), {}, { missing: 'mask' }],
  ])('%s', (_, content, request, expected) => {
    expect(task(content, request)).toMatchObject(expected)
  })

  it('texts make vocabularies, of the answers too where they are texts of steps', () => {
    const { input, output } = task(lines({ x: 'ba', y: 'xy' }, { x: 'c', y: 'z' }), { readout: 'all' })
    expect(input).toMatchObject({ labels: ['a', 'b', 'c'] })
    expect(output).toMatchObject({ labels: ['x', 'y', 'z'] })
  })

  it.each<[string, number, string, Request?]>([
    [lines({ x: [1], y: 1 }, { x: 'a', y: 1 }), 2, 'x: is of another kind: expected one number a step, as in line 1, received a text'],
    [
      lines({ x: [[1]], y: 1 }, { x: [[1, 2]], y: 1 }),
      2,
      'x: is of another kind: expected one number a step, as in line 1, received 2 numbers a step',
    ],
    [lines({ x: [1], y: 1 }, { x: [1], y: 'a' }), 2, 'y: is of another kind: expected a number, as in line 1, received "a"'],
    [lines({ x: [1], y: [1] }, { x: [1], y: 2 }), 2, 'y: is not a list: expected an answer for every step, received 2'],
    [lines({ x: [1], y: [1] }, { x: [1], y: [2, 3] }), 2, 'y: has 2 answers; x has 1 step. A list answers every step; --readout last'],
    [lines({ x: '😀b', y: 'ab' }, { x: 'b', y: 'ab' }), 2, 'y: has 2 answers; x has 1 step', { readout: 'all' }],
    [lines({ x: [1], y: [1] }, { x: [1, 1], y: [1, 'a'] }), 2, 'y[1]: is of another kind'],
    [lines({ x: [1], y: { a: 1 } }), 1, 'y: cannot be learnt'],
    [lines({ x: [1], y: 'a' }, { x: [1], y: '' }), 2, 'y: cannot be learnt'],
    [lines({ x: [1], y: 'a' }, { x: [1], y: '\ud800' }), 2, 'y: cannot be learnt'],
    [lines({ x: [1], y: 'a' }), 1, 'y: is the only label of the file: received "a"'],
    [lines({ x: [1], y: 'a' }), 1, 'y: does not suit --head linear', { head: 'linear' }],
    [lines({ x: 'a', y: 1 }), 1, 'x: has no tokens', { tokens: 3 }],
  ])('%s is refused', (content, line, message, request) => {
    expect(() => task(content, request)).toThrow(
      expect.objectContaining({ code: 'ERR_DATA', line, message: expect.stringContaining(message) }),
    )
  })

  it('gives the API answers as it takes them', () => {
    const file = read(lines({ x: [1], y: 3 }, { x: [2], y: 4 }))
    const config = { readout: 'last' } as never
    expect(dataOf(file, { labels: ['3', '4'], config }).y).toEqual(['3', '4'])
    expect(dataOf(file, { labels: [0], config }).y).toEqual([3, 4])
    const flags = read(lines({ x: [1], y: [[true, false], null] }))
    expect(dataOf(flags, { labels: [0, 1], config: { readout: 'all' } as never }).y).toEqual([[[1, 0], null]])
  })
})

describe('the screen', () => {
  it('fills bars to the eighth of a column', () => {
    expect([bar(0, 4), bar(1 / 32, 4), bar(0.5, 4), bar(1, 4), bar(7, 4), bar(Number.NaN, 2)]).toEqual([
      '    ',
      '▏   ',
      '██  ',
      '████',
      '████',
      '  ',
    ])
  })

  it('words numbers and durations', () => {
    expect([number(0.12345), number(1234.5), number(0.00012345), number(0)]).toEqual(['0.123', '1230', '1.23e-4', '0'])
    expect([duration(0.04), duration(59.6), duration(61), duration(7300), duration(Infinity)]).toEqual([
      '0.0 s',
      '1 min 0 s',
      '1 min 1 s',
      '2 h 1 min',
      '?',
    ])
  })

  const progress = (step: number, more: Partial<Progress> = {}): Progress => ({
    epoch: Math.ceil(step / 10),
    epochs: 100,
    step,
    steps: 1000,
    loss: 1 / step,
    lr: 0.1,
    gradientNorm: 1,
    clippedShare: 0,
    sequencesPerSecond: 1234,
    etaSeconds: 65,
    metrics: { accuracy: { value: 0.5, baseline: 0.25, baselineIs: 'majority class' } },
    ...more,
  })
  function terminal(isTTY: boolean, columns = 80) {
    const written: string[] = []
    return { written, isTTY, columns, write: (text: string) => Boolean(written.push(text)) } as unknown as NodeJS.WriteStream & {
      written: string[]
    }
  }

  it('overwrites one line on a terminal, whatever its width, and never wraps it', () => {
    for (const columns of [16, 24, 40, 60, 80, 120]) {
      const out = terminal(true, columns)
      const line = new ProgressLine('  ', out)
      for (let step = 1; step <= 1000; step++) line.show(progress(step))
      line.end()
      expect(out.written).toHaveLength(1001)
      expect(out.written.at(-1)).toBe('\n')
      for (const text of out.written.slice(0, -1)) {
        // biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes have no width
        const seen = text.replace(/\r|\x1b\[[0-9]*[Km]/g, '')
        expect(seen.length, seen).toBeLessThanOrEqual(columns)
        if (columns >= 24) expect(seen).toContain('loss ')
      }
    }
  })

  it('shows what is left, and the validation data once there are some', () => {
    const out = terminal(true, 120)
    const line = new ProgressLine('', out)
    line.show(
      progress(10, {
        validation: { loss: 0.25, count: 4, metrics: { accuracy: { value: 0.75, baseline: 0.5, baselineIs: 'majority class' } } },
      }),
    )
    line.show(progress(11))
    for (const text of out.written) expect(text).toContain('loss 0.250  accuracy 75.0 %  1,234 seq/s  1 min 5 s left')
  })

  it('never goes back: the end of an epoch may be told late, and brings only its validation data', () => {
    const out = terminal(true, 120)
    const line = new ProgressLine('', out)
    line.show(progress(15))
    line.show(
      progress(10, {
        validation: { loss: 0.25, count: 4, metrics: { accuracy: { value: 0.75, baseline: 0.5, baselineIs: 'majority class' } } },
      }),
    )
    line.show(progress(16))
    expect(out.written).toHaveLength(2)
    expect(out.written[1]).toContain('loss 0.250  accuracy 75.0 %')
  })

  it('leaves at most about twenty plain lines elsewhere, the last one at the end', () => {
    const out = terminal(false)
    const line = new ProgressLine('', out)
    for (let step = 1; step <= 1000; step++) line.show(progress(step))
    line.end()
    expect(out.written).toHaveLength(20)
    expect(out.written.at(-1)).toBe('epoch 100/100  loss 0.0010  accuracy 50.0 % (majority class: 25.0 %)\n')
  })

  it('says which backend it is, and why not a better one', () => {
    const of = { name: 'reference', isa: 'javascript', arithmetic: 'mul-add', threads: 1 }
    const why = [
      { candidate: 'native', refused: 'BPTT_BACKEND asks for another' },
      { candidate: 'wasm', refused: 'BPTT_BACKEND asks for another' },
    ]
    expect(backend({ ...of, why })).toBe('reference javascript, mul-add, 1 thread (not native or wasm: BPTT_BACKEND asks for another)')
    expect(backend({ ...of, why: [] })).toBe('reference javascript, mul-add, 1 thread (the first choice)')
  })

  it('has colours on a terminal only, and none where NO_COLOR is set', () => {
    const before = process.env.NO_COLOR
    delete process.env.NO_COLOR
    expect(paint(terminal(true)).red('x')).toBe('\x1b[31mx\x1b[0m')
    expect(paint(terminal(false)).red('x')).toBe('x')
    process.env.NO_COLOR = '1'
    expect(paint(terminal(true)).red('x')).toBe('x')
    if (before === undefined) delete process.env.NO_COLOR
    else process.env.NO_COLOR = before
  })
})
