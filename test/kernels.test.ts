/*
 * The kernels outside of Node: native/test/run.mjs compiles them and their driver for every target that has a compiler here, looks for what
 * must not be in the object files (fused operations in class mul-add, symbols that a linker may merge), and compares them with scalar code.
 */
import { execFile, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const compiler = spawnSync('g++', ['--version']).status === 0

it.skipIf(!compiler)(`kernels and disassembly${compiler ? '' : ': no g++ here'}`, { timeout: 240_000 }, async () => {
  const { code, output } = await new Promise<{ code: unknown; output: string }>((resolve) =>
    execFile(process.execPath, [join('native', 'test', 'run.mjs')], { cwd: root, maxBuffer: 1 << 24 }, (error, stdout, stderr) =>
      resolve({ code: error ? (error.code ?? error.signal) : 0, output: stdout + stderr }),
    ),
  )
  console.log(output.trim())
  expect(code, output).toBe(0)
})
