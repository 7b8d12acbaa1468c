/* The addon as a file: what it asks of the system that loads it, and its size. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { native } from './native-plan.js'

const { glibcVersionRuntime: glibc } = (process.report!.getReport() as unknown as { header: { glibcVersionRuntime?: string } }).header

/** a ≤ b, of versions with numbers between dots. */
const upTo = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true }) <= 0

// Published addons are built on Debian 12; newer compilers and libraries raise the floor of what they build for their own machine.
const built = native && process.platform === 'linux' && process.arch === 'x64' && glibc && upTo(glibc, '2.36')
it.skipIf(!built)('needs no newer libraries than Node 20 itself does', () => {
  const binary = readFileSync(new URL('../build/Release/bptt.node', import.meta.url))
  const text = binary.toString('latin1')
  const newest = (name: string) =>
    [...text.matchAll(new RegExp(`\\0${name}_([\\d.]+)(?=\\0)`, 'g'))]
      .map(([, version]) => version!)
      .sort((a, b) => (upTo(a, b) ? 1 : -1))[0]
  expect(upTo(newest('GLIBC')!, '2.14'), newest('GLIBC')).toBe(true)
  expect(upTo(newest('GLIBCXX')!, '3.4.22'), newest('GLIBCXX')).toBe(true)
  expect(binary.length).toBeLessThan(500_000)
})
