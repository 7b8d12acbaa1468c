/* Where this build runs: what all others ask. */
import { host } from './host.js'
import type { Platform } from './seam.js'

export const platform = (): Platform => host
