/* Which sequences are kept from training for validation. */
import { BpttError } from '../errors.js'
import { everyId } from '../inference/pass.js'
import type { Network } from '../network/network.js'
import { Random } from '../network/random.js'
import type { Targets } from '../sequences/data.js'

export interface Split {
  readonly train: Int32Array
  readonly validation: Int32Array
}

export interface SplitRequest {
  readonly fraction: number
  readonly by: 'tail' | 'shuffle' | 'group' | 'auto'
  readonly seed: number
  /** A number for each sequence: those of one group stay together. */
  readonly groups: Int32Array | undefined
}

/** 'auto': by groups where they are given, else stratified by class (one softmax target a sequence), else shuffled. */
export function split(network: Network, count: number, targets: Targets, { fraction, by, seed, groups }: SplitRequest): Split {
  const random = new Random(seed, 'SPLIT')
  const all = everyId(count)
  if (by === 'group' && !groups)
    throw new BpttError('ERR_INVALID_ARG', 'validation by group needs groups', {
      at: 'options.validation.by',
      hint: 'Pass data.groups, one value for each sequence.',
    })
  const held = new Uint8Array(count)
  const hold = (ids: Int32Array, share: number) => {
    for (const id of ids.subarray(0, Math.round(share * ids.length))) held[id] = 1
  }
  if (by === 'tail') for (const id of all.subarray(count - Math.round(fraction * count))) held[id] = 1
  else if (by === 'group' || (by === 'auto' && groups)) holdGroups(groups!, fraction, random, held)
  else if (by === 'auto' && network.readout === 'last' && network.output.head === 'softmax') {
    const classes = membersOf(targets.values)
    for (const c of [...classes.keys()].sort((a, b) => a - b)) hold(random.shuffle(Int32Array.from(classes.get(c)!)), fraction)
  } else hold(random.shuffle(all.slice()), fraction)

  const train = all.filter((id) => !held[id])
  const validation = all.filter((id) => held[id])
  if (train.length && validation.length) return { train, validation }
  throw new BpttError('ERR_EMPTY', `validation leaves ${train.length ? 'no sequence to validate with' : 'no sequence to train on'}`, {
    at: 'options.validation',
    received: `${fraction} of ${count} sequence${count === 1 ? '' : 's'}`,
    hint: 'Use another fraction (of each class, where there are classes), or pass validation data.',
  })
}

/** Who has each number: in one pass, as there may be as many numbers as sequences. */
function membersOf(numbers: Int32Array | Float32Array): Map<number, number[]> {
  const members = new Map<number, number[]>()
  numbers.forEach((number: number, id: number) => {
    const those = members.get(number)
    if (those) those.push(id)
    else members.set(number, [id])
  })
  return members
}

/** Whole groups, in random order, until the fraction of sequences is reached. */
function holdGroups(groups: Int32Array, fraction: number, random: Random, held: Uint8Array): void {
  const members = membersOf(groups)
  const wanted = fraction * groups.length
  let taken = 0
  for (const group of random.shuffle(Int32Array.from(members.keys()))) {
    const ids = members.get(group)!
    if (taken > 0 && taken + ids.length / 2 > wanted) break
    for (const id of ids) held[id] = 1
    taken += ids.length
  }
}
