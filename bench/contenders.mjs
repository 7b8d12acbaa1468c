/* What is compared: each backend of the package, on each instruction set and in each class of arithmetic that this machine has. */
import { loadBackend } from '#lib/backends/select.js'

const ISAS = ['avx512', 'avx2', 'sse2', 'neon']
/** GFLOP/s to reckon with before anything was measured: low, so that nobody waits for long. */
const GUESS = { native: 30, wasm: 8, reference: 0.1 }

/** Calls body, which may be async, with BPTT_ISA as this contender has it: engines read it when they are made. */
export function withIsa({ forcedIsa }, body) {
  const before = process.env.BPTT_ISA
  const restore = () => {
    if (before === undefined) delete process.env.BPTT_ISA
    else process.env.BPTT_ISA = before
  }
  if (forcedIsa) process.env.BPTT_ISA = forcedIsa
  let pending
  try {
    const result = body()
    if (result instanceof Promise) pending = result.finally(restore)
    return pending ?? result
  } finally {
    if (!pending) restore()
  }
}

/**
 * @param wanted undefined for all, or beginnings of ids: `native`, `native/avx2`, `wasm/relaxed-simd`
 * @returns the contenders, and why a backend is not among them
 */
export function findContenders(threads, wanted) {
  const contenders = []
  const absent = []
  for (const name of ['native', 'wasm', 'reference']) {
    let backend
    try {
      backend = loadBackend(name)
    } catch (error) {
      absent.push(`${name}: ${error.message}`)
      continue
    }
    for (const forcedIsa of name === 'native' ? ISAS : [undefined]) {
      for (const numerics of ['fast', 'portable']) {
        const options = { numerics, threads }
        const description = withIsa({ forcedIsa }, () => describe(backend, options))
        if (!description) continue
        const { isa, arithmetic } = description
        const id = name === 'reference' ? name : `${name}/${isa}/${arithmetic}`
        if (contenders.some((other) => other.id === id)) continue // portable is what fast was already
        const local = () => withIsa({ forcedIsa }, () => backend.createLocal(options))
        contenders.push({ id, name, forcedIsa, options, description, local, gflops: GUESS[name] })
      }
    }
  }
  const chosen = wanted ? contenders.filter(({ id }) => wanted.some((beginning) => `${id}/`.startsWith(`${beginning}/`))) : contenders
  return { contenders: chosen, absent }
}

/** undefined where BPTT_ISA names what this machine has not. */
function describe(backend, options) {
  try {
    return backend.describe(options)
  } catch (error) {
    if (error.code === 'ERR_INVALID_ARG') return undefined
    throw error
  }
}
