/* data.groups: which sequences belong together, as numbers from 0. */
import { BpttError, show } from '../errors.js'
import { sequenceList } from './steps.js'

export function groupNumbers(groups: unknown, B: number, at: string): Int32Array | undefined {
  if (groups === undefined) return undefined
  const list = sequenceList(groups, at, B)
  const numbers = new Map<unknown, number>()
  return Int32Array.from({ length: B }, (_, b) => {
    const group: unknown = list[b]
    if (typeof group !== 'string' && (typeof group !== 'number' || Number.isNaN(group)))
      throw new BpttError('ERR_INVALID_ARG', 'is not a group', {
        at: `${at}[${b}]`,
        expected: 'a string or a number',
        received: show(group),
      })
    const known = numbers.get(group) ?? numbers.size
    numbers.set(group, known)
    return known
  })
}
