/* What a mistake leads to: catching errors, and holding one against its code, place and words. */
import { expect } from 'vitest'
import type { BpttError, ErrorCode } from '#lib/errors.js'

/** What a call throws. */
export function thrownBy(run: () => unknown): BpttError {
  try {
    run()
  } catch (error) {
    return error as BpttError
  }
  throw new Error('nothing was thrown')
}

/** What a promise rejects with, or a call throws at once or later. */
export async function errorOf(what: Promise<unknown> | (() => unknown)): Promise<BpttError> {
  try {
    await (typeof what === 'function' ? what() : what)
  } catch (error) {
    return error as BpttError
  }
  throw new Error('nothing was thrown')
}

/** A call that must throw this error; its message is `at`, then `rest`. */
export function refuses(run: () => unknown, code: ErrorCode, at: string, rest: string): void {
  const error = thrownBy(run)
  expect({ code: error.code, at: error.at, message: error.message }).toEqual({ code, at, message: `${at}: ${rest}` })
}
