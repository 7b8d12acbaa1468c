/*
 * What the examples on real data share: where the data are, the command line, and one run for each seed with the figure of another library
 * beside the mean. The data sets do not come with the package; ../shared/data beside the project is where they are looked for.
 *   node examples/names.mjs [FOLDER] [--seeds 0,1,2] [--share 0.1]
 * FOLDER (or the environment variable BPTT_DATA) holds the data sets; --share takes only so much of the training data, for a quick look.
 */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { duration, ProgressLine, paint } from '#lib/cli/screen.js'

const { values, positionals } = commandLine()
const root = positionals[0] ?? process.env.BPTT_DATA ?? fileURLToPath(new URL('../../shared/data', import.meta.url))
const seeds = (values.seeds ?? '0,1,2').split(',').map(Number)
const share = Number(values.share ?? 1)
if (!seeds.every(Number.isSafeInteger) || !(share > 0 && share <= 1))
  leave('--seeds takes whole numbers, as in 0,1,2; --share a number above 0 and up to 1.')

function commandLine() {
  try {
    return parseArgs({ options: { seeds: { type: 'string' }, share: { type: 'string' } }, allowPositionals: true })
  } catch (error) {
    leave(error.message)
  }
}

/** The folder of a data set; ends the program with code 2 where it is not there. */
export function folder(name) {
  const path = join(root, name)
  if (!existsSync(path))
    leave(`No data in ${path}.\nSay where they are: node ${process.argv[1]} FOLDER, or BPTT_DATA=FOLDER; FOLDER holds ${name}/.`)
  return path
}

export const lines = (...path) =>
  readFileSync(join(...path), 'utf8')
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)

/** The k-th of a list of distinct things is for testing if k mod 5 = 4. */
export const isTest = (k) => k % 5 === 4

/** How much of n training items is used. */
export const used = (n) => Math.max(1, Math.round(share * n))

/** Of training data only the share that was asked for: every so manieth. */
export function sample({ x, y }) {
  const taken = (_, k) => Math.floor((k + 1) * share) > Math.floor(k * share)
  return share < 1 ? { x: x.filter(taken), y: y.filter(taken) } : { x, y }
}

/**
 * Runs once for each seed, and prints the figures and their mean beside those of torch's nn.RNN with the same settings.
 * @param what { title, metric, torch, naive }: words, and the figures to compare with
 * @param run (seed, onProgress) → the figure, or { figure, more } where `more` are words
 */
export async function everySeed({ title, metric, torch, naive }, run) {
  const { bold, dim } = paint()
  console.log(`${bold(title)}${share < 1 ? dim(`  (on ${share} of the training data)`) : ''}`)
  const figures = []
  for (const seed of seeds) {
    const line = new ProgressLine(`  seed ${seed}  `)
    const started = performance.now()
    const result = await run(seed, line.live ? (p) => line.show(p) : undefined)
    line.end(false)
    const { figure, more } = typeof result === 'number' ? { figure: result } : result
    figures.push(figure)
    console.log(
      `  seed ${seed}  ${metric} ${figure.toFixed(3)}  ${dim([more, duration((performance.now() - started) / 1000)].filter(Boolean).join(', '))}`,
    )
  }
  const mean = figures.reduce((a, b) => a + b) / figures.length
  const sd = Math.sqrt(figures.reduce((sum, f) => sum + (f - mean) ** 2, 0) / Math.max(1, figures.length - 1))
  console.log(`  ${bold(`mean    ${metric} ${mean.toFixed(3)}`)}${figures.length > 1 ? ` ± ${sd.toFixed(3)}` : ''}`)
  console.log(dim(`  torch nn.RNN, the same settings and its own start: ${torch}; ${naive}`))
}

function leave(message) {
  console.error(message)
  process.exit(2)
}
