/* What each operation of a plan writes, so that two engines can be compared after every one of them: the numbers, without padding. */
import type { Read } from '#lib/backends/engine.js'
import { stride, UNIT_FLOATS } from '#lib/plan/memory.js'
import { OPERATIONS, type OperationName, Rows } from '#lib/plan/operations.js'

export type Step = [OperationName, ...number[]]
/** `length` elements, of which the first `size` of every `width` count. */
export interface Output extends Read {
  readonly size: number
  readonly width: number
}

export const matrix = (at: number, rows: number, size: number, width = stride(size)): Output => ({
  at,
  kind: 'float32',
  length: rows * width,
  size,
  width,
})
const dense = (at: number, length: number) => matrix(at, 1, length, length)
const doubles = (at: number, length: number): Output => ({ at, kind: 'float64', length, size: length, width: length })

/** PACK is private to an engine; SUM_LOSS, NORM and CLIP write the frame's results. */
export function outputsOf([name, ...args]: Step, { B, R }: { B: number; R: number }): Output[] {
  const a = Object.fromEntries(OPERATIONS[name].map((arg, i) => [arg.replace('@', ''), args[i]!]))
  const rows = a.rows === Rows.BATCH ? B : R
  const written = (): Output[] => {
    switch (name) {
      case 'ZERO':
      case 'COPY':
        return [matrix(a.dst!, 1, a.units! * UNIT_FLOATS)]
      case 'FETCH':
        return [matrix(a.dst!, R, stride(a.K!))]
      case 'STATE_IN':
      case 'LAST':
        return [matrix(a.dst!, B, a.S!)]
      case 'STATE_OUT':
        return [matrix(a.carry!, B, a.S!)]
      case 'PROJECT':
        return [matrix(a.y!, rows, a.N!)]
      case 'GATHER':
        return [matrix(a.y!, R, a.N!)]
      case 'RECUR':
        return [matrix(a.s!, R, a.S!)]
      case 'LOSS':
        return [matrix(a.dz!, rows, a.N!), doubles(a.rowLoss!, 2 * rows)]
      case 'ACTIVATE':
        return [matrix(a.o!, rows, a.N!)]
      case 'PROJECT_DX':
        return [matrix(a.dx!, rows, a.K!)]
      case 'RECUR_BACK':
        return [matrix(a.d!, R, a.S!), matrix(a.g!, R, a.S!), matrix(a.g0!, B, a.S!)]
      case 'STEP_NORMS':
        return [doubles(a.norms0!, B), doubles(a.norms!, R)]
      case 'PROJECT_DW':
      case 'RECUR_DW':
      case 'GATHER_DW':
        return [dense(a.dM!, a.N! * a.K!)]
      case 'BIAS_DW':
        return [dense(a.db!, a.N!)]
      case 'UPDATE':
        return [a.p!, a.g!, a.m!, a.v!, a.a!].map((at) => dense(at, a.units! * UNIT_FLOATS))
      default:
        return []
    }
  }
  return written().filter(({ at, length }) => at >= 0 && length > 0)
}

/** The numbers without padding; NaN has one pattern, -0 is not 0. */
export function bitsOf(data: Float32Array | Float64Array, { size, width }: Output): string[] {
  const list: string[] = []
  for (let i = 0; i < data.length; i++) if (i % width < size) list.push(Object.is(data[i], -0) ? '-0' : String(data[i]))
  return list
}
