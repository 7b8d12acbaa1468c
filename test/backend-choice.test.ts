/*
 * Which backend a model gets: order, overrides, and the reasons for refusals. Each case is a process of its own, since a choice is made
 * once; what can be loaded there is decided by the test, so that the cases hold on every machine.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const lib = join(import.meta.dirname, '..', 'dist', 'node')

interface Case {
  requested?: string
  env?: string
  /** Backends whose loading fails, with the message. */
  broken?: Record<string, string>
}

/** What chooseBackend gave or threw, and which backends were loaded, in order. */
function choose({ requested = 'auto', env, broken = {} }: Case) {
  const program = `
    const { BpttError } = require(${JSON.stringify(join(lib, 'errors.js'))})
    const broken = ${JSON.stringify(broken)}
    const loads = []
    require(${JSON.stringify(join(lib, 'backends/loaders.js'))}).load = (name) => {
      loads.push(name)
      if (name in broken) throw new BpttError('ERR_BACKEND', broken[name])
      return { name }
    }
    const { chooseBackend } = require(${JSON.stringify(join(lib, 'backends/select.js'))})
    const attempt = () => {
      try {
        const { backend, why } = chooseBackend(${JSON.stringify(requested)})
        return { name: backend.name, why, same: chooseBackend(${JSON.stringify(requested)}).backend === backend }
      } catch ({ name, code, message, at }) {
        return { error: { name, code, message, at } }
      }
    }
    attempt()
    console.log(JSON.stringify({ ...attempt(), loads }))`
  const { BPTT_BACKEND: _, ...rest } = process.env
  return JSON.parse(
    execFileSync(process.execPath, ['-e', program], { encoding: 'utf8', env: env === undefined ? rest : { ...rest, BPTT_BACKEND: env } }),
  )
}

it('takes the best that loads, once, and no more than that', () => {
  expect(choose({})).toEqual({ name: 'native', why: [], same: true, loads: ['native'] })
})

it('falls back with the reason of each refusal, also when asked again', () => {
  const broken = { native: 'libstdc++.so.6: version `GLIBCXX_3.4.32´ not found' }
  expect(choose({ broken })).toEqual({
    name: 'wasm',
    why: [{ candidate: 'native', refused: expect.stringContaining('GLIBCXX_3.4.32') }],
    same: true,
    loads: ['native', 'wasm'],
  })
  expect(choose({ broken: { ...broken, wasm: 'no WebAssembly' } })).toMatchObject({
    name: 'reference',
    why: [{ candidate: 'native' }, { candidate: 'wasm', refused: 'no WebAssembly.' }],
    loads: ['native', 'wasm', 'reference'],
  })
})

describe('overrides', () => {
  it('the environment beats auto, and nothing better is loaded', () => {
    expect(choose({ env: 'wasm' })).toEqual({
      name: 'wasm',
      why: [{ candidate: 'native', refused: 'BPTT_BACKEND=wasm asks for another' }],
      same: true,
      loads: ['wasm'],
    })
    expect(choose({ env: 'reference' })).toMatchObject({ name: 'reference', loads: ['reference'] })
    for (const env of ['', 'auto']) expect(choose({ env })).toMatchObject({ name: 'native', why: [] })
  })

  it('the option beats the environment', () => {
    expect(choose({ env: 'native', requested: 'reference' })).toMatchObject({ name: 'reference', loads: ['reference'] })
    expect(choose({ env: 'nonsense', requested: 'wasm' })).toMatchObject({ name: 'wasm' })
  })

  it('what was asked for and cannot be used is an error with the reason, never another backend', () => {
    const broken = { native: 'the addon is of another architecture' }
    expect(choose({ env: 'native', broken }).error).toEqual({
      name: 'BpttError',
      code: 'ERR_BACKEND',
      message: expect.stringMatching(/^BPTT_BACKEND=native asks .*another architecture.*doctor/),
    })
    expect(choose({ requested: 'native', env: 'wasm', broken }).error.message).toMatch(/^backend: 'native' asks .*another architecture/)
  })

  it('an unknown name is an error that lists the valid ones', () => {
    expect(choose({ env: 'gpu' }).error).toEqual({
      name: 'BpttError',
      code: 'ERR_INVALID_ARG',
      at: 'BPTT_BACKEND',
      message: 'BPTT_BACKEND: there is no such backend: expected auto, native, wasm, reference, received "gpu".',
    })
    expect(choose({ requested: 'Native', env: 'wasm' }).error).toMatchObject({ code: 'ERR_INVALID_ARG', at: 'backend' })
  })
})

it('importing the selection loads no backend and starts nothing', () => {
  const program = `
    require(${JSON.stringify(join(lib, 'backends/select.js'))})
    const names = Object.keys(require.cache).filter((name) => /backends.(native|wasm)/.test(name))
    console.log(JSON.stringify([names, process.getActiveResourcesInfo().filter((name) => !/Pipe|TTY/.test(name))]))`
  expect(JSON.parse(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }))).toEqual([[], []])
})
