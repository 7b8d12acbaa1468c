/*
 * Which backend a model gets: the first of a list that can be loaded, or the one that was asked for. A backend is loaded when it is first
 * needed, once; why one cannot be used is kept, so that a broken addon never looks like an absent one.
 */
import { BpttError, show } from '../errors.js'
import { platform } from '../platform/platform.js'
import type { Backend, BackendName } from './engine.js'
import { load } from './loaders.js'

export interface Refusal {
  readonly candidate: BackendName
  readonly refused: string
}

export interface BackendChoice {
  readonly backend: Backend
  /** The candidates before it, and why each was passed over. */
  readonly why: readonly Refusal[]
}

/** Best first. */
const ORDER: readonly BackendName[] = ['native', 'wasm', 'reference']
const loaded = new Map<BackendName, { backend: Backend } | { error: unknown }>()

/** The backend of a name, one object for the process. Throws what its loading threw, every time. */
export function loadBackend(name: BackendName): Backend {
  let outcome = loaded.get(name)
  if (!outcome) {
    try {
      outcome = { backend: load(name) }
    } catch (error) {
      outcome = { error }
    }
    loaded.set(name, outcome)
  }
  if ('error' in outcome) throw outcome.error
  return outcome.backend
}

/**
 * @param requested a backend's name, or 'auto': the one that the environment variable BPTT_BACKEND names, else the best that loads
 * @throws ERR_INVALID_ARG for an unknown name; ERR_BACKEND where a backend that was asked for cannot be used
 */
export function chooseBackend(requested: 'auto' | BackendName = 'auto'): BackendChoice {
  const fromOption = known(requested, 'backend')
  if (fromOption !== 'auto') return forced(fromOption, `backend: '${fromOption}'`)
  const fromEnvironment = known(platform().environment('BPTT_BACKEND') || 'auto', 'BPTT_BACKEND')
  if (fromEnvironment !== 'auto') return forced(fromEnvironment, `BPTT_BACKEND=${fromEnvironment}`)
  const why: Refusal[] = []
  for (const candidate of ORDER) {
    try {
      return { backend: loadBackend(candidate), why }
    } catch (error) {
      why.push({ candidate, refused: reason(error) })
    }
  }
  throw new BpttError('ERR_BACKEND', 'no backend can be used here', {
    received: why.map(({ candidate, refused }) => `${candidate}: ${refused}`).join('; '),
  })
}

function known(name: string, at: string): 'auto' | BackendName {
  if (name === 'auto' || ORDER.includes(name as BackendName)) return name as 'auto' | BackendName
  throw new BpttError('ERR_INVALID_ARG', 'there is no such backend', { at, expected: ['auto', ...ORDER].join(', '), received: show(name) })
}

function forced(name: BackendName, by: string): BackendChoice {
  const why = ORDER.slice(0, ORDER.indexOf(name)).map((candidate) => ({ candidate, refused: `${by} asks for another` }))
  try {
    return { backend: loadBackend(name), why }
  } catch (cause) {
    throw new BpttError('ERR_BACKEND', `${by} asks for a backend that cannot be used here (${reason(cause).replace(/\.$/, '')})`, {
      hint: 'Without it the best backend that works is taken; doctor() says more.',
      cause,
    })
  }
}

const reason = (error: unknown) => (error instanceof Error ? error.message : String(error))
