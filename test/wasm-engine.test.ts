/*
 * The WebAssembly engine around its kernels: memory that grows and keeps its content, operands that do not fit, prepared steps, stops,
 * disposal, and what it says where WebAssembly is refused.
 */
import { execFileSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { RNN, type Tensor } from 'bptt'
import { describe, expect, test } from 'vitest'
import type { EngineOptions } from '#lib/backends/engine.js'
import { createLocal } from '#lib/backends/wasm.js'
import { FRAME_HEADER } from '#lib/plan/frame.js'
import { address, NONE, Region, UNIT_BYTES } from '#lib/plan/memory.js'
import { Above, By, Cell, Head, Pack, Result, Rows, Status } from '#lib/plan/operations.js'
import { createReference } from '#lib/reference/engine.js'
import { frameOf, planOf } from './reference-net.js'
import { thrownBy } from './support/mistakes.js'

const options: EngineOptions = { numerics: 'portable', threads: 1 }
const at = (region: number, unit = 0) => address(region, unit)
const frames = frameOf({ lengths: [2, 1] })
const nothing = planOf([])
const job = { bytes: [] as number[], writes: [], plan: nothing, frames, count: 1, reads: [] }

describe('memory', () => {
  test('keeps what is in home, data, carry and pack when any of them grows, and adds zeros', () => {
    const engine = createLocal(options)
    const kept = [Region.HOME, Region.DATA, Region.CARRY, Region.PACK]
    const bytes = [64, 64, 64, 64, 64]
    const fill = (region: number) => Float32Array.from({ length: 16 }, (_, i) => 100 * region + i + 1)
    engine.run({ ...job, bytes, writes: kept.map((region) => ({ at: at(region), data: fill(region) })) })
    for (const region of [Region.DATA, Region.HOME, Region.SCRATCH, Region.PACK, Region.CARRY]) {
      bytes[region] = 1_000_000 + 64 * region
      const reads = kept.map((r) => ({ at: at(r), kind: 'float32' as const, length: bytes[r]! / 4 }))
      for (const [i, data] of engine.run({ ...job, bytes, reads }).reads.entries()) {
        expect(data.subarray(0, 16)).toEqual(fill(kept[i]!))
        expect(data.subarray(16).every((x) => x === 0)).toBe(true)
      }
    }
  })

  test('does not shrink', () => {
    const engine = createLocal(options)
    engine.run({ ...job, bytes: [128], writes: [{ at: at(Region.HOME, 1), data: Float32Array.of(5) }] })
    const { reads } = engine.run({ ...job, bytes: [0], reads: [{ at: at(Region.HOME, 1), kind: 'float32', length: 1 }] })
    expect(reads[0]![0]).toBe(5)
  })

  test('that cannot be had is ERR_OUT_OF_MEMORY, and the engine goes on as it was', () => {
    const engine = createLocal(options)
    const read = { at: at(Region.HOME), kind: 'float32' as const, length: 1 }
    engine.run({ ...job, bytes: [64], writes: [{ at: at(Region.HOME), data: Float32Array.of(3) }] })
    const huge = { ...job, bytes: [64, 5 * 2 ** 30], writes: [{ at: at(Region.HOME), data: Float32Array.of(4) }] }
    expect(thrownBy(() => engine.run(huge)).code).toBe('ERR_OUT_OF_MEMORY')
    expect(engine.run({ ...job, reads: [read] }).reads[0]![0]).toBe(3)
  })
})

describe('operands', () => {
  const bytes = [1024, 1024, 1024, 1024, 1024]
  const K = 3
  test.each([
    [
      'the last row of an activation',
      planOf([['PROJECT', at(Region.SCRATCH, 14), at(Region.SCRATCH), 0, at(Region.PACK), NONE, NONE, 4, K, Rows.STEPS]]),
    ],
    ['a packed matrix', planOf([['RECUR', at(Region.SCRATCH), at(Region.SCRATCH, 4), 0, at(Region.PACK, 5), 12, Cell.TANH]])],
    ['rows of the resident data', planOf([['FETCH', at(Region.SCRATCH), at(Region.DATA, 15), 8]])],
    ['a row of the carried states', planOf([['STATE_OUT', at(Region.CARRY, 15), at(Region.SCRATCH), at(Region.SCRATCH, 2), 16]])],
    ['an operand that is not there', planOf([['UPDATE', at(Region.HOME), at(Region.HOME, 1), NONE, NONE, NONE, 1, 1, 3, 0]])],
    ['a region that does not exist', planOf([['ZERO', at(5), 1]])],
    ['half an instruction', { id: -1, code: Int32Array.of(1, 0), constants: new Float64Array(0) }],
    ['a constant that is not there', planOf([['CLIP', 0]])],
    [
      'a border of segments',
      planOf([
        ['SEGMENTS', 1, 0, 0, 2],
        ['MOVE', 0, By.SEGMENT, 15, NONE],
        ['ZERO', at(Region.SCRATCH), 1],
      ]),
    ],
    [
      'a move outside of segments',
      planOf([
        ['MOVE', 0, By.SEGMENT, 1, NONE],
        ['ZERO', at(Region.SCRATCH), 1],
      ]),
    ],
    [
      'segments in segments',
      planOf([
        ['SEGMENTS', 1, 0, 0, 2],
        ['SEGMENTS', 1, 0, 0, 1],
        ['ZERO', at(Region.SCRATCH), 1],
      ]),
    ],
    [
      'targets of whole sequences in segments',
      planOf([
        ['SEGMENTS', 1, 0, 0, 1],
        ['LOSS', NONE, at(Region.SCRATCH), at(Region.DATA), at(Region.DATA, 1), at(Region.SCRATCH, 4), 5, Head.LINEAR, Rows.BATCH],
      ]),
    ],
    [
      'a gradient in segments that comes from nowhere',
      planOf([
        ['SEGMENTS', 1, 0, 0, 1],
        ['RECUR_BACK', at(Region.SCRATCH), at(Region.SCRATCH, 4), NONE, NONE, Above.NONE, 0, at(Region.PACK), 4, 0, NONE, NONE],
      ]),
    ],
    [
      'segments without end',
      planOf([
        ['SEGMENTS', 1, 0, 0, 2],
        ['ZERO', at(Region.SCRATCH), 1],
      ]),
    ],
  ])('outside their region are refused before anything runs: %s', (_, plan) => {
    const engine = createLocal(options)
    expect(thrownBy(() => engine.run({ ...job, bytes, plan })).code).toBe('ERR_INTERNAL')
    expect(engine.run({ ...job, bytes }).results[Result.STATUS]).toBe(Status.DONE)
  })

  test('of a copy too', () => {
    const engine = createLocal(options)
    expect(thrownBy(() => engine.run({ ...job, bytes, writes: [{ at: at(Region.HOME, 15), data: new Float32Array(17) }] })).code).toBe(
      'ERR_INTERNAL',
    )
    expect(thrownBy(() => engine.run({ ...job, bytes, reads: [{ at: at(Region.HOME, 15), kind: 'float64', length: 9 }] })).code).toBe(
      'ERR_INTERNAL',
    )
  })

  test('tokens and classes must be of the network; a target that does not count may be anything', () => {
    const engine = createLocal(options)
    const gather = planOf([['GATHER', at(Region.SCRATCH), at(Region.DATA), 0, at(Region.PACK), NONE, NONE, 2, 5]])
    const tokens = (...list: number[]) => ({ ...job, bytes, plan: gather, writes: [{ at: at(Region.DATA), data: Int32Array.from(list) }] })
    expect(engine.run(tokens(0, 4, 2)).results[Result.STATUS]).toBe(Status.DONE)
    for (const wrong of [tokens(0, 5, 2), tokens(0, 4, -1)]) expect(thrownBy(() => engine.run(wrong)).code).toBe('ERR_OUT_OF_RANGE')
    const loss = planOf([
      ['LOSS', NONE, at(Region.SCRATCH), at(Region.DATA), at(Region.DATA, 1), at(Region.SCRATCH, 4), 5, Head.SOFTMAX, Rows.STEPS],
    ])
    const weighed = (...w: number[]) => ({
      ...job,
      bytes,
      plan: loss,
      writes: [
        { at: at(Region.DATA), data: Int32Array.of(1, -1, 4) },
        { at: at(Region.DATA, 1), data: Float32Array.from(w) },
      ],
    })
    expect(engine.run(weighed(1, 0, 1)).results[Result.STATUS]).toBe(Status.DONE)
    expect(thrownBy(() => engine.run(weighed(1, 1, 1))).code).toBe('ERR_OUT_OF_RANGE')
  })

  test('a frame that contradicts itself', () => {
    const engine = createLocal(options)
    for (const [place, value] of [
      [0, 99],
      [1, -1],
      [3, 4],
      [FRAME_HEADER + 1, 3],
      [FRAME_HEADER + 6, 3],
    ] as const) {
      const wrong = frames.slice()
      wrong[place] = value
      expect(thrownBy(() => engine.run({ ...job, bytes, frames: wrong })).code, `${place}`).toBe('ERR_INTERNAL')
    }
  })
})

test('a prepared step gives what a run gives, copies into the same array, and survives growth in between', () => {
  const S = 5
  const bytes = [1024, 64, 256, 1024, 2048]
  const [s, s0, x, W, U, packW, packU] = [at(3), at(3, 1), at(3, 2), at(0), at(0, 4), at(4), at(4, 8)]
  const plan = planOf([
    ['PACK', packU, U, S, 2, Pack.PROJECT],
    ['PACK', packW, W, S, S, Pack.PROJECT],
    ['FETCH', x, at(Region.DATA), 2],
    ['PROJECT', s, x, U, packU, NONE, NONE, S, 2, Rows.STEPS],
    ['STATE_IN', s0, at(Region.CARRY), S],
    ['RECUR', s, s0, W, packW, S, Cell.TANH],
    ['STATE_OUT', at(Region.CARRY), s0, s, S],
  ])
  const frame = frameOf({ lengths: [1] })
  const writes = [
    { at: W, data: Float32Array.from({ length: S * S }, (_, i) => Math.sin(i)) },
    { at: U, data: Float32Array.from({ length: 2 * S }, (_, i) => Math.cos(i)) },
  ]
  const step = { bytes, plan, frame, input: { at: at(Region.DATA), kind: 'float32' as const, length: 2 }, output: { at: s, length: S } }
  const [mine, theirs] = [createLocal(options), createReference()].map((engine) => {
    engine.run({ ...job, bytes, writes })
    const prepared = engine.prepare(step)
    const { output } = prepared
    return [1, 2, 3].map((n) => {
      prepared.input.set([n, NaN])
      expect(prepared.run()).toBe(false)
      prepared.input[1] = -n / 3
      expect(prepared.run()).toBe(true)
      engine.run({ ...job, bytes: [2048 * n, 64 * n, 256, 1024, 2048], count: 0 })
      expect(prepared.output).toBe(output)
      return output.slice()
    })
  })
  expect(mine).toEqual(theirs)
  expect(mine![0]).not.toEqual(mine![1])
})

/** 65536 columns are what a kernel has a row of zeros for, and the gradient of x has a column for each feature or token. */
test.each([
  ['features', 300_000],
  ['tokens', { tokens: 300_000 }],
] as const)('more %s than a workspace has columns leave the weights alone, and give the bits of the reference', async (_, input) => {
  const N = 300_000
  const x = [0, 1].map((k) => (input === N ? Float32Array.from({ length: N }, (_, i) => ((7 * i + k) % 13) / 13 - 0.5) : N - 1 - k))
  const [mine, theirs] = await Promise.all(
    (['wasm', 'reference'] as const).map(async (backend) => {
      const model = new RNN({ input: input as number, state: 3, output: 2, backend, numerics: 'portable' })
      const { gradients } = await model.gradients({ x: [x as unknown as number[][]], y: [1] })
      const { layers } = gradients as { layers: readonly { U: Tensor }[] }
      await model.train({ x: [x as unknown as number[][]], y: [1] }, { epochs: 1 })
      return [gradients.x.data, layers[0]!.U.data, model.U.data].map((data) => Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    }),
  )
  expect(mine!.map((bytes, i) => bytes.equals(theirs![i]!))).toEqual([true, true, true])
})

test('a stop ends the job before its next update', () => {
  let status: number = Status.PENDING
  const engine = createLocal(options, () => status)
  const plan = planOf([['GUARD'], ['UPDATE', at(0), at(0, 1), NONE, NONE, NONE, 1, 1, 0, 0]])
  const frame = frameOf({ lengths: [1], scalars: { 0: 1 } })
  const read = [{ at: at(0), kind: 'float32' as const, length: 1 }]
  const whole = { ...job, bytes: [2 * UNIT_BYTES], plan, frames: frame, reads: read }
  const first = engine.run({ ...whole, writes: [{ at: at(0, 1), data: Float32Array.of(1) }] })
  expect([first.results[Result.STATUS], first.reads[0]![0]]).toEqual([Status.DONE, -1])
  status = Status.STOPPED
  const both = new Int32Array([...frame, ...frame])
  const { results, reads } = engine.run({ ...whole, frames: both, count: 2 })
  expect([results[Result.STATUS], results[8 + Result.STATUS], reads[0]![0]]).toEqual([Status.STOPPED, Status.PENDING, -1])
})

test('after dispose everything is ERR_DISPOSED', () => {
  const engine = createLocal(options)
  engine.dispose()
  expect(thrownBy(() => engine.run(job)).code).toBe('ERR_DISPOSED')
})

describe('where WebAssembly is refused', () => {
  const wasm = createRequire(import.meta.url).resolve('#lib/backends/wasm.js')
  const attempt = (before: string, ...flags: string[]) =>
    execFileSync(
      process.execPath,
      [...flags, '-e', `${before}; try { require(${JSON.stringify(wasm)}).loadWasm() } catch (e) { console.log(e.code, e.message) }`],
      { encoding: 'utf8' },
    )

  test('by --jitless', () => expect(attempt('', '--jitless')).toMatch(/^ERR_BACKEND .*--jitless/))
  test('by a Content-Security-Policy', () => {
    // A browser throws this from the constructor and validates as before.
    const refuse = `WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError('violates the following CSP directive') } }`
    expect(attempt(refuse)).toMatch(/^ERR_BACKEND .*script-src 'wasm-unsafe-eval'/)
  })
  test('for want of SIMD', () => {
    const refuse = `WebAssembly.Module = class { constructor() { throw new WebAssembly.CompileError('invalid opcode') } }; WebAssembly.validate = () => false`
    expect(attempt(refuse)).toMatch(/^ERR_BACKEND .*no SIMD/)
  })
})
