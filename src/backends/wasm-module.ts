/*
 * The compiled WASM modules, one of each a process, compiled when first asked for: the plain build, and the relaxed one where the
 * engine takes it and really fuses; each for memory of its own or, with threads, for shared memory, in which one byte of the module
 * differs. Called by wasm.ts.
 */
import { BpttError, show } from '../errors.js'
import type { Arithmetic, EngineOptions } from './engine.js'
import { relaxed, simd } from './wasm-bytes.gen.js'
import { instantiate } from './wasm-instance.js'
import { createPages } from './wasm-memory.js'

export interface Compiled {
  readonly module: WebAssembly.Module
  readonly isa: 'simd128' | 'relaxed-simd'
  readonly arithmetic: Arithmetic
  /** Bytes that the module needs before its heap, and those that each thread more needs. */
  readonly heap: number
  readonly each: number
}

let plain: Compiled | undefined
let fast: Compiled | undefined
const forShared = new Map<Compiled, Compiled>()

/**
 * @param shared whether it is to run on shared memory
 * @throws ERR_BACKEND where WebAssembly cannot be used here.
 */
export function compiled(numerics: EngineOptions['numerics'], shared = false): Compiled {
  if (shared) {
    const alone = compiled(numerics)
    const build = alone.isa === 'simd128' ? simd : relaxed
    if (!forShared.has(alone)) forShared.set(alone, { ...alone, module: compile(decode(build, true)) })
    return forShared.get(alone)!
  }
  if (typeof WebAssembly === 'undefined')
    throw new BpttError('ERR_BACKEND', 'WebAssembly is switched off in this JavaScript engine', { hint: 'node --jitless does that.' })
  if (numerics === 'fast') return (fast ??= fused() ?? compiled('portable'))
  return (plain ??= plainBuild())
}

function compile(bytes: Uint8Array<ArrayBuffer>): WebAssembly.Module {
  try {
    return new WebAssembly.Module(bytes)
  } catch (cause) {
    const supported = WebAssembly.validate(bytes)
    throw new BpttError(
      'ERR_BACKEND',
      supported ? 'compiling WebAssembly is forbidden here' : 'this JavaScript engine has no SIMD in WebAssembly',
      {
        received: cause instanceof Error ? cause.message : show(cause),
        ...(supported && { hint: "A page's Content-Security-Policy must allow it: script-src 'wasm-unsafe-eval'." }),
        cause,
      },
    )
  }
}

function plainBuild(): Compiled {
  const module = compile(decode(simd))
  const { heap, each } = instantiate(module, createPages(1))
  return { module, isa: 'simd128', arithmetic: 'mul-add', heap: heap.value, each: each.value }
}

/** The relaxed build, where madd rounds once: its specification allows either. */
function fused(): Compiled | undefined {
  const bytes = decode(relaxed)
  if (!WebAssembly.validate(bytes)) return undefined
  const module = compile(bytes)
  const memory = createPages(1)
  const { heap, each, probe } = instantiate(module, memory)
  const at = 1024
  const floats = new Float32Array(memory.buffer, at, 16)
  floats.fill(1 + 2 ** -12, 0, 8)
  floats.fill(-(1 + 2 ** -11), 8, 12)
  probe(at)
  const rounded = floats.subarray(12)
  return rounded.every((x) => x === 2 ** -24)
    ? { module, isa: 'relaxed-simd', arithmetic: 'fma', heap: heap.value, each: each.value }
    : undefined
}

/** @param text as assembly/build.mjs wrote it */
function decode({ text, memory }: typeof simd, shared = false): Uint8Array<ArrayBuffer> {
  const bytes: number[] = []
  const value = (at: number) => text.charCodeAt(at) - (text.charCodeAt(at) < 92 ? 40 : 41)
  for (let i = 0; i < text.length; i++) {
    const first = value(i)
    bytes.push(79 - (first < 83 ? first : 83 * (first - 82) + value(++i)))
  }
  bytes[memory] = shared ? 3 : 1
  return Uint8Array.from(bytes)
}
