/* doctor(): what would run here, and why not something better. Few programs ask: who answers is loaded then. */
import type { BackendName, EngineDescription } from './backends/engine.js'
import { chooseBackend, loadBackend } from './backends/select.js'
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
  const { diagnose } = await import('./diagnosis.js')
  return diagnose(platform(), loadBackend, chooseBackend)
}
