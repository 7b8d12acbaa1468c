/*
 * The shifts that the page's network learns from and is judged by, from the factory of `npm start`: in slices, so that the page stays
 * awake, and padded into one tensor, which train() copies in no time.
 */
import { answers, readings, STEPS, shifts } from '../line/factory.mjs'

export interface Shifts {
  readonly count: number
  /** [count, STEPS.to, readings] */
  readonly x: { readonly data: Float32Array; readonly shape: [number, number, number]; readonly lengths: Int32Array }
  readonly y: string[]
  /** As the factory made them: a list of steps each. */
  readonly list: Float32Array[][]
}

const SLICE = 100
const pause = () => new Promise((resolve) => setTimeout(resolve))

/** @param made hears how many there are so far */
export async function makeShifts(count: number, seed: number, made: (soFar: number) => void = () => {}): Promise<Shifts> {
  const shape: [number, number, number] = [count, STEPS.to, readings]
  const x = { data: new Float32Array(count * STEPS.to * readings), shape, lengths: new Int32Array(count) }
  const y: string[] = []
  const list: Float32Array[][] = []
  while (list.length < count) {
    const part = shifts(Math.min(SLICE, count - list.length), 1e6 * seed + list.length)
    for (const shift of part.x) {
      const n = list.push(shift) - 1
      x.lengths[n] = shift.length
      shift.forEach((step, i) => x.data.set(step, (n * STEPS.to + i) * readings))
    }
    y.push(...part.y)
    made(list.length)
    await pause()
  }
  return { count, x, y, list }
}

/** The first few of them. */
export const some = ({ x, y, list }: Shifts, count: number): Shifts => ({
  count,
  x: {
    data: x.data.subarray(0, count * STEPS.to * readings),
    shape: [count, STEPS.to, readings],
    lengths: x.lengths.subarray(0, count),
  },
  y: y.slice(0, count),
  list: list.slice(0, count),
})

/** Share of the commonest answer, and the loss of always giving the answers' frequencies. */
export function naive({ y }: Shifts): { accuracy: number; loss: number } {
  const shares = answers.map((answer) => y.filter((one) => one === answer).length / y.length)
  return { accuracy: Math.max(...shares), loss: -shares.reduce((sum, p) => sum + (p && p * Math.log(p)), 0) }
}
