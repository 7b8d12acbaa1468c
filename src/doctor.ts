/* doctor(): what would run here, and why not something better. */

import type { BackendName, EngineDescription } from './backends/engine.js'
import { chooseBackend, loadBackend } from './backends/select.js'
import { BpttError } from './errors.js'
import { VERSION } from './files/version.js'
import { platform } from './platform/platform.js'

export interface Diagnosis {
  readonly version: string
  readonly runtime: string
  /** What a model with backend 'auto' gets; undefined where that is an error. */
  readonly chosen: BackendName | undefined
  readonly backends: readonly {
    readonly name: BackendName
    readonly usable: boolean
    readonly reason?: string
    readonly fast?: EngineDescription
    readonly portable?: EngineDescription
  }[]
  readonly threads: number
  /** For people. */
  toString(): string
}

/** Tries every backend; never throws. */
export async function doctor(): Promise<Diagnosis> {
  const threads = platform().threads()
  const backends = (['native', 'wasm', 'reference'] as const).map((name) => {
    try {
      const backend = loadBackend(name)
      return {
        name,
        usable: true,
        fast: backend.describe({ numerics: 'fast', threads: undefined }),
        portable: backend.describe({ numerics: 'portable', threads: undefined }),
      }
    } catch (error) {
      return { name, usable: false, reason: error instanceof Error ? error.message : String(error) }
    }
  })
  let chosen: BackendName | undefined
  let refusal = ''
  try {
    const { name } = chooseBackend().backend
    const { usable, reason } = backends.find((backend) => backend.name === name)! // it loads, but may be told to do what it cannot
    if (usable) chosen = name
    else refusal = reason!
  } catch (error) {
    refusal = error instanceof BpttError ? error.message : String(error)
  }
  const facts = { version: VERSION, runtime: platform().describe(), chosen, backends, threads }
  return { ...facts, toString: () => words(facts, refusal) }
}

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
