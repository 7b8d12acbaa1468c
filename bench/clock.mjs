/*
 * Time, by the npm package `benchmark`. It runs one case to its end before the next, so that a machine that grows busier favours the
 * first; here each contender therefore gets one sample a round, in turn.
 */
import benchmark from 'benchmark'

export const ROUNDS = 5

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Seconds of one call, over at least `seconds`; `count` is a guess of the calls that fit. */
function sample({ call, async, count }, seconds) {
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
      minTime: seconds,
      maxTime: 0,
      minSamples: 1,
      onComplete() {
        const error = failure ?? this.error
        if (error) reject(error)
        else resolve(Math.min(...this.stats.sample))
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
 * @returns Map of their samples, seconds of one call, one sample a round
 */
export async function interleaved(calls, seconds) {
  const slot = seconds / ROUNDS
  const timed = new Map()
  for (const [key, call] of calls) {
    const { async, fastest } = await warm(call)
    timed.set(key, { call, async, count: Math.max(1, Math.round(slot / fastest)), samples: [] })
  }
  for (let round = 0; round < ROUNDS; round++) for (const entry of timed.values()) entry.samples.push(await sample(entry, slot))
  return new Map([...timed].map(([key, { samples }]) => [key, samples]))
}
