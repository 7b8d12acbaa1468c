/*
 * npm run bench:browser: the package's WebAssembly beside TensorFlow.js in one headless Chromium. Each contestant is a page of its own; the
 * race is that of bench:peers (race.mjs): from the same weights, compared before it is timed, in rounds in which all take turns.
 */
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { bundle, pageOf, peers, withBrowser } from './bundle.mjs'
import { grids } from './cells.mjs'
import { peersReport } from './peers-report.mjs'
import { race } from './race.mjs'
import { flag, note, parsed, runMain, text } from './usage.mjs'

/** As contestants.mjs has them, and the page of each with what its address says. */
const CONTESTANTS = [
  { id: 'wasm', own: true, lanes: '128-bit', page: 'own', is: 'backend=wasm&numerics=fast' },
  { id: 'wasm-portable', own: true, lanes: '128-bit', page: 'own', is: 'backend=wasm&numerics=portable' },
  { id: 'reference', own: true, alone: true, page: 'own', is: 'backend=reference&numerics=fast' },
  { id: 'tfjs-wasm', lanes: '128-bit', warm: 5, page: 'tfjs', is: 'backend=wasm' },
  { id: 'tfjs-cpu', alone: true, warm: 5, page: 'tfjs', is: 'backend=cpu' },
]

const HELP = `npm run bench:browser -- [options]      (or node bench/browser.mjs [options], built before)

  --peers IDS        who races: ${CONTESTANTS.map(({ id }) => id).join(',')}
                     (TensorFlow.js where npm run bench:peers -- --install has been run)
  --cells IDS        ${grids.cells.map(({ id }) => id).join(',')}
  --threads LIST     1, 2 (default 1)
  --seconds N        for each figure (default 1), in rounds
  --patience N       seconds that a single answer may take (default 20); who takes longer is left out of larger cells
  --no-peaks         does not measure what the machine could do, for which a program is compiled
  --json             the result as JSON

The pages' own threads are not pinned; nothing else should run beside it.`

function options() {
  const { values, number, among } = parsed({
    help: flag,
    json: flag,
    peers: text,
    cells: text,
    threads: { ...text, default: '1' },
    seconds: { ...text, default: '1' },
    patience: { ...text, default: '20' },
    'no-peaks': flag,
  })
  const who = among(
    'peers',
    CONTESTANTS.map(({ id }) => id),
  )
  const cells = among(
    'cells',
    grids.cells.map(({ id }) => id),
  )
  return {
    ...values,
    contestants: CONTESTANTS.filter(({ id }) => who.includes(id)),
    cells: grids.cells.filter(({ id }) => cells.includes(id)),
    threads: among('threads', ['1', '2']).map(Number),
    seconds: number('seconds'),
    patience: number('patience'),
  }
}

/** @returns why the pages of some could not be built, by page */
async function bundles(folder) {
  await bundle(folder, 'own')
  try {
    await bundle(folder, 'tfjs')
    return {}
  } catch (error) {
    return { tfjs: error.errors?.[0]?.text ?? error.message }
  }
}

/** A contestant's page, as race.mjs wants it (contestants.mjs). */
class Page {
  #page
  #hello

  constructor(browser, url, why) {
    this.#hello = why ? Promise.resolve({ absent: why }) : this.#open(browser, url)
  }

  async #open(browser, url) {
    this.#page = await browser.newPage()
    await this.#page.goto(url)
    await this.#page.waitForFunction('globalThis.hello', null, { timeout: 60_000 })
    return this.#page.evaluate('hello')
  }

  answer(seconds) {
    return this.#within(this.#hello, seconds)
  }

  async ask(request, seconds) {
    const sent = request.folder ? { ...request, folder: basename(request.folder) } : request
    const result = await this.#within(
      this.#page.evaluate((request) => globalThis.ask(request), sent),
      seconds,
    )
    if (result.error !== undefined) throw new Error(result.error)
    return result
  }

  async end() {
    await this.#page?.close()
  }

  async #within(promise, seconds) {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(Object.assign(new Error(`no answer within ${seconds} s`), { late: true })), 1000 * seconds)
    })
    try {
      return await Promise.race([promise, late])
    } finally {
      clearTimeout(timer)
      promise.catch(() => {})
    }
  }
}

async function main() {
  const settings = options()
  if (settings.help) return console.log(HELP)
  await withBrowser(async ({ folder, browser, machine, open }) => {
    const failed = await bundles(folder)
    const pages = { '/own.html': pageOf('own'), '/tfjs.html': pageOf('tfjs') }
    const wasm = join(peers, '@tensorflow', 'tfjs-backend-wasm', 'dist')
    const url = await open([folder, tmpdir(), wasm, join(wasm, '..', 'wasm-out')], pages)
    const contestants = settings.contestants.map((entry) => ({
      ...entry,
      install: 'npm run bench:peers -- --install',
      connect: (threads) => new Page(browser, `${url}${entry.page}.html?threads=${threads}&${entry.is}`, failed[entry.page]),
    }))
    const runs = []
    for (const threads of settings.threads)
      runs.push({ machine, threads, ...(await race({ ...settings, contestants, stopped: () => false }, threads, undefined, note)) })
    if (runs.some(({ left }) => left.some(({ wrong }) => wrong))) process.exitCode = 1
    if (!settings.json) console.log(machine.browser)
    console.log(settings.json ? JSON.stringify({ runs }, null, 1) : peersReport(runs))
  })
}

runMain(main, HELP)
