/* Whether an answer is right: held against float64 within what float32 may lose, and as a digest against other contenders, to the last bit. */
import { createHash } from 'node:crypto'

/** As a share of the largest element: what float32 may lose over the longest sums. A wrong row, bias or step is far above. */
export const TOLERANCE = 1e-4

/**
 * @returns the largest difference as a share of the largest element of `right`
 * @throws where that is above TOLERANCE, or not a number, or where there is nothing to compare
 */
export function verified(got, right) {
  if (got.length !== right.length || right.length === 0) throw new Error(`${got.length} numbers where there are ${right.length}`)
  const largest = right.reduce((most, y) => Math.max(most, Math.abs(y)), 0)
  let error = 0
  right.forEach((y, i) => {
    const difference = Math.abs(got[i] - y) / largest
    if (!(difference <= error)) error = difference // NaN too
  })
  if (!(error <= TOLERANCE)) throw new Error(`wrong by ${error} of the largest element, where ${TOLERANCE} is allowed`)
  return error
}

export const digest = ({ buffer, byteOffset, byteLength }) =>
  createHash('sha256')
    .update(new Uint8Array(buffer, byteOffset, byteLength))
    .digest('hex')
