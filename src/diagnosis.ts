/*
 * What doctor() finds. It is handed what it asks: of modules that the first load and a later one both import, bundlers make files of their
 * own, which cost a page more than this one saves.
 */
import type { BackendName, EngineDescription } from './backends/engine.js'
import type { chooseBackend, loadBackend } from './backends/select.js'
import type { Diagnosis } from './doctor.js'
import { VERSION } from './files/version.js'
import type { Platform } from './platform/seam.js'

export function diagnose(here: Platform, load: typeof loadBackend, choose: typeof chooseBackend): Diagnosis {
  const threads = here.threads()
  const backends = (['native', 'wasm', 'reference'] as const).map((name) => {
    try {
      const backend = load(name)
      return {
        name,
        usable: true,
        fast: backend.describe({ numerics: 'fast', threads: undefined }),
        portable: backend.describe({ numerics: 'portable', threads: undefined }),
      }
    } catch (error) {
      return { name, usable: false, reason: reasonOf(error) }
    }
  })
  let chosen: BackendName | undefined
  let refusal = ''
  try {
    const { name } = choose().backend
    const { usable, reason } = backends.find((backend) => backend.name === name)! // it loads, but may be told to do what it cannot
    if (usable) chosen = name
    else refusal = reason!
  } catch (error) {
    refusal = reasonOf(error)
  }
  const facts = { version: VERSION, runtime: here.describe(), chosen, backends, threads }
  return { ...facts, toString: () => words(facts, refusal) }
}

const reasonOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

function words({ version, runtime, chosen, backends, threads }: Omit<Diagnosis, 'toString'>, refusal: string): string {
  const how = ({ isa, arithmetic, threads }: EngineDescription) => `${isa}, ${arithmetic}, ${threads} thread${threads === 1 ? '' : 's'}`
  return [
    `bptt ${version} on ${runtime}, ${threads} thread${threads === 1 ? '' : 's'} worth starting`,
    ...backends.map(({ name, usable, reason, fast, portable }) =>
      usable
        ? `  ${name === chosen ? '→' : ' '} ${name.padEnd(10)} ${how(fast!)}; portable: ${how(portable!) === how(fast!) ? 'the same' : how(portable!)}`
        : `    ${name.padEnd(10)} not usable: ${reason}`,
    ),
    refusal ? `  No model can be run: ${refusal}` : `  A model with backend 'auto' runs on ${chosen}.`,
  ].join('\n')
}
