/* The package (own-passes.mjs) as a contender of `npm run bench:peers`. Arguments: threads, and the backend. */
import { loadBackend } from '#lib/backends/select.js'
import { builder } from './own-passes.mjs'
import { absent, serve } from './serve.mjs'

const [threads, name] = [Number(process.argv[2]), process.argv[3]]
const options = { numerics: 'fast', threads }

let backend
try {
  backend = loadBackend(name)
} catch (error) {
  absent(error)
}
serve({ name: `bptt ${name}`, version: '', description: backend.describe(options), build: builder({ backend, options }) })
