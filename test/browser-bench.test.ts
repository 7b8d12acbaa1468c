/* npm run bench:browser: its contestants are compared before they are timed, and what it prints and writes is whole. No speed is judged here. */
import { execFileSync, spawnSync } from 'node:child_process'
import { expect, it } from 'vitest'
import { inChromium } from './support/chromium.js'

const bench = (...args: string[]) => [process.execPath, ['bench/browser.mjs', ...args], { encoding: 'utf8', stdio: 'pipe' }] as const

it('--help says what can be chosen, and what cannot be chosen is said with it', () => {
  expect(execFileSync(...bench('--help'))).toContain('wasm,wasm-portable,reference,tfjs-wasm,tfjs-cpu')
  const wrong = spawnSync(...bench('--cells', 'nothing'))
  expect(wrong.status).toBe(2)
  expect(wrong.stderr).toContain("there is no 'nothing', but stream, small")
})

inChromium(() => {
  it('bench:frames trains while a page draws, in the Worker and without one', { timeout: 60_000 }, () => {
    const args = ['bench/frames.mjs', '--json', '--cells', 'stream', '--seconds', '0.5']
    const { records } = JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8', stdio: 'pipe' }))
    expect(records.map(({ cell, where }: Record<string, string>) => `${cell} ${where}`)).toEqual([
      'none page',
      'stream Worker',
      'stream page',
    ])
    for (const { rate } of records.slice(1)) expect(rate).toBeGreaterThan(0)
    for (const { p50, p99, most } of records) expect([p50, p99, most].every(Number.isFinite)).toBe(true)
  })

  it('times the same work in pages side by side', { timeout: 120_000 }, () => {
    const args = ['--json', '--no-peaks', '--cells', 'stream', '--peers', 'wasm,wasm-portable,tfjs-wasm', '--seconds', '0.05']
    const { runs } = JSON.parse(execFileSync(...bench(...args)))
    const [{ machine, contestants, records, left, absent }] = runs
    expect(machine.browser).toMatch(/^Chromium \d+/)
    expect(left).toEqual([])
    for (const { id, reason } of absent) expect([id, reason]).toEqual(['tfjs-wasm', expect.stringContaining('@tensorflow/tfjs')])
    expect(contestants.map(({ description }: { description?: { isa: string } }) => description?.isa).slice(0, 2)).toEqual([
      'relaxed-simd',
      'simd128',
    ])
    const ours = records.filter(({ own }: { own: boolean }) => own)
    expect(ours.map(({ contestant, pass }: Record<string, string>) => `${contestant} ${pass}`).sort()).toEqual(
      ['wasm', 'wasm-portable'].flatMap((id) => [`${id} forward`, `${id} predictMany()`, `${id} step`, `${id} train()`]),
    )
    for (const { seconds, values } of records) {
      expect(seconds.typical).toBeGreaterThan(0)
      expect(values.every(Number.isFinite)).toBe(true)
    }
  })
})
