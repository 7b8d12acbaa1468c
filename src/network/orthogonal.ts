/*
 * Random orthogonal matrices, uniform over all of them (Stewart, "The efficient generation of random orthogonal matrices", 1980): the
 * product of Householder reflections of random vectors of dimension 1, 2, …, S, built up from the smallest, in 4/3·S³ operations. A
 * reflection changes each column for itself, so a group of them goes over four columns while those are in the cache, and the pass that
 * subtracts one sums up the next: a third of the time that one after the other over the whole matrix takes at S = 1760. Called by initialize.ts.
 */
import type { Random } from './random.js'

const GROUP = 16
/** Work between two pauses, in multiply-adds: about a millisecond. */
const PAUSE_EVERY = 1e6

/** W [S, S], by rows, into `out`. Pauses now and then, which the numbers do not depend on. */
export function* orthogonal(random: Random, S: number, out: Float32Array): Generator<void, void, void> {
  // Columns, the last one first, as they begin: before its own reflection a column is that of the unit matrix.
  const columns = new Float64Array(4 * Math.ceil(S / 4) * S)
  const vectors = () => Array.from({ length: GROUP + 1 }, () => new Float64Array(S))
  const [v, scaled] = [vectors(), vectors()]
  let work = 0
  for (let n = 0; n < S; n += GROUP) {
    for (let k = 0; k < GROUP; k++) {
      const from = S - 1 - n - k
      if (from >= 0) columns[(n + k) * S + from] = drawReflection(random, from, v[k + 1]!, scaled[k]!)
      else for (const none of [v[k + 1]!, scaled[k]!]) none.fill(0)
    }
    for (let column = 0; column < Math.min(S, n + GROUP); column += 4) {
      reflect(columns, column * S, S, Math.max(0, S - n - GROUP), v, scaled)
      work += 8 * GROUP * (n + GROUP)
      if (work < PAUSE_EVERY) continue
      work = 0
      yield
    }
  }
  for (let column = 0; column < S; column++) for (let i = 0; i < S; i++) out[i * S + S - 1 - column] = columns[column * S + i]!
}

/**
 * H = I - 2vvᵀ/vᵀv sends a random vector of rows [from, S) to -sign·norm·e₁; the factor -sign makes the first column uniform on the sphere.
 * @param scaled becomes 2v/vᵀv
 * @returns -sign
 */
function drawReflection(random: Random, from: number, v: Float64Array, scaled: Float64Array): number {
  let norm = 0
  for (let i = from; i < v.length; i++) {
    v[i] = random.normal()
    norm += v[i]! * v[i]!
  }
  norm = Math.sqrt(norm)
  const sign = v[from]! < 0 ? -1 : 1
  v[from] = v[from]! + sign * norm
  const scale = 1 / (norm * (norm + Math.abs(v[from]! - sign * norm)))
  for (let i = from; i < v.length; i++) scaled[i] = v[i]! * scale
  return -sign
}

/** Four columns from `at` on become their reflections along v[1], v[2], …, which are zero above row `from`, as are the columns. */
function reflect(columns: Float64Array, at: number, S: number, from: number, v: Float64Array[], scaled: Float64Array[]): void {
  const [a, b, c, d] = [at, at + S, at + 2 * S, at + 3 * S]
  let [pa, pb, pc, pd] = [0, 0, 0, 0]
  for (let k = 0; k <= GROUP; k++) {
    const [last, next] = [v[k]!, scaled[k]!]
    let [na, nb, nc, nd] = [0, 0, 0, 0]
    for (let i = from; i < S; i++) {
      const x = last[i]!
      const y = next[i]!
      const qa = columns[a + i]! - x * pa
      const qb = columns[b + i]! - x * pb
      const qc = columns[c + i]! - x * pc
      const qd = columns[d + i]! - x * pd
      columns[a + i] = qa
      columns[b + i] = qb
      columns[c + i] = qc
      columns[d + i] = qd
      na += y * qa
      nb += y * qb
      nc += y * qc
      nd += y * qd
    }
    ;[pa, pb, pc, pd] = [na, nb, nc, nd]
  }
}
