/*
 * What threads bring: a process with one thread, one with many, and as many processes of one thread each, which share the batch but
 * nothing else and never wait for each other: the most that this machine can do. They take turns (workload.mjs is what each runs).
 *
 * A record: { cell, case, backend, threads, hogs, rates: { one, team, apart } in sequences a second, speedup (team by one), ceiling (apart by one),
 * share (team by apart) }; apart and what follows from it are null where the batch cannot be divided.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { cells } from './cells.mjs'
import { median, ROUNDS } from './clock.mjs'

/** What threads must divide otherwise than by sequences. */
const SINGLE = [512, 1024].map((s) => ({ id: `single-${s}`, B: 1, T: 200, r: 16, s, t: 4, readout: 'last' }))
export const scalingCells = [...cells, ...SINGLE]
export const scalingBackends = ['native', 'wasm']
export const scalingCases = ['step', 'train', 'forward']

const WORKLOAD = fileURLToPath(new URL('workload.mjs', import.meta.url))

/** The processors that this process may use, as taskset has them: 0-3,6. */
function processors() {
  const list = /Cpus_allowed_list:\s*(\S+)/.exec(readFileSync('/proc/self/status', 'utf8'))[1]
  return list.split(',').flatMap((range) => {
    const [first, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, i) => first + i)
  })
}

/** A Node process, on one processor where one is named. */
function node(args, cpu) {
  const command = [process.execPath, ...args]
  if (cpu !== undefined) command.unshift('taskset', '-c', String(cpu))
  return spawn(command[0], command.slice(1), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
}

/** A process that runs workloads when asked to. */
class Runner {
  constructor(cpu) {
    this.process = node([WORKLOAD], cpu)
    this.process.on('error', (error) => this.reject?.(error))
    this.process.on('exit', (code, signal) => this.reject?.(new Error(`a process of the measurement ended (${signal ?? code})`)))
    this.process.on('message', ({ error, answer }) => (error ? this.reject(new Error(error)) : this.resolve(answer)))
  }

  ask(question) {
    return new Promise((resolve, reject) => {
      Object.assign(this, { resolve, reject })
      this.process.send(question, (error) => error && reject(error))
    })
  }

  end() {
    this.reject = undefined
    this.process.kill()
  }
}

/** Sequences a second of the processes in a slot, together. */
async function rate(runners, seconds) {
  const rates = await Promise.all(runners.map((runner) => runner.ask({ run: seconds })))
  return rates.reduce((sum, one) => sum + one, 0)
}

async function measure(cell, name, { backend, threads, seconds, hogs }) {
  const cpus = processors()
  if (cpus.length < threads) throw new Error(`${threads} threads need as many processors, and here are ${cpus.length}`)
  const divided = cell.B % threads === 0
  const groups = {
    one: [new Runner()],
    team: [new Runner()],
    apart: divided ? cpus.slice(0, threads).map((cpu) => new Runner(cpu)) : [],
  }
  const busy = hogs ? cpus.slice(0, threads).map((cpu) => node(['-e', 'for (;;);'], cpu)) : []
  try {
    const prepare = (runner, cell, threads) => runner.ask({ prepare: { cell, name, backend, threads, seconds: seconds / ROUNDS } })
    const bits = [await prepare(groups.one[0], cell, 1), await prepare(groups.team[0], cell, threads)]
    if (bits[0] !== bits[1]) throw new Error(`${cell.id} ${name}: ${threads} threads gave other bits than one`)
    await Promise.all(groups.apart.map((runner) => prepare(runner, { ...cell, B: cell.B / threads }, 1)))
    const rounds = []
    for (let round = 0; round < ROUNDS; round++) {
      const rates = { one: await rate(groups.one, seconds / ROUNDS), team: await rate(groups.team, seconds / ROUNDS), apart: null }
      if (divided) rates.apart = await rate(groups.apart, seconds / ROUNDS)
      rounds.push(rates)
    }
    const middle = (value) => median(rounds.map(value))
    return {
      cell: cell.id,
      case: name,
      backend,
      threads,
      hogs: busy.length,
      rates: { one: middle(({ one }) => one), team: middle(({ team }) => team), apart: divided ? middle(({ apart }) => apart) : null },
      speedup: middle(({ one, team }) => team / one),
      ceiling: divided ? middle(({ one, apart }) => apart / one) : null,
      share: divided ? middle(({ team, apart }) => team / apart) : null,
    }
  } finally {
    for (const hog of busy) hog.kill()
    for (const runner of Object.values(groups).flat()) runner.end()
  }
}

/** One record for each backend, cell and case. */
export async function scaling({ backends, cells: chosen, only, ...settings }, note) {
  const records = []
  for (const backend of backends) {
    for (const cell of chosen) {
      for (const name of only) {
        note(`${cell.id} ${name} ${backend} …`)
        records.push(await measure(cell, name, { ...settings, backend }))
      }
    }
  }
  return records
}
