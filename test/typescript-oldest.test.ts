/* The declarations are read by TypeScript 5.2 too, the oldest that knows `using`. It is fetched from the registry; without one, skipped. */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const PROGRAM = `
import { RNN, type Run } from 'bptt'
using m = new RNN({ input: 4, state: [8, 4], output: ['a', 'b'], readout: 'all' })
const run: Run = m.train({ x: [[[1, 2, 3, 4]]], y: [['a']] }, { optimizer: { sgd: { lr: 1 } } })
for await (const { loss } of run) loss.toFixed()
const label: 'a' | 'b' = (await m.predict([[1, 2, 3, 4]]))[0]!.label
// @ts-expect-error
const other: 'c' = label
// @ts-expect-error
m.train({ x: [], y: [] }, { optimizer: { adam: {}, sgd: { lr: 1 } } })
`

it('TypeScript 5.2 accepts programs against the declarations, and refuses wrong ones', { timeout: 120_000 }, ({ skip }) => {
  const folder = mkdtempSync(join(tmpdir(), 'bptt-typescript-'))
  try {
    writeFileSync(join(folder, 'package.json'), '{ "private": true }')
    const install = spawnSync('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'typescript@5.2', '@types/node@20'], {
      cwd: folder,
      encoding: 'utf8',
      timeout: 90_000,
      shell: process.platform === 'win32',
    })
    if (install.status !== 0) skip(`typescript@5.2 could not be fetched: ${install.stderr?.trim().split('\n')[0] ?? install.error}`)
    mkdirSync(join(folder, 'node_modules'), { recursive: true })
    symlinkSync(root, join(folder, 'node_modules', 'bptt'), 'junction')
    writeFileSync(join(folder, 'program.mts'), PROGRAM)
    const programs = join(root, '..', 'shared', 'programs.mts')
    if (existsSync(programs)) copyFileSync(programs, join(folder, 'programs.mts'))
    else console.warn('SKIPPED in part: ../shared/programs.mts is absent')
    const files = ['program.mts', ...(existsSync(programs) ? ['programs.mts'] : [])]
    const tsc = join(folder, 'node_modules', 'typescript', 'bin', 'tsc')
    const check = (...more: string[]) =>
      spawnSync(process.execPath, [tsc, '--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', ...more], {
        cwd: folder,
        encoding: 'utf8',
      })
    expect(check('--types', 'node', ...files)).toMatchObject({ stdout: '', status: 0 })
    // As in a browser: nothing but the package itself can bring Symbol.dispose.
    expect(check('--typeRoots', 'none', 'program.mts')).toMatchObject({ stdout: '', status: 0 })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
