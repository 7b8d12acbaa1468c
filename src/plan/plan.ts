/* A plan: straight-line code over the memory map, with the float64 constants it names. Built by plan/compile.ts, run by engines. */

import { floatOffset, NONE, Region, regionOf, UNIT_FLOATS } from './memory.js'
import { OPERATIONS, operationNames } from './operations.js'

export interface Plan {
  /** Unique in the process: engines keep what they prepare for a plan under it. */
  readonly id: number
  readonly code: Int32Array
  readonly constants: Float64Array
}

export interface Instruction {
  readonly name: (typeof operationNames)[number]
  readonly args: Int32Array
}

/** The instructions of a plan, for interpreters written in TypeScript and for printing. */
export function* instructions(plan: Plan): Generator<Instruction> {
  for (let at = 0; at < plan.code.length; ) {
    const name = operationNames[plan.code[at]! - 1]!
    const size = OPERATIONS[name].length
    yield { name, args: plan.code.subarray(at + 1, at + 1 + size) }
    at += 1 + size
  }
}

/** A plan as text, one instruction a line: `PROJECT y=scratch+0 x=data+12 … N=64 K=4 rows=0`. */
export function printPlan(plan: Plan): string {
  const regions = Object.keys(Region).map((name) => name.toLowerCase())
  const place = (at: number) => (at === NONE ? '-' : `${regions[regionOf(at)]}+${floatOffset(at) / UNIT_FLOATS}`)
  const lines: string[] = []
  for (const { name, args } of instructions(plan))
    lines.push(
      `${name} ${OPERATIONS[name].map((arg, i) => (arg.startsWith('@') ? `${arg.slice(1)}=${place(args[i]!)}` : `${arg}=${args[i]}`)).join(' ')}`,
    )
  return lines.join('\n')
}
