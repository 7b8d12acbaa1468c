/*
 * What the JavaScript contenders of `npm run bench:peers` share: they answer its requests, one JSON object a line on stdin, by lines
 * {"answer": …}. bench/peers/serve.py is the same for Python.
 *
 *   setup  a cell and the folder of its weights and data; builds the network
 *   check  what a pass computes, a few times over: the loss of a step before its update, or the mean square of the logits
 *   run    seconds that a step of a pass takes, as samples of at least CALL_SECONDS each
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const CALL_SECONDS = 0.01

const say = (answer) => process.stdout.write(`${JSON.stringify({ answer })}\n`)

/** For a library that is not there: says so, and ends. */
export function absent(error) {
  say({ absent: error.message.split('\n')[0] })
  process.exit(0)
}

const SHAPES = { U: 'sr', W: 'ss', b: 's', V: 'ts', c: 't' }

/** U [s, r], W [s, s], b [s], V [t, s], c [t]; x [B, T, r] float32, or tokens [B, T] int32; y [B, T] or [B] int32: each flat, with its shape. */
export function readData(folder, cell) {
  const shapes = Object.fromEntries(Object.entries(SHAPES).map(([name, sizes]) => [name, [...sizes].map((size) => cell[size])]))
  shapes.x = cell.tokens ? [cell.B, cell.T] : [cell.B, cell.T, cell.r]
  shapes.y = cell.readout === 'all' ? [cell.B, cell.T] : [cell.B]
  const load = (name) => {
    const { buffer, byteOffset, byteLength } = readFileSync(join(folder, name))
    const Numbers = name === 'y' || (name === 'x' && cell.tokens) ? Int32Array : Float32Array
    return new Numbers(buffer.slice(byteOffset, byteOffset + byteLength))
  }
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { data: load(name), shape }]))
}

export const meanSquare = (values) => values.reduce((sum, value) => sum + value * value, 0) / values.length

/**
 * @param build (cell, data) → { passes, dispose() }, or a promise of it. A pass by its name: { kind: 'training' | 'inference', check() → the value
 *   of one step, checks: how many of them can be compared, run(count) → how many steps it did if not count, or a promise of it }
 */
export async function serve({ name, version, description, build }) {
  say({ name, version, description })
  let passes = {}
  let dispose = () => {}
  const rates = new Map()

  const timed = async (pass, count) => {
    const begin = performance.now()
    const steps = (await pass.run(count)) ?? count
    return (performance.now() - begin) / 1000 / steps
  }
  const requests = {
    async setup({ cell, folder }) {
      dispose()
      rates.clear()
      ;({ passes, dispose = () => {} } = await build(cell, readData(folder, cell)))
      return { passes: Object.fromEntries(Object.entries(passes).map(([key, { kind, checks }]) => [key, { kind, checks }])) }
    },
    async check({ pass, steps, seconds }) {
      const values = []
      const begin = performance.now()
      while (values.length < steps && (values.length === 0 || performance.now() - begin < 1000 * seconds))
        values.push(await passes[pass].check())
      return { values, seconds: (performance.now() - begin) / 1000 / values.length }
    },
    async run({ pass, seconds }) {
      const begin = performance.now()
      const left = () => performance.now() - begin < 1000 * seconds
      const samples = []
      if (!rates.has(pass)) {
        for (let n = 0; n < 3 && (n === 0 || left()); n++) samples.push(await timed(passes[pass], 1))
        if (!left()) return { samples }
        rates.set(pass, Math.max(1, Math.ceil(CALL_SECONDS / Math.min(...samples.splice(0)))))
      }
      while (samples.length === 0 || left()) samples.push(await timed(passes[pass], rates.get(pass)))
      return { samples }
    },
  }
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    try {
      say(await requests[request.do](request))
    } catch (error) {
      say({ error: error.message.slice(0, 300) }) // the next cell may be possible
    }
  }
  process.exit(0)
}
