/* The addon believes nothing: plans, frames and buffers that are wrong in every way that can be thought of end in an error, never in a crash. */
import { createRequire } from 'node:module'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import type { Job } from '#lib/backends/engine.js'
import { FRAME_HEADER, FrameField, SEQUENCE_FIELDS } from '#lib/plan/frame.js'
import { address, NONE, Region } from '#lib/plan/memory.js'
import { Head, OPERATIONS, type OperationName, RESULT_FIELDS, Rows } from '#lib/plan/operations.js'
import { bytesOf, frame, type Line, layer, native, noJob, numbers, plan } from './native-plan.js'
import { thrownBy } from './support/mistakes.js'

const local = () => native!.createLocal({ numerics: 'fast', threads: 1 })
const [K, S, B, T] = [3, 20, 2, 4]
const R = B * T
const good = layer(K, S, B, R)
const job = (lines: Line[], frames = frame(B, T), bytes = good.bytes): Job => ({
  ...noJob,
  bytes,
  plan: plan(lines, [1]),
  frames,
  count: 1,
})

/** One valid instruction of each kind, over regions of 1000 units. */
const D = address(Region.DATA, 0)
const H = address(Region.HOME, 0)
const X = address(Region.SCRATCH, 0)
const C = address(Region.CARRY, 0)
const P = address(Region.PACK, 0)
const each: Record<Exclude<OperationName, 'SEGMENTS' | 'MOVE'>, number[]> = {
  ZERO: [X, 2],
  COPY: [X, D, 2],
  FETCH: [X, D, K],
  STATE_IN: [X, C, S],
  STATE_OUT: [C, X, X + 100, S],
  PACK: [P, H, S, K, 0],
  PROJECT: [X, X + 100, H, P, NONE, NONE, S, K, 0],
  GATHER: [X, D, H, P, NONE, NONE, S, K],
  RECUR: [X, X + 100, H, P, S, 0],
  LAST: [X, X + 100, X + 200, S],
  LOSS: [NONE, X, D, D + 100, X + 200, S, 0, 0],
  SUM_LOSS: [X, 0],
  ACTIVATE: [X, X, S, 0, 0],
  PROJECT_DX: [X, X + 100, H, P, S, K, 0, 0],
  RECUR_BACK: [X, X + 100, X + 200, NONE, 0, H, P, S, 0, NONE, NONE],
  PROJECT_DW: [H, X, X + 100, S, K, 0],
  RECUR_DW: [H, X, X + 100, X + 200, S, S],
  BIAS_DW: [H, X, S, 0],
  GATHER_DW: [H, X, D, P, S, K],
  NORM: [H, 2],
  STEP_NORMS: [X, X + 100, X + 200, X + 300, S],
  CLIP: [0],
  GUARD: [],
  UPDATE: [H, H + 100, H + 200, H + 300, H + 400, 2, 1, 3, 4],
}
const names = Object.keys(each) as (keyof typeof each)[]
/** Every sequence starts from, and keeps, the first carried state. */
function carrying() {
  const ints = frame(B, T)
  for (const field of ['init', 'slot'] as const) {
    const at = FRAME_HEADER + T + SEQUENCE_FIELDS.indexOf(field) * B
    ints.fill(0, at, at + B)
  }
  return ints
}
const room = bytesOf({ HOME: 1000, DATA: 1000, CARRY: 1000, SCRATCH: 1000, PACK: 1000 })

describe.skipIf(!native)('a plan that is wrong', () => {
  it('is not one of those that the tests below break', () => {
    for (const name of names) expect([name, local().run(job([[name, ...each[name]]], frame(B, T), room)).results[0]]).not.toEqual([name, 0])
  })

  it('is refused for every address that is no place, or none that is large enough', () => {
    let tried = 0
    for (const name of names)
      OPERATIONS[name].forEach((argument, i) => {
        if (!argument.startsWith('@') || each[name][i] === NONE) return
        for (const bad of [
          -2,
          -(2 ** 31),
          5 * 2 ** 28,
          2 ** 31 - 1,
          Math.floor(each[name][i]! / 2 ** 28) * 2 ** 28 + 1000,
          Math.floor(each[name][i]! / 2 ** 28) * 2 ** 28 + 2 ** 28 - 1,
        ]) {
          const args = [...each[name]]
          args[i] = bad
          expect([name, argument, bad, thrownBy(() => local().run(job([[name, ...args]], carrying(), room))).code]).toEqual([
            name,
            argument,
            bad,
            'ERR_INTERNAL',
          ])
          tried++
        }
      })
    expect(tried).toBeGreaterThan(300)
  })

  it('is refused for every size and enumeration that is none', () => {
    for (const name of names)
      OPERATIONS[name].forEach((argument, i) => {
        if (argument.startsWith('@')) return
        for (const bad of [-1, -(2 ** 31), 2 ** 28, 2 ** 31 - 1]) {
          const args = [...each[name]]
          args[i] = bad
          expect([name, argument, bad, thrownBy(() => local().run(job([[name, ...args]], carrying(), room))).code]).toEqual([
            name,
            argument,
            bad,
            'ERR_INTERNAL',
          ])
        }
      })
  })

  it('is refused where operands are too small by one row', () => {
    const { lines, bytes } = good
    expect(local().run(job(lines)).results[0]).toBe(1)
    expect(thrownBy(() => local().run(job(lines, frame(B, T + 1)))).message).toMatch(/end past region/)
    expect(thrownBy(() => local().run(job(lines, frame(B + 1, T)))).message).toMatch(/end past region/)
    for (const region of [Region.HOME, Region.DATA, Region.SCRATCH, Region.PACK]) {
      const less = bytes.map((size, r) => (r === region ? size - 64 : size))
      expect(thrownBy(() => local().run(job(lines, frame(B, T), less))).code).toBe('ERR_INTERNAL')
    }
  })

  it('may not write where tokens lie, nor find tokens where a plan writes', () => {
    expect(thrownBy(() => local().run(job([['ZERO', D, 1]], frame(B, T), room))).message).toMatch(/resident data/)
    expect(thrownBy(() => local().run(job([['GATHER', X, X + 100, H, P, NONE, NONE, S, K]], frame(B, T), room))).message).toMatch(
      /resident data/,
    )
  })

  it('is refused where its segments are not whole, or their operands may not move so', () => {
    const unit = 2 // units of a row of S
    const recur: Line = ['RECUR', X + 100, X, H, P, S, 0]
    const segments = (...lines: Line[]): Line[] => [['SEGMENTS', 3, 0, 0, lines.length], ...lines]
    const run = (lines: Line[], bytes = room) => local().run(job(lines, carrying(), bytes)).results[0]
    const states: Line = ['MOVE', 0, 1, unit, NONE]
    const before: Line = ['MOVE', 1, 2, unit, X + 100]
    const mark: Line = ['MOVE', 1, 0, B * unit, NONE]
    expect(run(segments(states, before, recur))).toBe(1)
    expect(run(segments(mark, recur))).toBe(1)
    // The first segment has 3 steps and the second one: 6 rows of room are enough for states that do not move, and not for those that do.
    const scratch = (units: number) => bytesOf({ HOME: 1000, CARRY: 1000, PACK: 1000, SCRATCH: units })
    expect(run(segments(mark, recur), scratch(100 + 3 * B * unit))).toBe(1)
    const wrong: [string, Line[], number[]?][] = [
      ['one row too few', segments(mark, recur), scratch(100 + 3 * B * unit - 1)],
      ['one row too few of the frame', segments(states, before, recur), scratch(100 + R * unit - 1)],
      ['a mark too few', segments(['MOVE', 1, 0, 1000 - B * unit + 1, NONE], recur)],
      ['rows of another width', segments(['MOVE', 0, 1, unit + 1, NONE], recur)],
      ['states by segment', segments(['MOVE', 0, 0, unit, NONE], recur)],
      ['marks by row', segments(['MOVE', 1, 1, unit, NONE], recur)],
      ['backwards', segments(['MOVE', 1, 0, -unit, NONE], recur)],
      ['in no way', segments(['MOVE', 1, 3, unit, NONE], recur)],
      ['to no place', segments(['MOVE', 1, 2, unit, NONE], recur)],
      ['twice', segments(mark, mark, recur)],
      ['what is no operand', segments(['MOVE', 4, 0, 0, NONE], recur)],
      ['what is no argument', segments(['MOVE', -1, 0, 0, NONE], recur)],
      ['what does not move', segments(['MOVE', 2, 0, 0, NONE], recur)],
      ['the step before, of who reads more', segments(['MOVE', 1, 2, unit, X + 100], ['LAST', X + 900, X, X + 100, S])],
      ['tokens', segments(['MOVE', 1, 0, 1, NONE], ['GATHER', X, D, H, P, NONE, NONE, S, K])],
      ['targets of whole sequences', segments(['LOSS', NONE, X, D, D + 100, X + 200, S, Head.LINEAR, Rows.BATCH])],
      ['a gradient from nowhere', segments(['RECUR_BACK', X, X + 100, NONE, NONE, 0, H, P, S, 0, NONE, NONE])],
      ['outside', [mark, recur]],
      ['nothing', segments(mark)],
      ['segments in segments', segments(['SEGMENTS', 3, 0, 0, 1], recur)],
      ['segments unlike others', [...segments(recur), ['SEGMENTS', 2, 0, 0, 1], recur]],
      ['past the end', [['SEGMENTS', 3, 0, 0, 2], recur]],
      ['of no steps', [['SEGMENTS', 0, 0, 0, 1], recur]],
      ['of no instructions', [['SEGMENTS', 3, 0, 0, 0], recur]],
      ['in no order', [['SEGMENTS', 3, 2, 0, 1], recur]],
      ['less than nothing', [['SEGMENTS', 3, 0, 2, 1], recur]],
    ]
    for (const [what, lines, bytes] of wrong) expect([what, thrownBy(() => run(lines, bytes)).code]).toEqual([what, 'ERR_INTERNAL'])
  })

  it('has a product and a recurrence done together only where they are of one size', () => {
    const lines: Line[] = [
      ['PROJECT', X, X + 500, H, P, H + 100, NONE, S, K, Rows.STEPS],
      ['RECUR', X, X + 600, H + 200, P + 200, 4, 0],
    ]
    const state = (writes: Job['writes']) =>
      local().run({ ...job(lines, frame(1, 2), room), writes, reads: [{ at: X, kind: 'float32', length: 64 }] }).reads[0]!
    const biases = state([{ at: H + 100, data: new Float32Array(S).fill(2) }])
    expect([biases[0], biases[32]]).toEqual([Math.fround(biases[1]!), 2]) // states are rows of 16, the second of the product begins at 32
    expect(biases[0]).toBeCloseTo(Math.tanh(2), 5)
  })

  it('is refused where code is cut off or unknown', () => {
    const raw = (code: number[]) => thrownBy(() => local().run({ ...noJob, plan: { ...plan([]), code: Int32Array.from(code) } })).message
    expect(raw([1, 0])).toMatch(/lacks arguments/)
    for (const op of [0, -1, 27, 2 ** 31 - 1]) expect(raw([op, 0, 0, 0])).toMatch(/unknown opcode/)
  })
})

describe.skipIf(!native)('a frame that is wrong', () => {
  const header = Object.entries({ SIZE: [0, -1, 1e9], B: [0, -1, 2 ** 31 - 1], T: [-1, 1e9], R: [-1, R - 1, R + 1, 2 ** 31 - 1] } as const)
  it.each(header)('is refused for its %s', (name, values) => {
    for (const value of values) {
      const broken = frame(B, T)
      broken[FrameField[name as 'B']] = value
      expect([value, thrownBy(() => local().run(job(good.lines, broken))).code]).toEqual([value, 'ERR_INTERNAL'])
    }
  })

  it('is refused for steps that grow, vanish or do not add up', () => {
    for (const active of [
      [1, 2, 2, 2],
      [3, 2, 2, 1],
      [2, 2, 2, 0],
      [2, 2, 2, -1],
      [2, 2, 2, 1],
      [2 ** 30, 2 ** 30, 2 ** 30, 2 ** 30],
    ]) {
      const broken = frame(B, T)
      broken.set(active, FRAME_HEADER)
      expect(thrownBy(() => local().run(job(good.lines, broken))).code).toBe('ERR_INTERNAL')
    }
  })

  it('is refused for each field of a sequence that is out of range', () => {
    const all: Line[] = [
      ['FETCH', X, D, K],
      ['STATE_IN', X + 100, C, S],
      ['LOSS', NONE, X + 200, D + 100, D + 200, X + 300, S, Head.LINEAR, Rows.STEPS],
      ['STATE_OUT', C, X + 100, X + 200, S],
    ]
    expect(local().run(job(all, frame(B, T), room)).results[0]).toBe(1)
    const bad = {
      base: [-1, 1e6, 2 ** 31 - 1],
      tbase: [-1, 1e6, 2 ** 31 - 1],
      last: [-2, R],
      from: [-1],
      init: [-2, 1e6],
      saved: [-2, R],
      slot: [-2, 1e6],
    }
    SEQUENCE_FIELDS.forEach((field, n) => {
      for (const value of bad[field]) {
        const broken = frame(B, T)
        broken[FRAME_HEADER + T + n * B + 1] = value
        expect([field, value, thrownBy(() => local().run(job(all, broken, room))).code]).toEqual([field, value, 'ERR_INTERNAL'])
      }
    })
  })

  it('is refused for tokens and classes that index past a matrix', () => {
    for (const lines of [
      [['GATHER', X, D, H, P, NONE, NONE, S, K]],
      [['GATHER_DW', H, X, D, P, S, K]],
      [['LOSS', NONE, X, D, D + 100, X + 200, K, Head.SOFTMAX, Rows.STEPS]],
    ] as Line[][])
      for (const value of [-1, K, 2 ** 31 - 1, -(2 ** 31)])
        for (const at of [0, R - 1]) {
          const tokens = new Int32Array(R)
          tokens[at] = value
          const error = thrownBy(() => local().run({ ...job(lines, frame(B, T), room), writes: [{ at: D, data: tokens }] }))
          expect(error).toMatchObject({ code: 'ERR_INTERNAL', message: expect.stringMatching(/token or a class/) })
        }
  })

  it('is refused by a prepared step too, whose tokens change', () => {
    const engine = local()
    const step = engine.prepare({
      bytes: room,
      plan: plan([['GATHER', X, D, H, P, NONE, NONE, S, K]]),
      frame: frame(1, 1),
      input: { at: D, kind: 'int32', length: 1 },
      output: { at: X, length: S },
    })
    step.run()
    step.input[0] = K
    expect(thrownBy(() => step.run()).code).toBe('ERR_INTERNAL')
    step.input[0] = K - 1
    step.run()
  })

  it('is no step for one kernel where a product reads more than is written before it', () => {
    const stepThatReads = (columns: number): Line[] => [
      ['STATE_IN', X + 10, C, S],
      ['FETCH', X, D, K],
      ['PROJECT', X + 20, X, H, P, NONE, NONE, S, columns, Rows.STEPS],
      ['RECUR', X + 20, X + 10, H + 100, P + 100, S, 0],
      ['STATE_OUT', C, X + 10, X + 20, S],
      ['LAST', X + 30, X + 10, X + 20, S],
      ['PROJECT', X + 40, X + 30, H + 200, P + 200, NONE, NONE, 2, S, Rows.BATCH],
      ['ACTIVATE', X + 50, X + 40, 2, Head.LINEAR, Rows.BATCH],
    ]
    const one = frame(1, 1)
    for (const field of ['init', 'slot'] as const) one[FRAME_HEADER + 1 + SEQUENCE_FIELDS.indexOf(field)] = 0
    for (const [columns, alone] of [
      [K, true],
      [K + 1, false],
    ] as const) {
      const engine = local()
      const input = { at: D, kind: 'float32', length: K } as const
      const step = engine.prepare({ bytes: room, plan: plan(stepThatReads(columns)), frame: one, input, output: { at: X + 50, length: 2 } })
      step.input.fill(2)
      step.run()
      const { reads } = engine.run({ ...noJob, bytes: room, reads: [input] })
      expect([columns, reads[0]![0] === 0]).toEqual([columns, alone])
    }
  })
})

describe.skipIf(!native)('reads, writes and buffers', () => {
  it('must lie inside their region', () => {
    const data = numbers(17, 1)
    for (const at of [-1, 5 * 2 ** 28, address(Region.HOME, 1), address(Region.CARRY, 0), address(Region.HOME, 2 ** 28 - 1)]) {
      expect(thrownBy(() => local().run({ ...noJob, bytes: bytesOf({ HOME: 1 }), writes: [{ at, data }] })).code).toBe('ERR_INTERNAL')
      expect(
        thrownBy(() => local().run({ ...noJob, bytes: bytesOf({ HOME: 1 }), reads: [{ at, kind: 'float32', length: 17 }] })).code,
      ).toBe('ERR_INTERNAL')
    }
    expect(
      thrownBy(() => local().run({ ...noJob, bytes: bytesOf({ HOME: 1 }), reads: [{ at: H, kind: 'float64', length: 9 }] })).code,
    ).toBe('ERR_INTERNAL')
  })

  it('must have sizes that are sizes', () => {
    for (const size of [-1, NaN, Infinity, 2 ** 53])
      expect(thrownBy(() => local().run({ ...noJob, bytes: [size, 0, 0, 0, 0] })).code).toBe('ERR_INTERNAL')
    for (const size of [2 ** 34 + 64, 2 ** 52])
      expect(thrownBy(() => local().run({ ...noJob, bytes: [size, 0, 0, 0, 0] })).code).toBe('ERR_OUT_OF_MEMORY')
    expect(thrownBy(() => local().run({ ...noJob, bytes: [0, 0] })).code).toBe('ERR_INTERNAL')
  })

  it('tell detached arrays from empty ones', () => {
    const data = new Float32Array(4)
    structuredClone(data, { transfer: [data.buffer] })
    expect(thrownBy(() => local().run({ ...noJob, bytes: bytesOf({ HOME: 1 }), writes: [{ at: H, data }] })).code).toBe('ERR_DETACHED')
    local().run({ ...noJob, bytes: bytesOf({ HOME: 1 }), writes: [{ at: H, data: new Float32Array(0) }] })
  })

  it('may be shared, unaligned, shrunk, of another realm, or lie about themselves', () => {
    class Liar extends Float32Array {
      override get length() {
        return 1e9
      }
      override get byteLength() {
        return 4e9
      }
    }
    const values = [1, 2, 3, 4]
    const shrunk = new Float32Array(
      new (ArrayBuffer as unknown as new (n: number, o: object) => ArrayBuffer & { resize(n: number): void })(64, { maxByteLength: 64 }),
      0,
      4,
    )
    shrunk.set(values)
    ;(shrunk.buffer as unknown as { resize(n: number): void }).resize(8)
    const read = (data: Float32Array) => {
      const engine = local()
      return [
        ...engine.run({ ...noJob, bytes: bytesOf({ HOME: 1 }), writes: [{ at: H, data }], reads: [{ at: H, kind: 'float32', length: 4 }] })
          .reads[0]!,
      ]
    }
    const shared = new Float32Array(new SharedArrayBuffer(16))
    shared.set(values)
    const offset = new Float32Array(new ArrayBuffer(24), 4, 4)
    offset.set(values)
    expect(read(shared)).toEqual(values)
    expect(read(offset)).toEqual(values)
    expect(read(runInNewContext('Float32Array.of(1, 2, 3, 4)') as Float32Array)).toEqual(values)
    expect(read(Liar.from(values) as Float32Array)).toEqual(values)
    expect(read(shrunk)).toEqual([0, 0, 0, 0])
    for (const fake of [
      Object.create(Float32Array.prototype),
      new Proxy(new Float32Array(4), {}),
      new DataView(new ArrayBuffer(16)),
      new Int8Array(4),
      [1],
      null,
      undefined,
      4,
    ])
      expect(thrownBy(() => read(fake as Float32Array)).code).toBe('ERR_INVALID_ARG')
  })
})

describe.skipIf(!native)('the functions of the addon', () => {
  const addon = (native ? createRequire(import.meta.url)('../build/Release/bptt.node') : {}) as Record<
    string,
    (...args: unknown[]) => unknown
  >
  const code = (body: () => unknown) => thrownBy(body).code

  it('take only what they are made for', () => {
    const engine = addon.createEngine!('', false, 1)
    for (const name of ['run', 'submit', 'prepare', 'stop', 'dispose'])
      for (const fake of [
        undefined,
        null,
        {},
        [],
        1,
        'x',
        () => 0,
        Object.create(engine as object),
        new Proxy(engine as object, {}),
        addon,
      ])
        expect([name, code(() => addon[name]!(fake))]).toEqual([name, 'ERR_INVALID_ARG'])
    for (const name of ['run', 'submit', 'prepare']) {
      expect(code(() => addon[name]!(engine))).toBe('ERR_INVALID_ARG')
      expect(code(() => addon[name]!(engine, ...new Array(10000).fill(0)))).toBe('ERR_INVALID_ARG')
    }
    for (const threads of [0, -1, 1.5, 65, 1e9, NaN]) expect(code(() => addon.createEngine!('', false, threads))).toBe('ERR_OUT_OF_RANGE')
    for (const threads of ['1', null, undefined, 1n]) expect(code(() => addon.createEngine!('', false, threads))).toBe('ERR_INVALID_ARG')
    expect(code(() => addon.describe!(1, false))).toBe('ERR_INVALID_ARG')
    expect(code(() => addon.describe!('', 'no'))).toBe('ERR_INVALID_ARG')
    expect(code(() => addon.describe!('x'.repeat(1e6), false))).toBe('ERR_INVALID_ARG')
  })

  it('see an output that was taken away while a job ran', async () => {
    const engine = addon.createEngine!('', false, 1)
    const bytes = Float64Array.from(bytesOf({ HOME: 1 }))
    const args = (outputs: unknown[]) => [
      engine,
      bytes,
      -1,
      new Int32Array(0),
      new Float64Array(0),
      new Int32Array(0),
      0,
      Int32Array.of(H),
      [],
      outputs,
      false,
      false,
    ]
    const output = new Float32Array(16)
    const running = addon.submit!(...args([new Float64Array(0), output])) as Promise<number>
    structuredClone(output, { transfer: [output.buffer] })
    await expect(running).rejects.toMatchObject({ code: 'ERR_DETACHED' })
    const outputs = [new Float64Array(0), new Float32Array(16)]
    const second = addon.submit!(...args(outputs)) as Promise<number>
    outputs.length = 0
    await expect(second).rejects.toMatchObject({ code: 'ERR_DETACHED' })
    expect(code(() => addon.run!(...args([new Float64Array(RESULT_FIELDS), output])))).toBe('ERR_INTERNAL')
    expect(code(() => addon.run!(...args([])))).toBe('ERR_INTERNAL')
  })
})
