/*
 * A real browser for the tests: Debian's Chromium, driven by playwright-core, and a server for the pages that it opens. Where there is no
 * Chromium the tests show as skipped, or fail where BPTT_REQUIRE names it (`chromium`). CHROMIUM is the path of another one.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, describe, it } from 'vitest'

const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
)
const ARGS =
  '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'
const TYPES: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
}

export interface Site {
  readonly url: string
  close(): Promise<void>
}

/** Serves the files of a folder, and pages that are not in it, with these headers on each answer. */
export function serve(folder: string, pages: Record<string, string> = {}, headers: Record<string, string> = {}): Promise<Site> {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://host').pathname))
    const name = path.endsWith('/') ? `${path}index.html` : path
    const file = join(folder, name)
    const content = pages[name] ?? (existsSync(file) ? readFileSync(file) : undefined)
    response.writeHead(content === undefined ? 404 : 200, {
      'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
      ...headers,
    })
    response.end(content)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
      resolve({ url, close: () => new Promise((done) => server.closeAllConnections() ?? server.close(() => done())) })
    })
  })
}

/** What pages get when threads and exact clocks are wanted. */
export const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

export interface Opened {
  readonly page: Page
  /** What the page said on its console, and what it threw and nobody caught. */
  readonly said: string[]
}

export interface Browsing {
  /** A new page, of a profile of its own. */
  open(url: string): Promise<Opened>
  /** MiB that all processes of pages hold; NaN where that cannot be seen (only Linux shows it). */
  memory(): Promise<number>
}

/** Declares the tests of `body`, which share one browser. */
export function inChromium(body: (browsing: Browsing) => void): void {
  if (executablePath === undefined) {
    const why = 'Chromium is not here (Debian: apt-get install chromium), and nothing was tried in a browser'
    if (process.env.BPTT_REQUIRE?.split(',').includes('chromium'))
      it('in Chromium', () => {
        throw new Error(`BPTT_REQUIRE asks for it: ${why}`)
      })
    else {
      console.warn(`SKIPPED: ${why}`)
      it.skip(why, () => {})
    }
    return
  }
  describe('in Chromium', () => {
    let browser: Browser
    beforeAll(async () => {
      browser = await chromium.launch({
        executablePath,
        args: [...ARGS.split(' '), '--js-flags=--expose-gc'],
      })
    }, 60_000)
    afterAll(() => browser.close())
    async function open(url: string): Promise<Opened> {
      const page = await browser.newPage()
      const said: string[] = []
      page.on('console', (message) => said.push(message.text()))
      page.on('pageerror', (error) => said.push(String(error)))
      await page.goto(url)
      return { page, said }
    }
    async function memory(): Promise<number> {
      const session = await browser.newBrowserCDPSession()
      const { processInfo } = await session.send('SystemInfo.getProcessInfo')
      await session.detach()
      const kilobytes = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => residentKilobytes(id))
      return kilobytes.reduce((sum, one) => sum + one, 0) / 1024
    }
    body({ open, memory })
  })
}

const residentKilobytes = (id: number) =>
  process.platform === 'linux' ? Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${id}/status`, 'utf8'))?.[1]) : Number.NaN
