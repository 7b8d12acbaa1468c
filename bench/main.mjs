/*
 * npm run bench: the package's backends and instruction sets side by side. Each case is verified, then timed (cases.mjs, clock.mjs).
 *
 * A record of --json: { cell, case, backend, description, verified, error, seconds: { median, best, samples }, ran (the share of the time that
 * it had a processor; below 1 others were in the way), perSecond, gflops or gelements (10⁹ a second), peakShare, bareRatio (train, ragged and predict:
 * its time by that of the bare step or forward pass) }
 */
import { cases } from './cases.mjs'
import { cells } from './cells.mjs'
import { interleaved, median, ROUNDS } from './clock.mjs'
import { findContenders } from './contenders.mjs'
import { machineFacts, measurePeaks, peakName } from './machine.mjs'
import { profile } from './profile.mjs'
import { machineHead, machineLines, profileTable, resultTable, scalingTable } from './report.mjs'
import { scaling, scalingBackends, scalingCases, scalingCells } from './scaling.mjs'
import { flag, note, parsed, runMain, text, UsageError, warnIfBusy } from './usage.mjs'

const extra = scalingCells.slice(cells.length).map(({ id }) => id)

const HELP = `node bench/main.mjs [options]      (built before: npm run bench -- [options])

  --only CASES       ${Object.keys(cases).join(',')}
  --cells CELLS      ${cells.map(({ id }) => id).join(',')}
  --backends IDS     beginnings such as native, native/avx2, wasm/simd128, reference
  --seconds N        for each figure (default 0.5), in ${ROUNDS} rounds; the peaks take twice as long, a second at most, five times
  --threads N        of the native and WebAssembly backends (default 1)
  --all              also what would take far longer than --seconds
  --profile CELL     instead: where the time of a training step goes, operation by operation (default: on the best backend)
  --scaling          instead: what --threads (default 2) bring to --backends ${scalingBackends.join(',')} (default ${scalingBackends[0]}) in
                     ${scalingCases.join(', ')} (--only), beside one thread and beside as many processes that share the batch and never wait for
                     each other; cells also ${extra.join(',')}
  --hogs             with --scaling: while one more process spins on each processor
  --json             machine, peaks and records as JSON

${Object.entries(cases)
  .map(([name, { help }]) => `  ${name.padEnd(9)} ${help}`)
  .join('\n')}

For figures of one core: taskset -c 0 npm run bench. Nothing else should run beside it.`

function options() {
  const { values, number, among } = parsed({
    help: flag,
    json: flag,
    all: flag,
    only: text,
    cells: text,
    backends: text,
    profile: text,
    scaling: flag,
    hogs: flag,
    seconds: { ...text, default: '0.5' },
    threads: text,
  })
  values.threads ??= values.scaling ? '2' : '1'
  const known = values.scaling || values.profile !== undefined ? scalingCells : cells
  const ids = known.map(({ id }) => id)
  if (values.hogs && !values.scaling) throw new UsageError('--hogs: belongs to --scaling')
  if (values.profile !== undefined) among('profile', ids)
  const chosen = among('cells', ids, values.profile ?? values.cells)
  return {
    ...values,
    only: among('only', values.scaling ? scalingCases : Object.keys(cases)),
    cells: known.filter(({ id }) => chosen.includes(id)),
    backends: values.scaling ? among('backends', scalingBackends, values.backends ?? scalingBackends[0]) : values.backends?.split(','),
    seconds: number('seconds', Number.isFinite),
    threads: number('threads', Number.isInteger),
  }
}

/** What users call, by the plan that it runs. */
const BARE = { train: 'step', ragged: 'step', predict: 'forward' }

/** Verifies a case on each contender that can bear it, then times them in turn. */
async function race(cell, name, contenders, { seconds, all }, peaks, left) {
  const { prepare, flop, elements } = cases[name]
  const work = flop?.(cell)
  const prepared = new Map()
  const bits = new Map()
  try {
    for (const contender of contenders) {
      const estimate = (work ?? 20 * elements(cell)) / (1e9 * contender.gflops)
      if (!all && estimate > 2 * seconds) {
        left.push(`${cell.id} ${name} ${contender.id}`)
        continue
      }
      const { arithmetic } = contender.description
      try {
        const one = await prepare(cell, contender, seconds)
        prepared.set(contender, one)
        if (bits.has(arithmetic) && bits.get(arithmetic) !== one.bits) throw new Error(`other bits than another ${arithmetic} backend`)
        bits.set(arithmetic, one.bits)
      } catch (error) {
        error.message = `${cell.id} ${name} on ${contender.id}: ${error.message}`
        throw error
      }
    }
    const measured = await interleaved(new Map([...prepared].map(([contender, { call }]) => [contender, call])), seconds)
    return [...measured].map(([contender, { samples, ran }]) => {
      const { units, error } = prepared.get(contender)
      const each = samples.map((time) => time / units)
      const time = { median: median(each), best: Math.min(...each), samples: each }
      const gflops = work && work / time.median / 1e9
      if (gflops && name !== 'push') contender.gflops = gflops
      const peak = peaks[peakName(contender.description)]
      const record = {
        cell: cell.id,
        case: name,
        backend: contender.id,
        description: contender.description,
        verified: true,
        error,
        seconds: time,
        ran,
        perSecond: 1 / time.median,
      }
      return {
        ...record,
        ...(gflops ? { gflops } : { gelements: elements(cell) / time.median / 1e9 }),
        ...(gflops && peak && { peakShare: gflops / peak }),
      }
    })
  } finally {
    for (const { dispose } of prepared.values()) dispose()
  }
}

async function compare(settings, contenders, peaks) {
  const records = []
  const left = []
  for (const cell of settings.cells) {
    for (const name of settings.only) {
      note(`${cell.id} ${name} …`)
      records.push(...(await race(cell, name, contenders, settings, peaks, left)))
    }
    for (const record of records.filter((one) => one.case in BARE && one.cell === cell.id)) {
      const bare = records.find((one) => one.case === BARE[record.case] && one.cell === cell.id && one.backend === record.backend)
      if (bare) record.bareRatio = record.seconds.median / bare.seconds.median
    }
  }
  return { records, left }
}

async function main() {
  const settings = options()
  if (settings.help) return console.log(HELP)
  if (settings.scaling) {
    const machine = machineFacts()
    const records = await scaling(settings, note)
    if (settings.json) return console.log(JSON.stringify({ machine, records }, null, 1))
    return console.log(
      `${machineHead(machine, settings.threads)}\n\n${scalingTable(records)}\n\nSequences a second, medians of ${ROUNDS} rounds.`,
    )
  }
  const { contenders, absent } = findContenders(settings.threads, settings.backends)
  if (settings.profile && !settings.backends) contenders.length = Math.min(1, contenders.length)
  for (const reason of absent) note(`not here: ${reason}`)
  if (contenders.length === 0) throw new UsageError(`--backends: nothing here is called ${settings.backends}`)
  const machine = machineFacts()
  warnIfBusy(machine)
  const names = [...new Set(contenders.map(({ description }) => peakName(description)))].filter(Boolean)
  note('peaks …')
  const peaks = measurePeaks(names, Math.min(1, 2 * settings.seconds), settings.threads)
  const head = machineLines(machine, peaks, contenders, settings.threads)

  if (settings.profile) {
    const profiles = contenders.map((contender) => ({
      backend: contender.id,
      operations: profile(settings.cells[0], contender, peaks[peakName(contender.description)], settings.seconds),
    }))
    if (settings.json) return console.log(JSON.stringify({ machine, peaks, cell: settings.cells[0], profiles }, null, 1))
    console.log(head)
    for (const { backend, operations } of profiles) console.log(`\n${settings.profile} on ${backend}\n${profileTable(operations)}`)
    return
  }

  const { records, left } = await compare(settings, contenders, peaks)
  machine.loadAfter = machineFacts().load
  if (settings.json)
    return console.log(
      JSON.stringify(
        { machine, peaks, settings: { seconds: settings.seconds, threads: settings.threads, rounds: ROUNDS }, records, left },
        null,
        1,
      ),
    )
  console.log(`${head}\n\n${resultTable(records)}`)
  console.log(
    '\nMedian and best of rounds; rates by the median. Ge: 10⁹ elements a second. ran: the share of its time that a case had\na processor; where that is less than all, other programs are in the figure. error: largest difference from float64, by the\nlargest element. / bare: the time of an update in train() by that of the bare step, of predictMany() by that of the bare forward pass.',
  )
  if (left.length)
    console.log(
      `Left out because they take long (--all runs them): ${left.length} (${left.slice(0, 3).join('; ')}${left.length > 3 ? '; …' : ''})`,
    )
}

runMain(main, HELP)
