/* Plans as assembly/interpreter.ts reads them. */
import { OPERATIONS, operationNames } from '../plan/operations.js'
import type { Plan } from '../plan/plan.js'

/** Each instruction with its size in bytes in front, and what SEGMENTS counts in bytes too. `segmented`: there are any. */
export function encode({ code }: Plan): { code: Int32Array; segmented: boolean } {
  const out: number[] = []
  /** Where instruction n begins. */
  const begins: number[] = []
  const segments: number[] = []
  for (let i = 0; i < code.length; ) {
    const name = operationNames[code[i]! - 1]!
    const size = 1 + OPERATIONS[name].length
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
  return { code: Int32Array.from(out), segmented: segments.length > 0 }
}
