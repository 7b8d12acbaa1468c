/* npm run bench:frames: how late a page's frames are while it trains with one thread, in the package's Worker and without one. */
import { bundle, pageOf, withBrowser } from './bundle.mjs'
import { cells as grid } from './cells.mjs'
import { flag, parsed, runMain, text } from './usage.mjs'

const ids = grid.map(({ id }) => id)
const HELP = `npm run bench:frames -- [options]      (or node bench/frames.mjs [options], built before)

  --cells IDS        ${ids.join(',')} (default small,char,medium,large)
  --backend NAME     wasm, reference (default wasm)
  --seconds N        for each line (default 5)
  --json             the result as JSON

Milliseconds from one frame of the page to the next, and updates a second. Nothing else should run beside it.`

const quantile = (sorted, q) => sorted[Math.floor(q * (sorted.length - 1))]

function options() {
  const { values, number, among } = parsed({
    help: flag,
    json: flag,
    cells: { ...text, default: 'small,char,medium,large' },
    backend: { ...text, default: 'wasm' },
    seconds: { ...text, default: '5' },
  })
  const [backend] = among('backend', ['wasm', 'reference'])
  return { ...values, backend, cells: among('cells', ids), seconds: number('seconds') }
}

async function main() {
  const settings = options()
  if (settings.help) return console.log(HELP)
  await withBrowser(async ({ folder, browser, machine, open }) => {
    await bundle(folder, 'frames')
    const url = await open([folder], { '/frames.html': pageOf('frames') })
    const records = []
    const draw = async (where, id) => {
      const page = await browser.newPage()
      await page.goto(`${url}frames.html`)
      await page.waitForFunction('globalThis.draw')
      const { backend, seconds } = settings
      const request = { cell: grid.find((cell) => cell.id === id), worker: where === 'Worker', backend, seconds }
      const { gaps, rate } = await page.evaluate((request) => globalThis.draw(request), request)
      await page.close()
      const sorted = gaps.sort((a, b) => a - b)
      const [p50, p99, most] = [0.5, 0.99, 1].map((q) => quantile(sorted, q))
      records.push({ cell: id ?? 'none', where, p50, p99, most, frames: gaps.length, rate })
    }
    await draw('page')
    for (const id of settings.cells) for (const where of ['Worker', 'page']) await draw(where, id)
    if (settings.json) return console.log(JSON.stringify({ machine, records }, null, 1))
    console.log(`${machine.browser}, ${settings.backend}\n`)
    const line = (cells) => console.log(cells.map((cell, i) => (i < 2 ? cell.padEnd(16) : cell.padStart(10))).join(''))
    line(['trained', 'where', 'median', 'p99', 'worst', 'frames', 'updates/s'])
    for (const { cell, where, p50, p99, most, frames, rate } of records)
      line([cell, where, ...[p50, p99, most].map((ms) => ms.toFixed(1)), String(frames), rate === undefined ? '' : rate.toPrecision(3)])
  })
}

runMain(main, HELP)
