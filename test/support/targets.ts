/*
 * Every backend and instruction set that a property is proved on, and which of them this machine has. BPTT_REQUIRE names those that must
 * be there (`native,wasm,reference,avx2`): their absence then fails instead of being skipped.
 */
import { RNN } from 'bptt'
import { afterAll, beforeAll, describe, it } from 'vitest'

export interface Target {
  readonly name: string
  /** BPTT_ISA; undefined: the best that there is. */
  readonly isa: string | undefined
  /** What a network's config says. */
  readonly config: { readonly backend: 'native' | 'wasm' | 'reference'; readonly threads: number; readonly numerics: 'fast' | 'portable' }
}

export interface Found extends Target {
  readonly arithmetic: 'fma' | 'mul-add'
}

/** Instruction sets of native code that this processor architecture can have. */
export const ISAS: readonly string[] = process.arch === 'arm64' ? ['neon'] : ['sse2', 'avx2', 'avx512']

const target = (
  name: string,
  backend: Target['config']['backend'],
  isa?: string,
  numerics: 'fast' | 'portable' = 'fast',
  threads = 2,
): Target => ({
  name,
  isa,
  config: { backend, threads, numerics },
})

/** One of each backend, as users get them. */
export const BACKENDS = [target('native', 'native'), target('wasm', 'wasm'), target('reference', 'reference')]
/** And every instruction set, in both arithmetics. */
export const TARGETS = [
  ...ISAS.flatMap((isa) => [
    target(`native ${isa}`, 'native', isa),
    ...(isa === 'sse2' ? [] : [target(`native ${isa} portable`, 'native', isa, 'portable')]),
  ]),
  ...BACKENDS.slice(1),
]

/** Runs with BPTT_ISA set; it is read whenever an engine is made. */
export function withIsa<T>(isa: string | undefined, run: () => T): T {
  const before = process.env.BPTT_ISA
  if (isa !== undefined) process.env.BPTT_ISA = isa
  try {
    return run()
  } finally {
    if (before === undefined) delete process.env.BPTT_ISA
    else process.env.BPTT_ISA = before
  }
}

/** The class of arithmetic of a target, or why it is not here. */
export function find({ isa, config }: Target): { arithmetic: 'fma' | 'mul-add' } | { absent: string } {
  try {
    const { backend } = withIsa(isa, () => {
      const model = new RNN({ input: 1, state: 1, output: { linear: 1 }, ...config })
      const { backend } = model
      model.dispose()
      return { backend }
    })
    if (backend.name !== config.backend || (isa !== undefined && backend.isa !== isa))
      return { absent: `asked for it, and got ${backend.name} ${backend.isa}` }
    return { arithmetic: backend.arithmetic }
  } catch (error) {
    return { absent: (error as Error).message }
  }
}

const required = (process.env.BPTT_REQUIRE ?? '').split(',').filter(Boolean)
export const isRequired = ({ isa, config }: Target) => required.includes(isa ?? config.backend)

/** Declares the tests of `body` for every target; those that are absent show as skipped, or fail where they are required. */
export function onEach(targets: readonly Target[], body: (target: Found) => void): void {
  for (const target of targets) {
    const found = find(target)
    if ('arithmetic' in found)
      describe(target.name, () => {
        let restore: string | undefined
        beforeAll(() => {
          restore = process.env.BPTT_ISA
          if (target.isa !== undefined) process.env.BPTT_ISA = target.isa
        })
        afterAll(() => {
          if (restore === undefined) delete process.env.BPTT_ISA
          else process.env.BPTT_ISA = restore
        })
        body({ ...target, ...found })
      })
    else if (isRequired(target))
      it(target.name, () => {
        throw new Error(`BPTT_REQUIRE asks for it: ${found.absent}`)
      })
    else it.skip(`${target.name} is not here: ${found.absent}`, () => {})
  }
}
