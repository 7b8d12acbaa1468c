/* Runs of `npm run bench:peers` as tables: a row for each contestant, a column for each cell, and below them how the package stands. */
import { grids } from './cells.mjs'
import { BEFORE } from './contestants.mjs'
import { duration, table } from './report.mjs'

const TITLES = { training: 'training, a step', inference: 'inference, a pass' }
/** The row that stands for the package where it is held against others. */
const BARE = { training: 'step', inference: 'forward' }
const CALLED = { training: 'train()', inference: 'predictMany()' }

const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
const ratio = (value) => (value < 10 ? value.toFixed(2) : value < 100 ? value.toFixed(1) : value.toFixed(0))
const percent = (value) => `${(100 * value).toFixed(0)} %`

/** Rows [label, cell → value or undefined, value → text] as a table, with the geometric mean of each row that has one for `mean`. */
function grid(title, cells, rows) {
  const columns = cells.map(({ id }) => [id, Math.max(10, id.length + 2), (row) => show(row, row.of(id))])
  const show = (row, value) => (value === undefined ? '' : row.text(value))
  const mean = (row) => {
    const values = cells.map(({ id }) => row.of(id)).filter((value) => value !== undefined)
    return row.mean && values.length > 1 ? row.text(geometricMean(values)) : ''
  }
  return table([[title, -34, ({ label }) => label], ...columns, ['mean', 9, mean]], rows)
}

function standings(kind, records, cells) {
  const of = (contestant, pass) => (cell) =>
    records.find((record) => record.cell === cell && record.contestant === contestant && (pass === undefined || record.pass === pass))
  const seconds = (find) => (cell) => find(cell)?.seconds.typical
  const best = (cell) => {
    const rivals = records.filter((record) => record.cell === cell && !record.own)
    return rivals.length ? Math.min(...rivals.map((record) => record.seconds.typical)) : undefined
  }
  const over = (a, b) => (cell) => (a(cell) === undefined || b(cell) === undefined ? undefined : a(cell) / b(cell))
  const rows = []
  const line = (label, value, text, mean = false) => {
    if (cells.some(({ id }) => value(id) !== undefined)) rows.push({ label, of: value, text, mean })
  }
  for (const pass of [BARE[kind], CALLED[kind]]) line(`native ${pass} / best rival`, over(seconds(of('native', pass)), best), ratio, true)
  for (const name of ['native', 'wasm'])
    for (const pass of [BARE[kind], CALLED[kind]])
      line(`${name} ${pass} / before`, over(seconds(of(name, pass)), seconds(of(name + BEFORE, pass))), ratio, true)
  for (const pass of [BARE[kind], CALLED[kind]])
    line(`tfjs-wasm / wasm ${pass}`, over(seconds(of('tfjs-wasm')), seconds(of('wasm', pass))), ratio, true)
  for (const name of ['native', 'wasm']) line(`${name} ${BARE[kind]}, of peak`, (cell) => of(name, BARE[kind])(cell)?.peakShare, percent)
  return rows
}

/** The table of one kind of pass. */
function kindTable(kind, all, cells) {
  const records = all.filter((record) => record.kind === kind)
  const names = [...new Set(records.map(({ contestant, own, pass }) => (own ? `${contestant} ${pass}` : contestant)))]
  const rows = names.map((label) => ({
    label,
    of: (cell) =>
      records.find((record) => record.cell === cell && (record.own ? `${record.contestant} ${record.pass}` : record.contestant) === label),
    text: ({ seconds, single }) => `${duration(seconds.typical).trim()}${single ? '*' : ''}`,
  }))
  return grid(TITLES[kind], cells, [...rows, ...standings(kind, records, cells)])
}

const unique = (list, key) => [...new Map(list.map((entry) => [key(entry), entry])).values()]

/** Where and when, what the machine could do (over several runs: from the least to the most), and who took part. */
function head(runs) {
  const [{ machine, threads, pinned }] = runs
  const range = (values) => {
    const [least, most] = [Math.min(...values).toFixed(0), Math.max(...values).toFixed(0)]
    return least === most ? least : `${least}–${most}`
  }
  const rates = (of) => {
    const names = [...new Set(runs.flatMap((run) => Object.keys(of(run))))]
    const all = (name) => runs.flatMap((run) => of(run)[name] ?? []).map((value) => value.rate ?? value)
    return names.map((name) => `${name} ${range(all(name))}`).join(', ') || 'not measured'
  }
  const here = unique(
    runs.flatMap((run) => run.contestants),
    ({ id }) => id,
  )
  const absent = unique(
    runs.flatMap((run) => run.absent),
    ({ id }) => id,
  ).filter(({ id }) => !here.some((other) => other.id === id))
  const when = [runs[0], runs.at(-1)].map((run) => run.machine.date.slice(0, 16).replace('T', ' '))
  return [
    `${threads} thread${threads === 1 ? '' : 's'}${pinned ? `, pinned to processor ${pinned.join(', ')}` : ''}; ${machine.cpu}, ${machine.system}, Node ${machine.node}`,
    `commit ${[...new Set(runs.map((run) => run.machine.commit))].join(', ')}; ${runs.length === 1 ? when[0] : `${runs.length} runs, ${when.join(' to ')}`}`,
    `GFLOP/s of multiply-adds: ${rates(({ peaks }) => peaks)}`,
    `GB/s of reading: ${rates(({ bandwidths }) => bandwidths)}`,
    `here: ${here.map(({ id, name, version, description }) => `${id} (${description ? `${description.isa}, ${description.arithmetic}` : `${name} ${version}`})`).join(', ')}`,
    ...absent.map(({ id, reason, install }) => `not here: ${id}: ${reason} (${install})`),
  ]
}

/** All runs of a number of threads together; where several measured a cell, the last one. */
function together(runs) {
  const records = unique(
    runs.flatMap((run) => run.records),
    ({ cell, contestant, pass }) => `${cell} ${contestant} ${pass}`,
  )
  const known = Object.values(grids).flat()
  const place = ({ id }) => known.findIndex((cell) => cell.id === id)
  const cells = unique(
    records.map(({ sizes }) => sizes),
    ({ id }) => id,
  ).sort((a, b) => place(a) - place(b))
  const left = unique(
    runs.flatMap((run) => run.left),
    ({ cell, contestant }) => `${cell} ${contestant}`,
  )
  return [
    ...head(runs),
    ...['training', 'inference'].map((kind) => `\n${kindTable(kind, records, cells)}`),
    left.length ? `\nLeft out:\n${left.map(({ cell, contestant, reason }) => `  ${cell} ${contestant}: ${reason}`).join('\n')}` : '',
  ].join('\n')
}

/** Runs as they are in a file, less what a newer one has measured again: the same contestant on the same cell with as many threads. */
export function merged(old, fresh) {
  const key = ({ threads }, { cell, contestant }) => `${threads} ${cell} ${contestant}`
  const again = new Set(fresh.flatMap((run) => [...run.records, ...run.left].map((entry) => key(run, entry))))
  const without = (run, list) => list.filter((entry) => !again.has(key(run, entry)))
  const kept = old.map((run) => ({ ...run, records: without(run, run.records), left: without(run, run.left) }))
  return [...kept.filter(({ records, left }) => records.length + left.length > 0), ...fresh]
}

export function peersReport(runs) {
  const threads = [...new Set(runs.map((run) => run.threads))]
  const notes =
    'The median over rounds of the best time of a round; * one call was all there was time for. Best rival: of those that are not ours.\nmean: geometric. Of peak: useful GFLOP/s by those of multiply-adds in registers with the same vectors, in the same run.'
  return [...threads.map((count) => together(runs.filter((run) => run.threads === count))), notes].join('\n\n')
}
