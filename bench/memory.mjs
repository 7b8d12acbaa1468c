/*
 * node bench/memory.mjs: what training takes, cell by cell. Each figure is from a process of its own: its peak over some steps (one batch, plain
 * gradient descent), above what it had idle, when the library had been used once and neither data nor network were there. Beside it what
 * model.memory() says, the least that exact backpropagation can do with (weights, gradients, the batch, and the states of all steps, or at
 * √T of them), and on the same terms PyTorch, where there is one.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { RNN } from 'bptt'
import { cells } from './cells.mjs'
import { median } from './clock.mjs'
import { Contestant, contestants } from './contestants.mjs'
import { examples } from './problem.mjs'
import { write } from './race.mjs'
import { flag, note, parsed, runMain, text, UsageError } from './usage.mjs'

const HELP = `node bench/memory.mjs [options]      (built before; Linux only)

  --cells IDS      of the grid (default large)
  --backend NAME   native, wasm or reference (default native)
  --python PATH    the interpreter that has PyTorch, to be measured beside (default: nobody is)
  --json           the result as JSON`

const STEPS = 3
/** PyTorch's peak differs by a fifth from process to process: of so many, the median. */
const PROCESSES = 5
const PATIENCE = 120
/** The library at work once: what it loads and starts for that is no part of a step. */
const TINY = { id: 'tiny', B: 1, T: 2, r: 1, s: 1, t: 2, readout: 'last', f: 'tanh' }

const status = (name) => 1024 * Number(new RegExp(`${name}:\\s*(\\d+)`).exec(readFileSync('/proc/self/status', 'utf8'))[1])

/** The data of a cell, from the files that every contestant reads: what it takes to make them is no part of a step. */
function dataIn(folder, { B, T, r, readout }) {
  const [x, y] = ['x', 'y'].map((name) => readFileSync(join(folder, name)))
  const classes = new Int32Array(y.buffer, y.byteOffset, y.length / 4)
  return {
    x: { data: new Float32Array(x.buffer, x.byteOffset, x.length / 4), shape: [B, T, r] },
    y: readout === 'all' ? { data: classes, shape: [B, T] } : classes,
  }
}

/** Of a cell, in this process: bytes. */
async function own(cell, backend, memory, folder) {
  const { B, T, r, s, t, readout } = cell
  const config = { output: t, readout, init: 'pytorch', backend, threads: 1 }
  const train = (model, data, epochs) => model.train(data, { epochs, batchSize: B, memory, optimizer: { sgd: { lr: 0.01 } } })
  await train(new RNN({ ...config, input: 1, state: 1 }), examples({ ...TINY, t, readout }, 2), 1)
  globalThis.gc()
  const idle = status('VmRSS')
  const data = dataIn(folder, cell)
  const model = new RNN({ ...config, input: r, state: s })
  void model.U // draws the weights
  globalThis.gc()
  writeFileSync('/proc/self/clear_refs', '5') // the peak begins here
  await train(model, data, STEPS)
  const peak = status('VmHWM') - idle
  const { total, states, parameters, gradients, data: batch } = model.memory()
  const kept = 4 * B * s * (memory === 'low' ? Math.min(T, Math.sqrt(8 * T)) : T)
  return { peak, total, states, least: parameters + gradients + batch + kept }
}

function ownProcess(cell, backend, memory) {
  const folder = mkdtempSync(join(tmpdir(), 'bptt-memory-'))
  try {
    write(folder, { f: 'tanh', ...cell })
    const args = ['--expose-gc', fileURLToPath(import.meta.url), '--child', JSON.stringify({ id: cell.id, backend, memory, folder })]
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
    if (status !== 0) throw new Error(stderr)
    return JSON.parse(stdout)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The same of PyTorch; undefined, with a note, where it is not there. */
async function torch(cell, python) {
  const entry = contestants(python).find(({ id }) => id === 'torch')
  try {
    const peaks = []
    for (let n = 0; n < PROCESSES; n++) peaks.push(await torchProcess(cell, entry))
    return median(peaks)
  } catch (error) {
    note(`PyTorch is not measured: ${error.message} (${entry.install})`)
    return undefined
  }
}

async function torchProcess(cell, entry) {
  const process = new Contestant(entry, 1)
  const folder = mkdtempSync(join(tmpdir(), 'bptt-memory-'))
  const setup = async (of) => {
    write(folder, { f: 'tanh', ...of })
    await process.ask({ do: 'setup', cell: { f: 'tanh', ...of }, folder }, PATIENCE)
  }
  try {
    const { absent } = await process.answer(PATIENCE)
    if (absent !== undefined) throw new Error(absent)
    await setup(TINY)
    await process.ask({ do: 'peak', pass: 'training', steps: 1 }, PATIENCE)
    const idle = await process.ask({ do: 'idle' }, PATIENCE)
    await setup(cell)
    const peak = await process.ask({ do: 'peak', pass: 'training', steps: STEPS }, PATIENCE)
    return peak.bytes - idle.bytes
  } finally {
    await process.end()
    rmSync(folder, { recursive: true })
  }
}

const MB = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`
const TITLES = ['peak above idle', 'memory().total', 'of it states', 'the least', 'PyTorch', 'ours / PyTorch']

function table(rows) {
  const line = (id, how, figures) => `${id.padEnd(15)} ${how.padEnd(6)}${figures.map((figure) => figure.padStart(16)).join('')}`
  const others = rows.some(({ torch }) => torch)
  return [
    line('cell', 'memory', others ? TITLES : TITLES.slice(0, 4)),
    ...rows.map(({ cell, memory, peak, total, states, least, torch }) =>
      line(cell, memory, [...[peak, total, states, least].map(MB), ...(torch ? [MB(torch), (peak / torch).toFixed(2)] : [])]),
    ),
  ].join('\n')
}

async function main() {
  const { values, positionals, among } = parsed(
    { help: flag, json: flag, cells: { ...text, default: 'large' }, backend: { ...text, default: 'native' }, python: text, child: text },
    true,
  )
  if (positionals.length > 0) throw new UsageError(`there is no '${positionals[0]}'`)
  if (values.help) return console.log(HELP)
  const cellOf = (wanted) => cells.find(({ id }) => id === wanted)
  if (values.child) {
    const { id, backend, memory, folder } = JSON.parse(values.child)
    return console.log(JSON.stringify(await own(cellOf(id), backend, memory, folder)))
  }
  const ids = among(
    'cells',
    cells.map(({ id }) => id),
  )
  const [backend] = among('backend', ['native', 'wasm', 'reference'])
  const rows = []
  for (const cell of ids) {
    const theirs = values.python && (await torch(cellOf(cell), values.python))
    for (const memory of ['full', 'low']) rows.push({ cell, memory, backend, ...ownProcess(cellOf(cell), backend, memory), torch: theirs })
  }
  console.log(values.json ? JSON.stringify(rows, null, 1) : table(rows))
}

runMain(main, HELP)
