/* The reference as a backend: always there, and the last to be chosen. The maths is in src/reference/. */
import { createReference, referenceDescription } from '../reference/engine.js'
import type { Backend } from './engine.js'

export const loadReference = (): Backend => ({
  name: 'reference',
  describe: () => referenceDescription,
  workspaceBytes: () => 0,
  createLocal: (_options, asked) => createReference(asked),
})
