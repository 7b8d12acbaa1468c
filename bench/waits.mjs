/*
 * node bench/waits.mjs: what a caller waits for where nothing computes. Until a first answer: loading the package, making a model and asking it,
 * each the median of some processes. And how long the call of train() keeps the event loop: it reads and checks all data before it returns.
 *
 * A record: { what, seconds: { first, later } }; `later` is the median of further calls of the same process, null where there are none.
 */
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import { median } from './clock.mjs'
import { machineFacts } from './machine.mjs'
import { duration, machineHead, table } from './report.mjs'
import { flag, parsed, runMain, text, warnIfBusy } from './usage.mjs'

const STEPS = 10
const LETTERS = 'abcdefghij'

/** Sequences as users have them: n of them, `of(b, i)` the number at step i of sequence b. */
const FORMS = {
  tensor: (n, of) => ({
    data: Float32Array.from({ length: n * STEPS }, (_, k) => of(Math.floor(k / STEPS), k % STEPS)),
    shape: [n, STEPS],
  }),
  'tensors in a list': (n, of) => list(n, (b) => ({ data: Float32Array.from({ length: STEPS }, (_, i) => of(b, i)), shape: [STEPS] })),
  'Float32Arrays in a list': (n, of) => list(n, (b) => Float32Array.from({ length: STEPS }, (_, i) => of(b, i))),
  'arrays of numbers': (n, of) => list(n, (b) => Array.from({ length: STEPS }, (_, i) => of(b, i))),
  'arrays of arrays': (n, of) => list(n, (b) => Array.from({ length: STEPS }, (_, i) => [of(b, i)])),
  strings: (n, of) => list(n, (b) => Array.from({ length: STEPS }, (_, i) => LETTERS[Math.floor(10 * of(b, i))]).join('')),
}
const list = (length, make) => Array.from({ length }, (_, b) => make(b))

const HELP = `node bench/waits.mjs [options]      (built before)

  --sequences N    that train() reads, of ${STEPS} steps (default 200000)
  --forms NAMES    in which they come: ${Object.keys(FORMS).join(',')}; default: all
  --processes N    that are started for a first answer (default 7)
  --backend NAME   native, wasm or reference (default native)
  --json           machine and records as JSON`

/** Seconds; `begin` is performance.now() before, or 0 for the start of the process. */
const since = (begin) => (performance.now() - begin) / 1000

/** In a process of its own: until the first answer. */
async function start(backend) {
  const require = createRequire(import.meta.url)
  const begin = performance.now()
  const { RNN } = require('bptt')
  const loaded = since(begin)
  const model = new RNN({ input: 1, state: 32, output: 2, backend })
  await model.predict([0.5, 0.25])
  return { "require('bptt')": loaded, 'require(), new RNN() and predict()': since(begin), 'the same with the start of Node': since(0) }
}

/** In a process of its own: how long calls of train() last before they return. */
async function reading(form, count, backend) {
  const {
    RNN,
    text: { chars },
  } = await import('bptt')
  const x = FORMS[form](count, (b, i) => ((b * 31 + i * 17) % 100) / 100)
  const y = Int32Array.from({ length: count }, (_, b) => b % 2)
  const model = new RNN({ input: form === 'strings' ? chars(LETTERS) : 1, state: 8, output: 2, backend })
  const calls = []
  for (let n = 0; n < 6; n++) {
    const begin = performance.now()
    const run = model.train({ x, y }, { epochs: 1 })
    calls.push(since(begin))
    await run.stop()
  }
  return { first: calls[0], later: median(calls.slice(1)) }
}

function child(task) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--child', JSON.stringify(task)], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

async function main() {
  const { values, number, among } = parsed({
    help: flag,
    json: flag,
    sequences: { ...text, default: '200000' },
    forms: text,
    processes: { ...text, default: '7' },
    backend: { ...text, default: 'native' },
    child: text,
  })
  if (values.help) return console.log(HELP)
  if (values.child) {
    const { form, count, backend } = JSON.parse(values.child)
    return console.log(JSON.stringify(await (form ? reading(form, count, backend) : start(backend))))
  }
  const count = number('sequences', Number.isInteger)
  const processes = number('processes', Number.isInteger)
  const forms = among('forms', Object.keys(FORMS))
  const [backend] = among('backend', ['native', 'wasm', 'reference'])
  const machine = machineFacts()
  warnIfBusy(machine)
  const starts = Array.from({ length: processes }, () => child({ backend }))
  const records = Object.keys(starts[0]).map((what) => ({ what, seconds: { first: median(starts.map((one) => one[what])), later: null } }))
  for (const form of forms) records.push({ what: `train(): ${form}`, seconds: child({ form, count, backend }) })
  if (values.json) return console.log(JSON.stringify({ machine, sequences: count, records }, null, 1))
  const columns = [
    ['until it returns or answers', -40, ({ what }) => what],
    ['first', 12, ({ seconds }) => duration(seconds.first)],
    ['later calls', 14, ({ seconds }) => (seconds.later === null ? '' : duration(seconds.later))],
  ]
  console.log(`${machineHead(machine, 1)}\n\n${table(columns, records)}\n\ntrain() reads ${count} sequences of ${STEPS} steps.`)
}

runMain(main, HELP)
