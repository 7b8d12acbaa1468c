/*
 * The factory of line.mjs: a production line of machines with sensors, made up from a seed; and how well anyone could possibly do on it.
 * A sequence is one shift: at each step every sensor is read, as its distance from normal, and all of that is noise, except that a machine
 * about to fail has shuddered once, shortly, long before the end. Nothing here knows of networks.
 */
export const machines = ['press', 'lathe', 'mill', 'robot']
const SENSORS = ['vibration', 'current']
/** Readings of a step: vibration and current of each machine. */
export const readings = machines.length * SENSORS.length
export const answers = ['none', ...machines]

/** Steps of a shift. */
export const STEPS = { from: 48, to: 60 }
/** Standard deviation of the noise. */
const NOISE = 0.25
/** What a shudder adds to the readings of its machine, step by step: [vibration, current]. */
const SHUDDER = [
  [0.6, 0.45],
  [0.6, 0.45],
  [0.6, 0.45],
]
/** Where a shudder begins, so many steps before the end: every machine takes its own time to fail. */
const LEAD = [
  { from: 43, to: 45 },
  { from: 39, to: 41 },
  { from: 35, to: 37 },
  { from: 31, to: 33 },
]
/** Steps before the end between which all symptoms lie. */
export const SYMPTOM = { from: LEAD.at(-1).from - SHUDDER.length + 1, to: LEAD[0].to }
/** Share of shifts after which nothing fails. */
const NONE = 0.25

/** @returns {{ x: Float32Array[][], y: string[] }} shifts, and which machine failed after each */
export function shifts(count, seed) {
  const random = generator(seed)
  const x = []
  const y = []
  for (let n = 0; n < count; n++) {
    const shift = Array.from({ length: between(random, STEPS) }, () =>
      Float32Array.from({ length: readings }, () => NOISE * normal(random)),
    )
    const failing = random() < NONE ? -1 : Math.floor(random() * machines.length)
    if (failing >= 0) {
      const start = shift.length - between(random, LEAD[failing])
      SHUDDER.forEach((added, i) => {
        added.forEach((a, sensor) => {
          shift[start + i][failing * SENSORS.length + sensor] += a
        })
      })
    }
    x.push(shift)
    y.push(answers[failing + 1])
  }
  return { x, y }
}

/**
 * Share of right answers of the ideal detector, which is told the noise, the shape of the shudder and when it may come: for each shift
 * the answer of the highest posterior probability. Nothing that sees only the readings is right more often, but by luck.
 */
export function ceiling({ x, y }) {
  return x.filter((shift, n) => ideal(shift) === y[n]).length / x.length
}

function ideal(shift) {
  const failing = machines.map((_, m) => {
    const { from, to } = LEAD[m]
    let sum = 0
    for (let back = from; back <= to; back++) sum += Math.exp(evidence(shift, m, shift.length - back))
    return ((1 - NONE) / machines.length) * (sum / (to - from + 1))
  })
  const odds = [NONE, ...failing] // all relative to the density of pure noise
  return answers[odds.indexOf(Math.max(...odds))]
}

/** ln of how much likelier these readings are with a shudder of machine m from this step on: Σ (a·x − a²/2) / σ². */
function evidence(shift, m, start) {
  let sum = 0
  SHUDDER.forEach((added, i) => {
    added.forEach((a, sensor) => {
      sum += (a * shift[start + i][m * SENSORS.length + sensor] - (a * a) / 2) / NOISE ** 2
    })
  })
  return sum
}

/** Uniform numbers in [0, 1): mulberry32. */
function generator(seed) {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let bits = Math.imul(state ^ (state >>> 15), 1 | state)
    bits = (bits + Math.imul(bits ^ (bits >>> 7), 61 | bits)) ^ bits
    return ((bits ^ (bits >>> 14)) >>> 0) / 2 ** 32
  }
}

const between = (random, { from, to }) => from + Math.floor(random() * (to - from + 1))
const normal = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random()) // Box and Muller
