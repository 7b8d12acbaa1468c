/*
 * The compiled WASM modules, one of each a process, compiled when first asked for: the plain build, and the relaxed one where the
 * engine takes it and really fuses. Called by wasm.ts.
 */
import { BpttError, show } from '../errors.js'
import type { Arithmetic, EngineOptions } from './engine.js'
import { relaxed, simd } from './wasm-bytes.gen.js'
import { createPages } from './wasm-memory.js'

export interface Compiled {
  readonly module: WebAssembly.Module
  readonly isa: 'simd128' | 'relaxed-simd'
  readonly arithmetic: Arithmetic
  /** Bytes that the module needs before its heap. */
  readonly heap: number
}

/** What assembly/index.ts exports. */
export interface Exports {
  readonly heap: WebAssembly.Global
  readonly regionBases: WebAssembly.Global
  probe(at: number): void
  run(code: number, end: number, constants: number, frame: number, starts: number, result: number): void
}

let plain: Compiled | undefined
let fast: Compiled | undefined

/** @throws ERR_BACKEND where WebAssembly cannot be used here. */
export function compiled(numerics: EngineOptions['numerics']): Compiled {
  if (typeof WebAssembly === 'undefined')
    throw new BpttError('ERR_BACKEND', 'WebAssembly is switched off in this JavaScript engine', { hint: 'node --jitless does that.' })
  if (numerics === 'fast') return (fast ??= fused() ?? compiled('portable'))
  return (plain ??= plainBuild())
}

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory, stopped: () => number): Exports {
  return new WebAssembly.Instance(module, { env: { memory }, context: { stopped } }).exports as unknown as Exports
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
  const module = compile(decode(simd()))
  return { module, isa: 'simd128', arithmetic: 'mul-add', heap: instantiate(module, createPages(1), () => 0).heap.value }
}

/** The relaxed build, where madd rounds once: its specification allows either. */
function fused(): Compiled | undefined {
  const bytes = decode(relaxed())
  if (!WebAssembly.validate(bytes)) return undefined
  const module = compile(bytes)
  const memory = createPages(1)
  const { heap, probe } = instantiate(module, memory, () => 0)
  const at = 1024
  const floats = new Float32Array(memory.buffer, at, 16)
  floats.fill(1 + 2 ** -12, 0, 8)
  floats.fill(-(1 + 2 ** -11), 8, 12)
  probe(at)
  const rounded = floats.subarray(12)
  return rounded.every((x) => x === 2 ** -24) ? { module, isa: 'relaxed-simd', arithmetic: 'fma', heap: heap.value } : undefined
}

function decode(hex: string): Uint8Array<ArrayBuffer> {
  const digit = (at: number) => (hex.charCodeAt(at) & 15) + 9 * (hex.charCodeAt(at) >> 6)
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) bytes[i] = 16 * digit(2 * i) + digit(2 * i + 1)
  return bytes
}
