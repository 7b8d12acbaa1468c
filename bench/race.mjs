/*
 * One race of `npm run bench:peers`: all contestants with one number of threads, cell by cell. Before anybody is timed on a cell, what they compute
 * from the same weights is compared: the losses of some steps, each before its update, and the mean square of the logits.
 *
 * A record: { cell, kind, contestant, pass, seconds: { typical, best, rounds }, single (one call was all there was time for), gflops, peakShare,
 * values }. An entry of `left`: { cell, contestant, reason, wrong (it computes something else) }.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parameterView } from '#lib/network/parameters.js'
import { flop } from './cells.mjs'
import { median, ROUNDS } from './clock.mjs'
import { Contestant } from './contestants.mjs'
import { measureBandwidths, measurePeaks, peakName } from './machine.mjs'
import { Problem } from './problem.mjs'
import { TOLERANCE } from './verify.mjs'

const START_SECONDS = 120
/** Slower contestants are compared by fewer steps. */
const CHECK_SECONDS = 8
/** Compared losses: the third has seen two updates, so that a wrong gradient shows. */
const STEPS = 3
const WIDEST = ['avx512 fma', 'avx2 fma', '128-bit fma']

/** The weights and the data of a cell as files, little-endian: what every contestant starts from. */
export function write(folder, cell) {
  const problem = new Problem(cell)
  const views = problem.layout.table.list.map((parameter) => [parameter.name, parameterView(problem.weights, parameter)])
  for (const [name, data] of [...views, ['x', problem.x], ['y', problem.classes]])
    writeFileSync(join(folder, name), new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}

/** Whether two lists of values agree as far as both go. */
export const same = (values, others) =>
  values.every((value, i) => others[i] === undefined || Math.abs(value - others[i]) <= TOLERANCE * Math.abs(others[i]))

/** A contestant at work: a process, or what the entry itself connects to (browser.mjs: a page). */
const started = (entry, threads, pinned) => entry.connect?.(threads) ?? new Contestant(entry, threads, pinned)

/** Who is here. */
async function begin(list, threads, pinned, note) {
  const here = []
  const absent = []
  for (const entry of list) {
    const { id, install } = entry
    note(`${id} …`)
    const process = started(entry, threads, pinned)
    try {
      const hello = await process.answer(START_SECONDS)
      if (hello.absent !== undefined) throw new Error(hello.absent)
      here.push({ ...entry, ...hello, process, slowest: 0 })
    } catch (error) {
      await process.end()
      absent.push({ id, reason: error.message, install })
      note(`not here: ${id}: ${error.message} (${install})`)
    }
  }
  return { here, absent }
}

/** Restarts a contestant that did not answer: it may be in the middle of something. */
async function restarted(contestant, threads, pinned) {
  await contestant.process.end()
  contestant.process = started(contestant, threads, pinned)
  await contestant.process.answer(START_SECONDS)
}

/** Sets a contestant up for a cell. @returns its passes, each compared with what `values` has of its kind, where the first one puts it */
async function prepared({ process }, cell, folder, values, { patience }) {
  const { passes } = await process.ask({ do: 'setup', cell, folder }, Math.max(START_SECONDS, patience))
  const ready = []
  for (const [pass, { kind, checks = Infinity }] of Object.entries(passes)) {
    const steps = Math.min(checks, kind === 'training' ? STEPS : 1)
    const checked = await process.ask({ do: 'check', pass, steps, seconds: CHECK_SECONDS }, patience)
    values[kind] ??= checked.values
    if (!same(checked.values, values[kind]))
      throw Object.assign(new Error(`${pass} computes something else: ${checked.values} where there is ${values[kind]}`), { wrong: true })
    ready.push({ pass, kind, values: checked.values, rounds: [] })
  }
  return ready
}

function estimate(done, all, began) {
  const left = (((performance.now() - began) / done) * (all - done)) / 1000
  return `${Math.round((100 * done) / all)} %, ${left < 90 ? `${Math.ceil(left)} s` : `${Math.round(left / 60)} min`} left`
}

/** @returns { contestants, absent, peaks, bandwidths, seconds, rounds, records, left } */
export async function race(settings, threads, pinned, note) {
  const { cells, seconds, patience } = settings
  note(`${threads} thread${threads === 1 ? '' : 's'}${pinned ? ` on processor ${pinned.join(', ')}` : ''}`)
  const { here, absent } = await begin(
    settings.contestants.filter(({ alone }) => threads === 1 || !alone),
    threads,
    pinned,
    note,
  )
  const folder = mkdtempSync(join(tmpdir(), 'bptt-peers-'))
  const records = []
  const left = []
  try {
    const own = here.filter(({ description }) => description).map(({ description }) => peakName(description))
    const names = settings['no-peaks'] ? [] : [...new Set([...WIDEST, '128-bit mul-add', ...own])].filter(Boolean)
    const peaks = measurePeaks(names, Math.min(0.3, seconds), threads)
    const widest = WIDEST.find((name) => peaks[name])
    const bandwidths = widest ? measureBandwidths(widest, Math.min(0.2, seconds), threads) : {}
    const peakOf = ({ description, lanes }) =>
      peaks[description ? peakName(description) : lanes === 'widest' ? widest : lanes && '128-bit mul-add']
    const began = performance.now()
    let done = 0
    const all = cells.length * here.length * (ROUNDS + 2)
    const turn = (text) => note(`[${estimate(++done, all, began)}] ${text}`)

    for (const cell of cells) {
      if (settings.stopped()) break
      const work = { training: flop.step(cell), inference: flop.forward(cell) }
      write(folder, { f: 'tanh', ...cell })
      const values = {}
      const racing = []
      for (const contestant of here) {
        const leave = (reason, wrong) => {
          left.push({ cell: cell.id, contestant: contestant.id, reason, ...(wrong && { wrong }) })
          note(`left out: ${cell.id} ${contestant.id}: ${reason}`)
        }
        if (contestant.only && !contestant.only(cell)) continue
        const expected = contestant.slowest * work.training
        if (expected > patience) {
          leave(`a step would take about ${Math.round(expected)} s`)
          continue
        }
        try {
          racing.push([contestant, await prepared(contestant, { f: 'tanh', ...cell }, folder, values, settings)])
        } catch (error) {
          leave(error.message, error.wrong)
          if (!error.late) continue
          contestant.slowest = Math.max(contestant.slowest, patience / work.training)
          await restarted(contestant, threads, pinned)
        }
      }
      turn(`${cell.id}: the same losses from ${racing.map(([{ id }]) => id).join(', ')}`)
      done += here.length - 1
      for (let round = 0; round <= ROUNDS && !settings.stopped(); round++) {
        for (const [contestant, passes] of racing) {
          for (const entry of passes) {
            if (entry.single || settings.stopped()) continue
            try {
              // Round 0 is for compilers that learn by running: as long as all others together or longer, and forgotten.
              const slot = { do: 'run', pass: entry.pass, seconds: round === 0 ? seconds * (contestant.warm ?? 1) : seconds / ROUNDS }
              const start = performance.now()
              const { samples } = await contestant.process.ask(slot, 4 * patience)
              if (round === 1) entry.rounds = []
              entry.rounds.push(Math.min(...samples))
              entry.single = samples.length === 1 && performance.now() - start > 2000 * seconds
              if (entry.kind === 'training') contestant.slowest = Math.max(contestant.slowest, samples[0] / work.training)
            } catch (error) {
              note(`${cell.id} ${contestant.id}: ${error.message}`)
              entry.single = true
              if (error.late) await restarted(contestant, threads, pinned)
            }
          }
        }
        done += here.length - 1
        turn(round === 0 ? `${cell.id}: warm` : `${cell.id}: round ${round} of ${ROUNDS}`)
      }
      for (const [contestant, passes] of racing) {
        for (const { pass, kind, rounds, single, values: got } of passes) {
          if (rounds.length === 0) continue
          const time = { typical: median(rounds), best: Math.min(...rounds), rounds }
          const gflops = work[kind] / time.typical / 1e9
          const peak = peakOf(contestant)
          const record = {
            cell: cell.id,
            sizes: cell,
            kind,
            contestant: contestant.id,
            own: contestant.own ?? false,
            pass,
            seconds: time,
            single,
            gflops,
          }
          records.push({ ...record, ...(peak && { peakShare: gflops / peak }), values: got })
        }
      }
    }
    const described = here.map(({ id, own: ours, name, version, description }) => ({ id, own: ours ?? false, name, version, description }))
    return { contestants: described, absent, peaks, bandwidths, seconds, rounds: ROUNDS, records, left }
  } finally {
    for (const { process } of here) await process.end()
    rmSync(folder, { recursive: true, force: true })
  }
}
