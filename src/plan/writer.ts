/* Writes the instructions of a plan (plan/compile.ts), those that are repeated over stretches of time included. */
import { NONE } from './memory.js'
import { OPERATIONS, Opcode, type OperationName } from './operations.js'
import type { Plan } from './plan.js'

let plans = 0

/** Says that an argument moves from segment to segment (operations.ts, MOVE): [by, units], for BEFORE with the states. */
export type Movement = readonly [by: number, units: number, rows?: number]
export type Moves = Record<string, Movement | undefined>

export class Writer {
  private readonly code: number[] = []
  private readonly constants: number[] = []
  private count = 0
  emit(name: OperationName, ...args: number[]): void {
    if (args.length !== OPERATIONS[name].length) throw new Error(`${name} takes ${OPERATIONS[name].length} arguments`)
    this.code.push(Opcode[name], ...args)
    this.count++
  }
  /** In segments: with what moves, by the arguments' names. */
  emitMoving(moves: Moves, name: OperationName, ...args: number[]): void {
    for (const [argument, move] of Object.entries(moves))
      if (move) this.emit('MOVE', (OPERATIONS[name] as readonly string[]).indexOf(`@${argument}`), move[0], move[1], move[2] ?? NONE)
    this.emit(name, ...args)
  }
  /** What `body` emits, once for each segment. @param body returns how many of its first instructions the first of them leaves out */
  segments(steps: number, order: 'forward' | 'backward', body: () => number): void {
    this.emit('SEGMENTS', steps, order === 'forward' ? 0 : 1, 0, 0)
    const end = this.code.length
    const before = this.count
    this.code[end - 2] = body()
    this.code[end - 1] = this.count - before
  }
  /** Instructions so far. */
  get length(): number {
    return this.count
  }
  constant(value: number): number {
    this.constants.push(value)
    return this.constants.length - 1
  }
  finish(): Plan {
    return { id: ++plans, code: Int32Array.from(this.code), constants: Float64Array.from(this.constants) }
  }
}
