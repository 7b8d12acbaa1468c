/* A plan: straight-line code over the memory map, with the float64 constants it names. Built by plan/compile.ts, run by engines. */

import type { Segment } from './frame.js'
import { floatOffset, NONE, Region, regionOf, UNIT_FLOATS } from './memory.js'
import { By, OPERATIONS, operationNames } from './operations.js'

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

export interface Move {
  readonly argument: number
  readonly by: number
  readonly units: number
  readonly rows: number
}

/** An instruction with the MOVEs in front of it; SEGMENTS with the instructions that it repeats. */
export interface Part {
  readonly name: Instruction['name']
  readonly args: readonly number[]
  readonly moves: readonly Move[]
  readonly segments?: { readonly steps: number; readonly backwards: boolean; readonly skip: number; readonly body: readonly Part[] }
}

/** The instructions of a plan as an interpreter wants them. */
export function parts(plan: Plan): Part[] {
  const all = [...instructions(plan)]
  const between = (from: number, to: number): Part[] => {
    const list: Part[] = []
    let moves: Move[] = []
    for (let i = from; i < to; i++) {
      const { name } = all[i]!
      const args = Array.from(all[i]!.args)
      if (name === 'MOVE') {
        moves.push({ argument: args[0]!, by: args[1]!, units: args[2]!, rows: args[3]! })
      } else if (name === 'SEGMENTS') {
        const [steps, order, skipped, count] = args as [number, number, number, number]
        const leading = all.slice(i + 1, i + 1 + skipped).filter((one) => one.name !== 'MOVE').length
        list.push({ name, args, moves, segments: { steps, backwards: order === 1, skip: leading, body: between(i + 1, i + 1 + count) } })
        i += count
      } else {
        list.push({ name, args, moves })
        moves = []
      }
    }
    return list
  }
  return between(0, all.length)
}

/** The arguments of an instruction in a segment. */
export function moved({ args, moves }: Part, { m, first, before }: Segment): readonly number[] {
  if (moves.length === 0 || m === 0) return args
  const there = args.slice()
  for (const { argument, by, units, rows } of moves) {
    if (by === By.BEFORE) there[argument] = rows + (first - before) * units
    else there[argument]! += units * (by === By.ROW ? first : m)
  }
  return there
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
