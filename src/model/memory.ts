/* memory(): bytes by purpose, of what a model holds now and of what a run or an answer of some size would take. */
import { chunkSize } from '../inference/chunks.js'
import { dataFloats, roomy } from '../inference/pass.js'
import { NONE, UNIT_BYTES, unitsOf } from '../plan/memory.js'
import type { Budget } from '../plan/segments.js'
import { noData } from '../plan/wants.js'
import { KIND } from '../training/optimizer-state.js'
import { momentsOf } from '../training/scalars.js'
import type { OptimizerSettings } from '../training/settings.js'
import type { Memory } from '../types.js'
import type { Core } from './core.js'
import type { Asked } from './plans.js'

export interface Question {
  readonly batchSize: number
  readonly length: number
  readonly sequences: number
  readonly optimizer: OptimizerSettings
  readonly memory: Budget
  readonly task: 'train' | 'predict'
}

export function memory(core: Core, question: Question | undefined): Memory {
  if (!question) {
    const { home, carry, scratch, ...held } = core.engineBytes
    return table(core, { ...held, home, states: carry + scratch })
  }
  return table(core, question.task === 'train' ? training(core, question) : predicting(core, question))
}

/** As train() does it with this many sequences, all of this length. */
function training(core: Core, { batchSize, length, sequences, optimizer, memory }: Question) {
  const { layout } = core
  const B = Math.min(batchSize, sequences)
  const moments = Object.values(momentsOf(optimizer)).filter((start) => start !== undefined).length
  const home = (layout.homeUnits + moments * layout.table.units) * UNIT_BYTES
  const floats = dataFloats(core, { B: sequences, R: sequences * length })
  const data = (unitsOf(floats.x) + 2 * unitsOf(floats.targets)) * UNIT_BYTES
  const update = { optimizer: KIND[optimizer.kind], flags: 0, m: NONE, v: NONE, a: NONE, maxNorm: undefined }
  const wants = { pack: true, loss: true, gradients: 'fresh', update } as const
  return taken(core, memory, { wants, capacity: { B, R: B * length }, steps: length }, home, data)
}

/** As predictMany() does it: so many at a time as make a pass. */
function predicting(core: Core, { batchSize, length }: Question) {
  const count = chunkSize(core, batchSize, length)
  const capacity = { B: roomy(count), R: roomy(count * length) }
  const data = unitsOf(dataFloats(core, capacity).x) * UNIT_BYTES
  return taken(
    core,
    'full',
    { wants: { outputs: true, pack: true }, capacity, steps: roomy(length) },
    core.layout.homeUnits * UNIT_BYTES,
    data,
  )
}

function taken(core: Core, budget: Budget, asked: Asked, home: number, data: number) {
  const { scratchBytes, packBytes } = core.within(budget, asked, noData, { home, dataBytes: data, carryBytes: 0 })
  return { home, data, states: scratchBytes, pack: packBytes, workspace: core.workspaceBytes }
}

function table({ layout }: Core, bytes: { home: number; data: number; states: number; pack: number; workspace: number }): Memory {
  const block = bytes.home > 0 ? layout.table.units * UNIT_BYTES : 0
  const { data, states, workspace } = bytes
  const purposes = { parameters: block, gradients: block, moments: bytes.home - 2 * block, packed: bytes.pack, data, states, workspace }
  const all = { ...purposes, total: Object.values(purposes).reduce((sum, size) => sum + size, 0) }
  const lines = Object.entries(all).map(([name, size]) => `${name.padEnd(12)}${readable(size).padStart(10)}`)
  return Object.defineProperty(all, 'toString', { value: () => lines.join('\n') }) as Memory
}

/** 1234567 is 1.23 MB. */
function readable(bytes: number): string {
  const [unit, size] = (
    [
      ['GB', 1e9],
      ['MB', 1e6],
      ['kB', 1e3],
    ] as const
  ).find(([, size]) => bytes >= size) ?? ['B', 1]
  return `${size === 1 ? bytes : (bytes / size).toPrecision(3)} ${unit}`
}
