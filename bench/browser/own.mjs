/* The package (../own-passes.mjs) as a page. Of its address: threads, the backend, and numerics. */
import { configure } from 'bptt'
import { loadBackend } from '#lib/backends/select.js'
import { builder } from '../own-passes.mjs'
import { given, serve } from './serve.mjs'

configure({ worker: () => new Worker('worker.js', { type: 'module' }) })

serve(() => {
  const options = { numerics: given.numerics, threads: Number(given.threads) }
  const backend = loadBackend(given.backend)
  const description = backend.describe(options)
  if (description.threads < options.threads) throw new Error(`it has ${description.threads} thread here`)
  return { name: `bptt ${given.backend} ${description.isa}`, version: '', description, build: builder({ backend, options }) }
})
