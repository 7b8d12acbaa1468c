/*
 * Time, by the npm package `benchmark`. It runs one case to its end before the next, so that a machine that grows busier favours the
 * first; here the contenders therefore take turns, round by round.
 */
import { readdirSync, readFileSync } from 'node:fs'
import benchmark from 'benchmark'

export const ROUNDS = 5
/** In a round: short enough that some fall between two interruptions. */
const SAMPLES = 8

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Nanoseconds that the threads of this process ran, and that they waited for a processor; undefined where the system does not say. */
function scheduled() {
  try {
    const threads = readdirSync('/proc/self/task').map((id) =>
      readFileSync(`/proc/self/task/${id}/schedstat`, 'utf8').split(' ').map(Number),
    )
    return threads.reduce(([ran, waited], [more, late]) => [ran + more, waited + late], [0, 0])
  } catch {
    return undefined
  }
}

/** Seconds that this thread (the main one) has waited for a processor so far; 0 where the system does not say. */
export function waited() {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e9
  } catch {
    return 0
  }
}

/** Seconds of one call, sample by sample, for `seconds`; `count` is a guess of the calls that fit into one sample. */
function sampled({ call, async, count }, seconds) {
  return new Promise((resolve, reject) => {
    let failure
    const deferred = (clock) =>
      call().then(
        () => clock.resolve(),
        (error) => {
          failure = error
          clock.benchmark.abort()
          clock.resolve()
        },
      )
    new benchmark('case', {
      fn: async ? deferred : call,
      defer: async,
      async: true,
      initCount: count,
      minTime: seconds / SAMPLES,
      maxTime: seconds,
      minSamples: 1,
      onComplete() {
        const error = failure ?? this.error
        if (error) reject(error)
        else resolve(this.stats.sample)
      },
    }).run()
  })
}

/** At least three calls and 50 ms, for WebAssembly to reach its last compiler; fewer where a call takes long. */
async function warm(call) {
  let fastest = Infinity
  let async = false
  const start = performance.now()
  for (let n = 0; n === 0 || (fastest < 1 && (n < 3 || performance.now() - start < 50)); n++) {
    const from = performance.now()
    const result = call()
    async = result instanceof Promise
    await result
    fastest = Math.min(fastest, (performance.now() - from) / 1000)
  }
  return { async, fastest }
}

/**
 * Times each call, in interleaved rounds that take `seconds` for each in all.
 * @param calls Map of functions, or of functions that return a promise
 * @returns Map of { samples: seconds of one call, several a round; ran: the share of its time that it had a processor, where known }
 */
export async function interleaved(calls, seconds) {
  const slot = seconds / ROUNDS
  const timed = new Map()
  for (const [key, call] of calls) {
    const { async, fastest } = await warm(call)
    timed.set(key, { call, async, count: Math.max(1, Math.round(slot / SAMPLES / fastest)), samples: [], time: [0, 0] })
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const entry of timed.values()) {
      const before = scheduled()
      entry.samples.push(...(await sampled(entry, slot)))
      const after = scheduled()
      entry.time = before && after && entry.time.map((sum, i) => sum + after[i] - before[i])
    }
  }
  return new Map([...timed].map(([key, { samples, time }]) => [key, { samples, ran: time && time[0] / (time[0] + time[1]) }]))
}
