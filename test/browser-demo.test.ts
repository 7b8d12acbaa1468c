/*
 * The demonstration (examples/page), built as `npm run demo:build` builds it, on its main path: train, watch, stop, save, open anew, drop
 * the file in, predict; in a visitor's order, by keyboard, and with what the page says to those who cannot see it.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { inChromium, type Site, serve } from './support/chromium.js'

const root = join(import.meta.dirname, '..')
const node = (tool: string, bin: string, ...args: string[]) => {
  const folder = dirname(createRequire(import.meta.url).resolve(`${tool}/package.json`))
  return execFileSync(process.execPath, [join(folder, bin), ...args], { cwd: root, encoding: 'utf8', stdio: 'pipe' })
}

it('the types of the page are right', () => {
  expect(node('typescript', 'bin/tsc', '-p', 'examples/page/tsconfig.json')).toBe('')
}, 60_000)

inChromium(({ open }) => {
  const out = mkdtempSync(join(tmpdir(), 'bptt-page-'))
  let site: Site
  beforeAll(async () => {
    node('vite', 'bin/vite.js', 'build', '--config', 'examples/page/vite.config.mts', '--outDir', out, '--logLevel', 'warn')
    site = await serve([out])
  }, 60_000)
  afterAll(async () => {
    await site.close()
    rmSync(out, { recursive: true })
  })

  const ready = (page: Page) => page.locator('#train:enabled').waitFor({ timeout: 60_000 })
  const text = async (page: Page, id: string) => (await page.locator(`#${id}`).textContent()) ?? ''
  const says = (page: Page, id: string, what: string) =>
    page.waitForFunction(([id, what]) => new RegExp(what!).test(document.getElementById(id!)!.textContent!), [id, what], {
      timeout: 60_000,
    })
  const focused = (page: Page) => page.evaluate(() => document.activeElement?.id)
  const odds = (page: Page) => page.locator('#odds li').allTextContents()

  it('train, watch, stop, save, open anew, drop the file in, predict', { timeout: 180_000 }, async () => {
    const { page, said } = await open(site.url)
    const requests: string[] = []
    page.on('request', (request) => requests.push(request.url()))
    await ready(page)
    expect(await text(page, 'verdict')).toMatch(/The gradient arrives: 45 steps back/)
    expect(await text(page, 'verdict-example')).toMatch(/^The network, which has learnt nothing yet, says/)

    await page.locator('#train').focus()
    await page.keyboard.press('Enter')
    await says(page, 'status', 'Epoch [2-9] of 14: [0-9.]+ % right on new shifts')
    expect(await page.locator('#state').isDisabled()).toBe(true)
    expect(await page.locator('#accuracy').getAttribute('aria-label')).toMatch(
      /on new shifts: \d+ %; while learning: \d+ %; ideal detector: 99 %; commonest answer: 2\d %/,
    )
    expect(await page.locator('#gradient').getAttribute('aria-label')).toMatch(/now: × \d/)
    expect(await text(page, 'speed')).toMatch(/shifts a second/)
    expect(await focused(page)).toBe('stop')
    await page.keyboard.press('Enter')
    await says(page, 'status', 'Stopped in epoch \\d+: [0-9.]+ % right')
    await ready(page)
    expect(await focused(page)).toBe('train')
    const share = /([\d.]+) % right/.exec(await text(page, 'status'))![1]
    const answers = await odds(page)
    expect(answers).toHaveLength(5)
    expect(await text(page, 'verdict-example')).toMatch(/^The network says: .* (Right|Wrong): /)

    const [download] = await Promise.all([page.waitForEvent('download'), page.locator('#save').click()])
    expect(download.suggestedFilename()).toBe('bptt-line.safetensors')
    const file = readFileSync(await download.path())
    expect(page.workers()).toHaveLength(1)

    await page.reload()
    await ready(page)
    expect(await odds(page)).not.toEqual(answers)
    const transfer = await page.evaluateHandle((bytes) => {
      const transfer = new DataTransfer()
      transfer.items.add(new File([bytes as Uint8Array<ArrayBuffer>], 'mine.safetensors'))
      return transfer
    }, new Uint8Array(file))
    await page.dispatchEvent('body', 'drop', { dataTransfer: transfer })
    await says(page, 'status', 'Loaded mine.safetensors')
    expect(await text(page, 'status')).toContain(`${share} % right`) // to the last digit: the same weights
    await page.waitForFunction((want) => document.querySelector('#odds')!.textContent === want, answers.join(''))
    await page.locator('#another').click()
    await page.waitForFunction((was) => document.querySelector('#odds')!.textContent !== was, answers.join(''))

    expect(said).toEqual([])
    expect(requests.filter((url) => !url.startsWith(site.url) && !/^(blob|data):/.test(url))).toEqual([])
    await page.close()
  })

  it('says that the gradient vanishes where it does, and what is wrong with a file that is no model', async () => {
    const { page } = await open(site.url)
    await ready(page)
    await page.locator('#init').selectOption('pytorch')
    await says(page, 'verdict', 'The gradient vanishes: 45 steps back.* \\d·10⁻¹. times')
    await page.locator('#load').setInputFiles({ name: 'no.safetensors', mimeType: '', buffer: Buffer.from('no model') })
    await says(page, 'status', 'no.safetensors is not a model file. The network is as it was.')
    expect(await page.locator('#status').getAttribute('data-kind')).toBe('bad')
    expect(await page.locator('#train').isEnabled()).toBe(true)
    await page.close()
  }, 60_000)

  it('fits into 360, 768 and 1280 pixels, and every control has a name', async () => {
    const { page } = await open(site.url)
    await ready(page)
    for (const width of [360, 768, 1280]) {
      await page.setViewportSize({ width, height: 800 })
      await page.waitForFunction((width) => document.documentElement.scrollWidth <= width, width) // once charts have followed
    }
    for (const control of await page.locator('select, button, input').all()) {
      const name = await control.evaluate((element) => {
        const { labels } = element as HTMLSelectElement
        return element.getAttribute('aria-label') || labels?.[0]?.textContent || element.textContent
      })
      expect(name!.trim()).not.toBe('')
    }
    await page.close()
  }, 60_000)
})
