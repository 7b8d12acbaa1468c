/* Plans as assembly/interpreter.ts reads them. */
import { OPERATIONS, operationNames } from '../plan/operations.js'
import type { Plan } from '../plan/plan.js'

/**
 * Each instruction with its size in bytes in front, and what SEGMENTS counts in bytes too.
 * @returns also whether there are any, and the multiplications of matrix products for each row of a frame, at most
 */
export function encode({ code }: Plan): { code: Int32Array; segmented: boolean; work: number } {
  const out: number[] = []
  /** Where instruction n begins. */
  const begins: number[] = []
  const segments: number[] = []
  let work = 0
  for (let i = 0; i < code.length; ) {
    const name = operationNames[code[i]! - 1]!
    const fields: readonly string[] = OPERATIONS[name]
    const size = 1 + fields.length
    const of = (field: string) => code[i + 1 + fields.indexOf(field)]!
    if (/^PROJECT|^RECUR/.test(name)) work += fields.includes('S') ? of('S') ** 2 : of('N') * of('K')
    if (name === 'SEGMENTS') segments.push(begins.length)
    begins.push(4 * out.length)
    out.push(4 * (size + 1), ...code.subarray(i, i + size))
    i += size
  }
  begins.push(4 * out.length)
  for (const n of segments)
    for (const argument of [4, 5]) {
      const at = begins[n]! / 4 + argument
      out[at] = begins[n + 1 + out[at]!]! - begins[n + 1]!
    }
  return { code: Int32Array.from(out), segmented: segments.length > 0, work }
}
