/*
 * A real browser for the tests (bench/chromium.mjs). Where there is no Chromium they show as skipped, or fail where BPTT_REQUIRE names it
 * (`chromium`). CHROMIUM is the path of another one.
 */
import { readFileSync } from 'node:fs'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, it } from 'vitest'
import { launch, noChromium } from '../../bench/chromium.mjs'

export { ISOLATED, serve } from '../../bench/chromium.mjs'

export interface Site {
  readonly url: string
  close(): Promise<void>
}

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
  if (noChromium) {
    const why = `nothing was tried in a browser: ${noChromium}`
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
      browser = await launch(['--js-flags=--expose-gc', '--enable-blink-features=ForceEagerMeasureMemory'])
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
