/* The programs of examples/ run as they stand, or reduced where they take long, and their figures are what they claim to show. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { loadBackend } from '#lib/backends/select.js'

mkdirSync('build', { recursive: true })
const folder = mkdtempSync('build/examples-') // inside the project, where 'bptt' is this package
afterAll(() => rmSync(folder, { recursive: true }))

function run(program: string[], env: NodeJS.ProcessEnv = {}): string {
  const printed = execFileSync(process.execPath, program, { encoding: 'utf8', env: { ...process.env, ...env } })
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
  expect(printed).not.toMatch(/NaN|undefined|[\x1b\r]/)
  return printed
}

function refusal(backend: 'native' | 'wasm' | 'reference'): string | undefined {
  try {
    loadBackend(backend)
    return undefined
  } catch (error) {
    return String(error)
  }
}

/** So that the reports without details show it too. */
function skipped(skip: (note: string) => never, why: string): never {
  console.warn(`SKIPPED: ${why}`)
  return skip(why)
}

it('quickstart.mjs is the example of the README, and prints what its first line says', () => {
  const program = readFileSync('examples/quickstart.mjs', 'utf8')
  const words = (code: string) => code.replace(/\s/g, '').replaceAll(',)', ')')
  const [, readme] = /```js\n([\s\S]*?)```/.exec(readFileSync('README.md', 'utf8'))!
  expect(words(program.replace(/^\/\/.*\n/gm, ''))).toBe(words(readme!))
  expect(run(['examples/quickstart.mjs'])).toBe('0.977 0.5\ndown\n')
})

describe('line.mjs', () => {
  const share = (printed: string, of: string) => Number(new RegExp(`${of}.* ([\\d.]+) %`).exec(printed)![1])

  it.for(['native', 'wasm', 'reference'] as const)('goes all its way, reduced, on %s', (backend, { skip }) => {
    const why = refusal(backend)
    if (why) skipped(skip, `line.mjs on ${backend}: ${why}`)
    let program = readFileSync('examples/line.mjs', 'utf8')
    for (const [whole, part] of [
      ['shifts(8000, 1)', 'shifts(64, 1)'],
      ['shifts(1000, 2)', 'shifts(50, 2)'],
      ['epochs: 14', 'epochs: 2'],
      ["'./line/factory.mjs'", "'../../examples/line/factory.mjs'"],
      ["'./line/show.mjs'", "'../../examples/line/show.mjs'"],
      ["'bptt-line.safetensors'", `'bptt-line-${process.pid}-${backend}.safetensors'`],
    ] as const) {
      expect(program).toContain(whole)
      program = program.replace(whole, part)
    }
    writeFileSync(`${folder}/line.mjs`, program)
    const printed = run([`${folder}/line.mjs`], { BPTT_BACKEND: backend, TMPDIR: folder })
    expect(printed).toContain(`runs on   ${backend}`)
    expect(printed).toContain('50 of 50 answers equal to the last bit.')
    const widths = printed.split('\n').map((line) => (/^ {2}(runs on|Saved as)/.test(line) ? 0 : line.length)) // reasons and paths may be long
    expect(Math.max(...widths), printed).toBeLessThanOrEqual(80)
  })

  it('as the command `bptt demo`, shows that the orthogonal start learns what PyTorch’s does not', ({ skip }) => {
    const why = refusal('native')
    if (why) skipped(skip, `bptt demo would take a minute: ${why}`)
    const printed = run(['dist/node/cli/main.js', 'demo'], { BPTT_BACKEND: 'native' })
    const naive = share(printed, 'always the commonest answer')
    const learnt = share(printed, "init: 'orthogonal' .*█")
    expect(learnt).toBeGreaterThan(90)
    expect(share(printed, 'ceiling: the ideal detector')).toBeGreaterThan(learnt)
    expect(share(printed, "init: 'pytorch' .*█")).toBeLessThan(naive + 15)
    expect(printed).toContain('1,000 of 1,000 answers equal to the last bit.')
  }, 120_000)
})

// Bounds: better than the naive answer that the program names beside its figure, from a part of the data.
describe.each([
  { name: 'names', share: 0.1, above: 0.52 },
  { name: 'splice-junctions', share: 0.3, above: 0.6 },
  { name: 'network-traffic', share: 0.3, below: 0.363 },
  { name: 'tinyshakespeare', share: 0.2, below: 2.486 },
])('examples/$name', ({ name, share, above = -Infinity, below = Infinity }) => {
  const reduced = [`examples/${name}.mjs`, '--seeds', '0', '--share', String(share)]

  it('learns from real data, reduced', ({ skip }) => {
    if (!existsSync(`../shared/data/${name}`)) skipped(skip, `../shared/data/${name} is not beside this project`)
    const printed = run(reduced)
    const figure = Number(/mean {4}\D+ ([\d.]+)/.exec(printed)![1])
    expect(figure, printed).toBeGreaterThan(above)
    expect(figure, printed).toBeLessThan(below)
    expect(printed).toContain('torch nn.RNN')
    if (name === 'tinyshakespeare') expect(printed.split('\n\nROMEO:\n')[1]!.length).toBeGreaterThanOrEqual(400)
  }, 120_000)

  it('says where it looked when there are no data, and what it does not understand', () => {
    const fails = (...args: string[]) => expect.objectContaining({ status: 2, stderr: expect.stringContaining(args.join(' ')) })
    const leave =
      (...args: string[]) =>
      () =>
        execFileSync(process.execPath, [`examples/${name}.mjs`, ...args], { encoding: 'utf8', stdio: 'pipe' })
    expect(leave('nowhere')).toThrow(fails(`No data in nowhere/${name}.`))
    expect(leave('--sedes', '1')).toThrow(fails("Unknown option '--sedes'"))
    expect(leave('--share', '0')).toThrow(fails('--share a number above 0'))
  })
})
