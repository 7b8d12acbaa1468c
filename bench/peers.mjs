/*
 * npm run bench:peers: the package beside other libraries, cell by cell in one run. Each contestant is a process of its own (contestants.mjs) that
 * starts from the same weights; what it computes is compared (race.mjs), and only then is it timed, in rounds in which all take turns.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { grids } from './cells.mjs'
import { BEFORE, contestants, processors } from './contestants.mjs'
import { machineFacts } from './machine.mjs'
import { merged, peersReport } from './peers-report.mjs'
import { race } from './race.mjs'
import { flag, note, parsed, runMain, text, UsageError, warnIfBusy } from './usage.mjs'

const HELP = `npm run bench:peers -- [options]      (or node bench/peers.mjs [options], built before)

  --install          first installs the JavaScript peers into bench/peers/node_modules (npm ci, without their scripts), then ends
  --peers IDS        who races: ${contestants('python3')
    .map(({ id }) => id)
    .join(',')}; default: all that are here
  --peer ID=COMMAND  one more: a program that speaks as bench/serve.mjs does; its last argument is the number of threads
  --before PATH      our contestants a second time, as they are built in another checkout: what a change has brought
  --python PATH      the interpreter that has the Python peers (default python3)
  --grid GRIDS       ${Object.keys(grids).join(',')} (default cells,tokens)
  --cells IDS        only these of the grids
  --threads LIST     1, pinned to one processor where taskset is, and 2 (default 1,2)
  --seconds N        for each figure (default 1), in rounds
  --patience N       seconds that a single answer may take (default 20); who takes longer is left out of larger cells
  --no-peaks         does not measure what the machine could do, for which a program is compiled
  --out FILE         adds the result to FILE, in place of what it has of the same: a long run in pieces
  --show FILES       runs nothing: the tables of such files
  --json             the result as JSON

Ctrl-C ends it with what was measured so far. Nothing else should run beside it.`

function options() {
  const { values, positionals, number, among } = parsed(
    {
      help: flag,
      install: flag,
      json: flag,
      peers: text,
      peer: { ...text, multiple: true, default: [] },
      before: text,
      python: { ...text, default: 'python3' },
      grid: { ...text, default: 'cells,tokens' },
      cells: text,
      threads: { ...text, default: '1,2' },
      seconds: { ...text, default: '1' },
      patience: { ...text, default: '20' },
      out: text,
      'no-peaks': flag,
      show: flag,
    },
    true,
  )
  if (positionals.length > 0 !== values.show) throw new UsageError(values.show ? '--show: which files?' : `there is no '${positionals[0]}'`)
  const others = values.peer.map((one) => {
    const at = one.indexOf('=')
    if (at < 1) throw new UsageError(`--peer: '${one}' is not ID=COMMAND`)
    return [one.slice(0, at), one.slice(at + 1)]
  })
  const everybody = contestants(values.python, others, values.before && resolve(values.before))
  const who = among(
    'peers',
    everybody.map(({ id }) => id),
  ).flatMap((id) => [id, id + BEFORE])
  const cells = among('grid', Object.keys(grids)).flatMap((name) => grids[name])
  const which = among(
    'cells',
    cells.map(({ id }) => id),
  )
  return {
    ...values,
    files: positionals,
    contestants: everybody.filter(({ id }) => who.includes(id) || others.some(([other]) => other === id)),
    cells: cells.filter(({ id }) => which.includes(id)),
    threads: among('threads', ['1', '2']).map(Number),
    seconds: number('seconds'),
    patience: number('patience'),
  }
}

const read = (file) => JSON.parse(readFileSync(file, 'utf8')).runs

function written(file, fresh) {
  let old = []
  try {
    old = read(file)
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  writeFileSync(file, `${JSON.stringify({ runs: merged(old, fresh) }, null, 1)}\n`)
}

async function main() {
  const settings = options()
  if (settings.help) return console.log(HELP)
  if (settings.install) {
    const cwd = fileURLToPath(new URL('peers', import.meta.url))
    const { status } = spawnSync('npm', ['ci', '--ignore-scripts'], { cwd, stdio: 'inherit', shell: process.platform === 'win32' })
    process.exitCode = status ?? 1
    return
  }
  if (settings.show) return console.log(peersReport(settings.files.flatMap(read)))
  const machine = machineFacts()
  warnIfBusy(machine)
  const allowed = processors(machine.processors)
  const runs = []
  let stopped = false
  for (const signal of ['SIGINT', 'SIGTERM']) {
    process.once(signal, () => {
      note('what was measured so far follows')
      stopped = true
    })
  }
  for (const threads of settings.threads) {
    if (stopped) break
    if (threads > allowed.length) {
      note(`not measured with ${threads} threads: there is ${allowed.length} processor`)
      continue
    }
    const pinned = spawnSync('taskset', ['-V']).status === 0 ? allowed.slice(0, threads) : undefined
    const run = { machine, threads, pinned, ...(await race({ ...settings, stopped: () => stopped }, threads, pinned, note)) }
    runs.push(run)
    if (settings.out) written(settings.out, [run])
  }
  const wrong = runs.flatMap(({ left }) => left.filter(({ wrong: one }) => one))
  if (wrong.length > 0) process.exitCode = 1
  console.log(settings.json ? JSON.stringify({ runs }, null, 1) : peersReport(runs))
}

runMain(main, HELP)
