/*
 * Checks that a plan stays inside its memory: every operand of every operation inside its region, and whatever indexes memory (tokens,
 * classes, rows of carried states) in range. Called by wasm.ts before each run, as the native interpreter does for itself: there all
 * regions share one memory, and a stray offset would write into another. What fails here is a defect of this package, as users' values
 * are checked where they come in. Node only (Platform.planCheck).
 */
import { BpttError } from '../errors.js'
import { type FrameView, frameInts, segmentCount } from '../plan/frame.js'
import { floatOffset, NONE, REGIONS, regionOf, stride, UNIT_FLOATS } from '../plan/memory.js'
import { Above, By, Head, OPERATIONS, type OperationName, Optimizer, operationNames, Pack, Rows, UpdateFlag } from '../plan/operations.js'
import { type Part, type Plan, parts } from '../plan/plan.js'
import type { IndexMemory, PlanCheck } from './engine.js'

/** What the number of rows of an operand depends on in a frame. */
const Count = { ONE: 0, R: 1, B: 2, BASE: 3, TARGET_STEPS: 4, TARGET_LAST: 5, INIT: 6, SLOT: 7, SEGMENT: 8, WHOLE: 9 } as const
const COUNTS = 10

type Strip<A extends string> = A extends `@${infer Name}` ? Name : A
type Args<Op extends OperationName> = Record<Strip<(typeof OPERATIONS)[Op][number]>, number>
/** Address, what its rows depend on, floats of a row. */
type Operand = readonly [at: number, count: number, floats: number]
/** An operand that may be NONE. */
const optional = (at: number, count: number, floats: number): Operand[] => (at === NONE ? [] : [[at, count, floats]])
const rowsOf = (rows: number) => (rows === Rows.BATCH ? Count.B : Count.R)
const panels = (N: number) => 8 * Math.ceil(N / 8)

const operands: { [Op in OperationName]: (args: Args<Op>) => Operand[] } = {
  ZERO: ({ dst, units }) => [[dst, Count.ONE, units * UNIT_FLOATS]],
  COPY: ({ dst, src, units }) => [
    [dst, Count.ONE, units * UNIT_FLOATS],
    [src, Count.ONE, units * UNIT_FLOATS],
  ],
  FETCH: ({ dst, data, K }) => [
    [dst, Count.R, stride(K)],
    [data, Count.BASE, K],
  ],
  STATE_IN: ({ dst, carry, S }) => [
    [dst, Count.B, stride(S)],
    [carry, Count.INIT, stride(S)],
  ],
  STATE_OUT: ({ carry, s0, s, S }) => [
    [carry, Count.SLOT, stride(S)],
    [s0, Count.B, stride(S)],
    [s, Count.R, stride(S)],
  ],
  PACK: ({ pack, M, N, K, form }) => {
    const floats = form === Pack.PROJECT ? panels(N) * K : form === Pack.GATHER ? stride(N) * K : panels(K) * N
    return [
      [pack, Count.ONE, floats],
      [M, Count.ONE, N * K],
    ]
  },
  PROJECT: ({ y, x, pack, bias, bias2, N, K, rows }) => [
    [y, rowsOf(rows), stride(N)],
    [x, rowsOf(rows), stride(K)],
    [pack, Count.ONE, panels(N) * K],
    ...optional(bias, Count.ONE, N),
    ...optional(bias2, Count.ONE, N),
  ],
  GATHER: ({ y, tokens, pack, bias, bias2, N, K }) => [
    [y, Count.R, stride(N)],
    [tokens, Count.BASE, 1],
    [pack, Count.ONE, stride(N) * K],
    ...optional(bias, Count.ONE, N),
    ...optional(bias2, Count.ONE, N),
  ],
  RECUR: ({ s, s0, pack, S }) => [
    [s, Count.R, stride(S)],
    [s0, Count.B, stride(S)],
    [pack, Count.ONE, panels(S) * S],
  ],
  LAST: ({ dst, s0, s, S }) => [
    [dst, Count.B, stride(S)],
    [s0, Count.B, stride(S)],
    [s, Count.R, stride(S)],
  ],
  LOSS: ({ dz, z, targets, weights, rowLoss, N, head, rows }) => {
    const count = rowsOf(rows)
    const target = rows === Rows.BATCH ? Count.TARGET_LAST : Count.TARGET_STEPS
    const floats = head === Head.SOFTMAX ? 1 : N
    return [
      ...optional(dz, count, stride(N)),
      [z, count, stride(N)],
      [targets, target, floats],
      [weights, target, floats],
      [rowLoss, count === Count.R ? Count.WHOLE : count, 4],
    ]
  },
  SUM_LOSS: ({ rowLoss, rows }) => [[rowLoss, rowsOf(rows), 4]],
  ACTIVATE: ({ o, z, N, rows }) => [
    [o, rowsOf(rows), stride(N)],
    [z, rowsOf(rows), stride(N)],
  ],
  PROJECT_DX: ({ dx, dy, pack, N, K, rows }) => [
    [dx, rowsOf(rows), stride(K)],
    [dy, rowsOf(rows), stride(N)],
    [pack, Count.ONE, panels(K) * N],
  ],
  RECUR_BACK: ({ d, s, after, above, aboveKind, pack, S, g, g0 }) => [
    [d, Count.R, stride(S)],
    ...optional(after, Count.B, stride(S)),
    [s, Count.R, stride(S)],
    [pack, Count.ONE, panels(S) * S],
    ...(aboveKind === Above.NONE ? [] : ([[above, aboveKind === Above.LAST ? Count.B : Count.R, stride(S)]] as const)),
    ...optional(g, Count.R, stride(S)),
    ...optional(g0, Count.B, stride(S)),
  ],
  PROJECT_DW: ({ dM, dy, x, N, K, rows }) => [
    [dM, Count.ONE, N * K],
    [dy, rowsOf(rows), stride(N)],
    [x, rowsOf(rows), stride(K)],
  ],
  RECUR_DW: ({ dM, d, s, s0, N, K }) => [
    [dM, Count.ONE, N * K],
    [d, Count.R, stride(N)],
    [s, Count.R, stride(K)],
    [s0, Count.B, stride(K)],
  ],
  BIAS_DW: ({ db, dy, N, rows }) => [
    [db, Count.ONE, N],
    [dy, rowsOf(rows), stride(N)],
  ],
  GATHER_DW: ({ dM, dy, tokens, pack, N, K }) => [
    [dM, Count.ONE, N * K],
    [dy, Count.R, stride(N)],
    [tokens, Count.BASE, 1],
    [pack, Count.ONE, stride(N) * K],
  ],
  NORM: ({ gradients, units }) => [[gradients, Count.ONE, units * UNIT_FLOATS]],
  STEP_NORMS: ({ norms0, norms, g0, g, S }) => [
    [norms0, Count.B, 2],
    [norms, Count.R, 2],
    [g0, Count.B, stride(S)],
    [g, Count.R, stride(S)],
  ],
  CLIP: () => [],
  GUARD: () => [],
  SEGMENTS: () => [],
  MOVE: () => [],
  UPDATE: ({ p, g, m, v, a, units, optimizer, flags }) => {
    const adam = optimizer === Optimizer.ADAM || optimizer === Optimizer.ADAMW
    const blocks = [p, g]
    if (adam || (flags & UpdateFlag.MOMENTUM && optimizer !== Optimizer.ADAGRAD)) blocks.push(m)
    if (optimizer !== Optimizer.SGD) blocks.push(v)
    if (adam ? flags & UpdateFlag.AMSGRAD : optimizer === Optimizer.RMSPROP && flags & UpdateFlag.CENTERED) blocks.push(a)
    return blocks.map((at) => [at, Count.ONE, units * UNIT_FLOATS] as const)
  },
}

function defect(what: string): never {
  throw new BpttError('ERR_INTERNAL', `a plan does not fit its memory: ${what}`)
}

/** One past the last of n rows from `first` on; what lies before the data fits nowhere. */
const end = (first: number, n: number) => (first < 0 ? Infinity : first + n)

/** What one plan asks of memory: made once a plan. */
export class MemoryCheck implements PlanCheck {
  /** Five numbers an operand: region, offset in floats, Count, floats a row, and floats by which it moves from segment to segment. */
  private readonly operands: number[] = []
  private readonly tokens: Args<'GATHER' | 'GATHER_DW'>[] = []
  private readonly losses: Args<'LOSS'>[] = []
  private readonly counts = new Array<number>(COUNTS).fill(0)
  /** Steps of a segment; 0: there are none. */
  private readonly steps: number = 0

  constructor(plan: Plan) {
    const { code } = plan
    let left = 0 // instructions of SEGMENTS to come
    for (let i = 0, waiting = false; i < code.length; ) {
      const name = operationNames[code[i]! - 1] ?? defect(`opcode ${code[i]}`)
      if (i + OPERATIONS[name].length >= code.length) defect(`${name} is cut short`)
      const [steps = 0, order = 0, skip = 0, count = 0] = code.subarray(i + 1)
      if ((name === 'MOVE' || waiting) && left === 0) defect('MOVE outside of SEGMENTS')
      if (name === 'SEGMENTS') {
        if (left > 0 || waiting || !(steps > 0) || (this.steps && this.steps !== steps)) defect(`segments of ${steps} steps`)
        if (!(order >= 0 && order <= 1 && skip >= 0 && skip <= count && count > 0))
          defect(`segments of ${count} instructions, less ${skip}`)
        this.steps = steps
        left = count
      } else left -= Math.sign(left)
      waiting = name === 'MOVE'
      i += 1 + OPERATIONS[name].length
      if (i >= code.length && (left > 0 || waiting)) defect(`${name} ends a plan`)
    }
    for (const part of parts(plan)) {
      this.add(part, plan, false)
      for (const inner of part.segments?.body ?? []) this.add(inner, plan, true)
    }
  }

  private add({ name, args: list, moves }: Part, { constants }: Plan, inSegment: boolean): void {
    const args: Record<string, number> = Object.fromEntries(OPERATIONS[name].map((arg, n) => [arg.replace('@', ''), list[n]!]))
    for (const size of ['N', 'K', 'S', 'units', 'matrixUnits']) {
      if (args[size] !== undefined && !(args[size] >= (size.endsWith('nits') ? 0 : 1))) defect(`${name} with ${size} = ${args[size]}`)
    }
    // In a segment targets are those of its first step; and there is a step behind it.
    if (inSegment && name === 'LOSS' && args.rows === Rows.BATCH) defect('LOSS of whole sequences in a segment')
    if (inSegment && name === 'RECUR_BACK' && args.after === NONE) defect('RECUR_BACK in a segment, from nowhere')
    if (name === 'CLIP' && !(args.maxNorm! >= 0 && args.maxNorm! < constants.length)) defect('CLIP without its constant')
    const operand = (at: number, count: number, floats: number, shift = 0) => {
      const region = regionOf(at)
      if (!(region >= 0 && region < REGIONS)) defect(`${name} at address ${at}`)
      this.operands.push(region, floatOffset(at), count, floats, shift)
    }
    // What moves is looked for under a number that is no address.
    const standIn = (argument: number) => -2 - argument
    const named = OPERATIONS[name].map((arg) => arg.replace('@', ''))
    for (const { argument } of moves) {
      if (!OPERATIONS[name][argument]?.startsWith('@') || list[argument] === NONE) defect(`MOVE of argument ${argument} of ${name}`)
      args[named[argument]!] = standIn(argument)
    }
    for (const [found, count, floats] of (operands[name] as unknown as (a: typeof args) => Operand[])(args)) {
      const by = moves.find(({ argument }) => found === standIn(argument))
      const at = by ? list[by.argument]! : found
      if (!by) operand(at, inSegment && count === Count.R ? Count.SEGMENT : count === Count.WHOLE ? Count.R : count, floats)
      else if (by.by === By.SEGMENT && by.units >= 0 && count === Count.B) operand(at, count, floats, by.units * UNIT_FLOATS)
      else if (by.by === By.ROW && count === Count.R && by.units * UNIT_FLOATS === floats) operand(at, Count.R, floats)
      else if (by.by === By.BEFORE && count === Count.B && by.units * UNIT_FLOATS === floats && /^RECUR(_DW)?$/.test(name)) {
        operand(at, Count.B, floats)
        operand(by.rows, Count.R, floats)
      } else defect(`MOVE of ${name}`)
    }
    if (name === 'GATHER' || name === 'GATHER_DW') this.tokens.push(args as unknown as Args<'GATHER' | 'GATHER_DW'>)
    if (name === 'LOSS' && args.head === Head.SOFTMAX) this.losses.push(args as unknown as Args<'LOSS'>)
  }

  frame(frame: FrameView, ints: number, bytes: readonly number[]): void {
    const { B, T, R, active, base, tbase, last, init, saved, slot } = frame
    if (!(B >= 0 && T >= 0) || frame.size !== frameInts(B, T) || ints < frame.size || slot.length !== B) defect('a frame of another size')
    let rows = 0
    for (let i = 0; i < T; i++) {
      if (!(active[i]! >= 1 && active[i]! <= (i ? active[i - 1]! : B))) defect(`${active[i]} rows at step ${i}`)
      rows += active[i]!
    }
    if (rows !== R) defect(`${rows} rows in a frame of ${R}`)

    const counts = this.counts
    counts.fill(0)
    counts[Count.ONE] = 1
    counts[Count.R] = R
    counts[Count.B] = B
    let length = T
    for (let q = 0; q < B; q++) {
      while (length > 0 && active[length - 1]! <= q) length--
      if (!(last[q]! >= NONE && last[q]! < R && saved[q]! >= NONE && saved[q]! < R && init[q]! >= NONE && slot[q]! >= NONE))
        defect(`a row of sequence ${q}`)
      if (length > 0) {
        counts[Count.BASE] = Math.max(counts[Count.BASE]!, end(base[q]!, length))
        counts[Count.TARGET_STEPS] = Math.max(counts[Count.TARGET_STEPS]!, end(tbase[q]!, length))
      }
      counts[Count.TARGET_LAST] = Math.max(counts[Count.TARGET_LAST]!, end(tbase[q]!, 1))
      counts[Count.INIT] = Math.max(counts[Count.INIT]!, init[q]! + 1)
      counts[Count.SLOT] = Math.max(counts[Count.SLOT]!, slot[q]! + 1)
    }
    const { steps, operands: list } = this
    const segments = steps ? segmentCount(T, steps) : 1
    for (let m = 0; m < segments; m++) {
      const inside = frame.start[Math.min(T, (m + 1) * steps)]! - frame.start[m * steps]!
      counts[Count.SEGMENT] = Math.max(counts[Count.SEGMENT]!, inside)
    }
    for (let n = 0; n < list.length; n += 5) {
      const last = 4 * (list[n + 1]! + (segments - 1) * list[n + 4]! + counts[list[n + 2]!]! * list[n + 3]!)
      if (last > bytes[list[n]!]!) defect(`an operand ends at byte ${last} of a region of ${bytes[list[n]!]}`)
    }
  }

  indices({ B, T, active, base, tbase, from }: FrameView, memory: IndexMemory): void {
    const { ints, floats } = memory.views()
    for (const { tokens, K } of this.tokens) {
      const first = memory.byteOf(tokens) / 4
      for (let i = 0; i < T; i++)
        for (let q = 0; q < active[i]!; q++) {
          const token = ints[first + base[q]! + i]!
          if (token < 0 || token >= K) outOfRange('a token', token, K)
        }
    }
    for (const { targets, weights, N, rows } of this.losses) {
      const first = memory.byteOf(targets) / 4
      const w = memory.byteOf(weights) / 4
      const check = (row: number) => {
        const target = ints[first + row]!
        if (floats[w + row] !== 0 && (target < 0 || target >= N)) outOfRange('a target', target, N)
      }
      if (rows === Rows.BATCH) for (let q = 0; q < B; q++) check(tbase[q]!)
      else for (let i = 0; i < T; i++) for (let q = 0; q < active[i]!; q++) if (i >= from[q]!) check(tbase[q]! + i)
    }
  }
}

function outOfRange(what: string, value: number, size: number): never {
  throw new BpttError('ERR_OUT_OF_RANGE', `${what} is not one of the network's`, { expected: `0 … ${size - 1}`, received: String(value) })
}
