/*
 * Derives the coefficients of tanh in src/plan/functions.ts: tanh x = x·P(x²) ÷ Q(x²), P and Q of degree 4 with P(0) = Q(0) = 1, so that
 * small x come back as they are. Minimax of the relative error by Lawson's iteration (reweighted linear least squares) in float64; then
 * the coefficients are rounded to float32 one after the other, the rest fitted again. Prints them, highest power first, and the errors.
 *   node bench/derive/tanh.mjs
 */
const BOUND = Number(process.argv[2] ?? 9)
const DEGREE_P = Number(process.argv[3] ?? 4)
const DEGREE_Q = Number(process.argv[4] ?? 4)
const NODES = 3000

const y = Array.from({ length: NODES }, (_, i) => (BOUND * (0.5 - 0.5 * Math.cos((Math.PI * (i + 0.5)) / NODES))) ** 2)
const f = y.map((v) => Math.tanh(Math.sqrt(v)) / Math.sqrt(v))

/** Least squares by Householder reflections: rows A, right side b, weights w. */
function solve(A, b, w) {
  const m = A.length
  const n = A[0].length
  const scale = Array.from({ length: n }, (_, j) => 1 / Math.max(...A.map((row) => Math.abs(row[j])))) // columns of like size
  const R = A.map((row, i) => row.map((v, j) => v * scale[j] * w[i]))
  const r = b.map((v, i) => v * w[i])
  for (let j = 0; j < n; j++) {
    let norm = 0
    for (let i = j; i < m; i++) norm += R[i][j] ** 2
    norm = Math.sqrt(norm) * (R[j][j] < 0 ? 1 : -1)
    const v = R.slice(j).map((row) => row[j])
    v[0] -= norm
    const vv = v.reduce((s, x) => s + x * x, 0)
    for (let k = j; k <= n; k++) {
      let dot = 0
      for (let i = j; i < m; i++) dot += v[i - j] * (k < n ? R[i][k] : r[i])
      const t = (2 * dot) / vv
      for (let i = j; i < m; i++)
        if (k < n) R[i][k] -= t * v[i - j]
        else r[i] -= t * v[i - j]
    }
  }
  const x = Array(n).fill(0)
  for (let j = n - 1; j >= 0; j--) {
    let s = r[j]
    for (let k = j + 1; k < n; k++) s -= R[j][k] * x[k]
    x[j] = s / R[j][j]
  }
  return x.map((v, j) => v * scale[j])
}

/** Fits the coefficients that are not fixed. Linearised: P(y) - f·Q(y) = 0, divided by f·Q of the round before. */
function fit(fixedP, fixedQ) {
  const free = []
  for (let k = 1; k <= DEGREE_P; k++) if (fixedP[k] === undefined) free.push(['p', k])
  for (let k = 1; k <= DEGREE_Q; k++) if (fixedQ[k] === undefined) free.push(['q', k])
  const p = Array.from({ length: DEGREE_P + 1 }, (_, k) => (k === 0 ? 1 : (fixedP[k] ?? 0)))
  const q = Array.from({ length: DEGREE_Q + 1 }, (_, k) => (k === 0 ? 1 : (fixedQ[k] ?? 0)))
  const value = (c, v) => c.reduceRight((s, a) => s * v + a, 0)
  let lawson = y.map(() => 1)
  let best = { error: Infinity }
  for (let round = 0; round < 60; round++) {
    const A = y.map((v, i) => free.map(([which, k]) => (which === 'p' ? v ** k : -f[i] * v ** k)))
    const b = y.map(
      (v, i) =>
        f[i] * q.reduce((s, c, k) => s + (k === 0 || fixedQ[k] !== undefined ? c * v ** k : 0), 0) -
        p.reduce((s, c, k) => s + (k === 0 || fixedP[k] !== undefined ? c * v ** k : 0), 0),
    )
    if (free.length) {
      const w = y.map((v, i) => Math.sqrt(lawson[i]) / (f[i] * Math.abs(value(q, v)) || 1))
      solve(A, b, w).forEach((x, j) => {
        ;(free[j][0] === 'p' ? p : q)[free[j][1]] = x
      })
    }
    const errors = y.map((v, i) => Math.abs(value(p, v) / (value(q, v) * f[i]) - 1))
    const error = Math.max(...errors)
    if (error < best.error && Number.isFinite(error)) best = { error, p: [...p], q: [...q] }
    if (!free.length) break
    lawson = lawson.map((l, i) => l * (errors[i] / error + 1e-3))
    const sum = lawson.reduce((a, b) => a + b, 0)
    lawson = lawson.map((l) => (l * NODES) / sum)
  }
  return best
}

const fixedP = []
const fixedQ = []
let found = fit(fixedP, fixedQ)
console.log('in float64', found.error, found.p, found.q)
// The low powers carry most of the value: round them first and let the high ones make good for it.
for (let k = 1; k <= Math.max(DEGREE_P, DEGREE_Q); k++) {
  if (k <= DEGREE_Q) {
    fixedQ[k] = Math.fround(found.q[k])
    found = fit(fixedP, fixedQ)
  }
  if (k <= DEGREE_P) {
    fixedP[k] = Math.fround(found.p[k])
    found = fit(fixedP, fixedQ)
  }
}
console.log('rounded', found.error)
const P = found.p.map(Math.fround).reverse()
const Q = found.q.map(Math.fround).reverse()
console.log(
  'P',
  P.map((c) => Number(c.toPrecision(9))),
)
console.log(
  'Q',
  Q.map((c) => Number(c.toPrecision(9))),
)

const r = Math.fround
const forms = {
  'mul-add': (a, b, c) => r(r(a * b) + c),
  fma: (a, b, c) => r(a * b + c), // float64 sum: double rounding is rare enough for a statistic
}
for (const [name, madd] of Object.entries(forms)) {
  let worst = 0,
    worstAt = 0,
    absolute = 0,
    sum = 0,
    count = 0,
    above = 0
  const horner = (c, v) => {
    let s = c[0]
    for (let i = 1; i < c.length; i++) s = madd(s, v, c[i])
    return s
  }
  for (let i = 0; i < 2e6; i++) {
    const x = r(i < 1e6 ? BOUND * ((i + 0.37) / 1e6) : 2 ** (-20 + (24 * (i - 1e6)) / 1e6))
    const c = Math.min(x, r(BOUND))
    const v = r(c * c)
    const got = r(r(c * horner(P, v)) / horner(Q, v))
    const want = Math.tanh(x)
    const ulp = 2 ** (Math.floor(Math.log2(want)) - 23)
    const error = Math.abs(got - want) / ulp
    if (error > worst) {
      worst = error
      worstAt = x
    }
    absolute = Math.max(absolute, Math.abs(got - want))
    sum += error
    count++
    if (got > 1) above++
  }
  console.log(
    name,
    `max ${worst.toFixed(2)} ulp at ${worstAt}, mean ${(sum / count).toFixed(3)} ulp, max absolute ${absolute.toExponential(2)}, above 1: ${above}`,
  )
}
