/*
 * What a JavaScript contestant does when it is asked, however the question comes: as a line on stdin (serve.mjs), or into a page
 * (browser/serve.mjs).
 *
 *   setup  a cell and the folder of its weights and data; builds the network
 *   check  what a pass computes, a few times over: the loss of a step before its update, or the mean square of the logits
 *   run    seconds that a step of a pass takes, as samples of at least CALL_SECONDS each
 */
const CALL_SECONDS = 0.01

const SHAPES = { U: 'sr', W: 'ss', b: 's', V: 'ts', c: 't' }

/**
 * U [s, r], W [s, s], b [s], V [t, s], c [t]; x [B, T, r] float32, or tokens [B, T] int32; y [B, T] or [B] int32: each flat, with its shape.
 * @param read name → ArrayBuffer, or a promise of it
 */
async function readData(read, cell) {
  const shapes = Object.fromEntries(Object.entries(SHAPES).map(([name, sizes]) => [name, [...sizes].map((size) => cell[size])]))
  shapes.x = cell.tokens ? [cell.B, cell.T] : [cell.B, cell.T, cell.r]
  shapes.y = cell.readout === 'all' ? [cell.B, cell.T] : [cell.B]
  const load = async ([name, shape]) => {
    const Numbers = name === 'y' || (name === 'x' && cell.tokens) ? Int32Array : Float32Array
    return [name, { data: new Numbers(await read(name)), shape }]
  }
  return Object.fromEntries(await Promise.all(Object.entries(shapes).map(load)))
}

export const meanSquare = (values) => values.reduce((sum, value) => sum + value * value, 0) / values.length

/**
 * @param build (cell, data) → { passes, dispose() }, or a promise of it. A pass by its name: { kind: 'training' | 'inference', check() → the value
 *   of one step, checks: how many of them can be compared, run(count) → how many steps it did if not count, or a promise of it }
 * @param read (folder, name) → ArrayBuffer, or a promise of it
 */
export function requests(build, read) {
  let passes = {}
  let dispose = () => {}
  const rates = new Map()

  const timed = async (pass, count) => {
    const begin = performance.now()
    const steps = (await pass.run(count)) ?? count
    return (performance.now() - begin) / 1000 / steps
  }
  return {
    async setup({ cell, folder }) {
      dispose()
      rates.clear()
      ;({ passes, dispose = () => {} } = await build(cell, await readData((name) => read(folder, name), cell)))
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
      while (samples.length === 0 || left()) {
        const count = rates.get(pass)
        const each = await timed(passes[pass], count)
        samples.push(each)
        // More where steps became faster: the first few held what a call takes once, or were not yet compiled.
        rates.set(pass, Math.max(count, Math.ceil(CALL_SECONDS / each)))
      }
      return { samples }
    },
  }
}
