/*
 * The packed package in projects of Vite, webpack and esbuild, and in none, each built and run in a real browser: training happens in a
 * Worker, and where a page's policy forbids that, or WebAssembly, it goes on with a reason that says what to do.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { buildSync as esbuild } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inChromium, type Opened, type Site, serve } from './support/chromium.js'
import { emptyProject } from './support/installed.js'

const { project, installed, install } = emptyProject()
beforeAll(install, 120_000)
afterAll(() => rmSync(project, { recursive: true }))

/** What every page does. */
const PAGE = `
const data = { x: Array.from({ length: 64 }, (_, b) => [b % 7, (b * 5) % 3, b % 2]), y: Array.from({ length: 64 }, (_, b) => (b % 2 ? 'up' : 'down')) }
async function use() {
  const model = new RNN({ input: 1, state: 16, output: ['down', 'up'] })
  const { history } = await model.train(data, { epochs: 30, optimizer: { adam: { lr: 0.02 } } })
  const { label } = await model.predict([4, 0, 1])
  return { epochs: history.length, label, backend: model.backend }
}
globalThis.used = use()
`
const program = (before = '') => `import { configure, RNN } from 'bptt'\n${before}\n${PAGE}`
const HEAD = '<!doctype html><title>page</title><link rel="icon" href="data:,">'
const html = (script: string) => `${HEAD}<script type="module" src="${script}"></script>`

interface Used {
  readonly epochs: number
  readonly label: string
  readonly backend: { readonly name: string; readonly isa: string; readonly why: readonly { candidate: string; refused: string }[] }
}
const used = ({ page }: Opened) => page.evaluate('used') as Promise<Used>

/** A folder of the project, in which a bundler's program is run. */
function folder(name: string, files: Record<string, string>) {
  const at = join(project, name)
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(at, file)), { recursive: true })
    writeFileSync(join(at, file), content)
  }
  const require = createRequire(import.meta.url)
  const run = (...args: string[]) =>
    execFileSync(process.execPath, args, { cwd: at, encoding: 'utf8', stdio: 'pipe', env: { ...process.env, NODE_ENV: 'production' } })
  const bin = (tool: string, path: string) => join(dirname(require.resolve(`${tool}/package.json`)), path)
  return { at, run, bin }
}

const builders = {
  vite() {
    const { at, run, bin } = folder('vite', { 'index.html': html('/page.js'), 'page.js': program() })
    run(bin('vite', 'bin/vite.js'), 'build', '--logLevel', 'warn')
    return join(at, 'dist')
  },
  webpack() {
    const { at, run, bin } = folder('webpack', { 'src/index.js': program(), 'dist/index.html': html('main.js') })
    const build = `require(${JSON.stringify(bin('webpack', 'lib/index.js'))})({ mode: 'production' }, (error, stats) => {
      if (error || stats.hasErrors()) throw error ?? new Error(stats.toString())
    })`
    run('-e', build)
    return join(at, 'dist')
  },
  esbuild() {
    const { at } = folder('esbuild', {
      'page.js': program(`configure({ worker: () => new Worker('worker.js', { type: 'module' }) })`),
      'worker.js': `import 'bptt/worker'`,
      'dist/index.html': html('page.js'),
    })
    esbuild({ absWorkingDir: at, entryPoints: ['page.js', 'worker.js'], bundle: true, format: 'esm', outdir: 'dist' })
    return join(at, 'dist')
  },
  'no bundler'() {
    const { at } = folder('none', {
      'index.html': `${HEAD}<script type="importmap">{ "imports": { "bptt": "./bptt/index.js" } }</script>
        <script type="module" src="page.js"></script>`,
      'page.js': program(),
    })
    execFileSync('cp', ['-r', join(installed, 'dist', 'browser'), join(at, 'bptt')])
    return at
  },
}

inChromium(({ open }) => {
  const sites: Site[] = []
  const site = async (...args: Parameters<typeof serve>) => {
    const made = await serve(...args)
    sites.push(made)
    return made.url
  }
  afterAll(() => Promise.all(sites.map((made) => made.close())))

  it.each(Object.keys(builders) as (keyof typeof builders)[])('%s: a model is trained in a Worker', { timeout: 120_000 }, async (name) => {
    const opened = await open(await site([builders[name]()]))
    const { epochs, label, backend } = await used(opened)
    expect({ epochs, label, backend: backend.name }).toEqual({ epochs: 30, label: 'up', backend: 'wasm' })
    expect(opened.page.workers()).toHaveLength(1)
    expect(opened.said).toEqual([])
    await opened.page.close()
  })

  describe('where the page is not allowed', () => {
    /** A page without a bundler under a Content-Security-Policy. */
    const under = async (policy: string, before = '') => {
      const { at } = folder(`policy-${sites.length}`, {
        'index.html': html('page.js'),
        'page.js': program(before).replace(`'bptt'`, `'./bptt/index.js'`),
      })
      execFileSync('cp', ['-r', join(installed, 'dist', 'browser'), join(at, 'bptt')])
      return open(await site([at], {}, { 'Content-Security-Policy': policy }))
    }
    const violations = ({ said }: Opened) => said.filter((text) => !text.startsWith('bptt:'))

    it('WebAssembly, the reference takes over and the reason names the directive', async () => {
      const opened = await under(`default-src 'self'`)
      const { epochs, label, backend } = await used(opened)
      expect({ epochs, label, backend: backend.name }).toEqual({ epochs: 30, label: 'up', backend: 'reference' })
      const { refused } = backend.why.find(({ candidate }) => candidate === 'wasm')!
      expect(refused).toMatch(/compiling WebAssembly is forbidden here.*script-src 'wasm-unsafe-eval'/)
      expect(opened.page.workers()).toHaveLength(1)
      await opened.page.close()
    })

    it('Workers, it trains on its own thread and says so, and the page lives on', async () => {
      const opened = await under(`default-src 'self' 'wasm-unsafe-eval'; worker-src 'none'`)
      const { epochs, label, backend } = await used(opened)
      expect({ epochs, label, backend: backend.name }).toEqual({ epochs: 30, label: 'up', backend: 'wasm' })
      expect(opened.page.workers()).toHaveLength(0)
      expect(opened.said.filter((text) => text.startsWith('bptt:'))).toEqual([
        expect.stringMatching(/^bptt: no training Worker could be started \(.+\)\. Training runs in slices on this thread; configure/),
      ])
      await opened.page.close()
    })

    it('neither: the reference in slices', async () => {
      const opened = await under(`default-src 'self'; worker-src 'none'`)
      expect(await used(opened)).toMatchObject({ epochs: 30, label: 'up', backend: { name: 'reference' } })
      await opened.page.close()
    })

    it('a Worker of the user that cannot be made is an error, as it was asked for', async () => {
      const opened = await under(`default-src 'self' 'wasm-unsafe-eval'`, `configure({ worker: () => new Worker('missing.js') })`)
      const error = await opened.page.evaluate('used.catch(({ code, message }) => ({ code, message }))')
      expect(error).toMatchObject({ code: 'ERR_BACKEND', message: expect.stringContaining('its script could not be loaded') })
      expect(violations(opened)).not.toContainEqual(expect.stringContaining('Uncaught'))
      await opened.page.close()
    })
  })
})

it('the entry for browsers can be imported where there is no page: it touches nothing until it is used', () => {
  const code = `
    const before = Object.getOwnPropertyNames(globalThis).length
    for (const name of ['window', 'document', 'navigator', 'Worker', 'MessageChannel', 'SharedArrayBuffer', 'WebAssembly', 'atob'])
      Object.defineProperty(globalThis, name, { get() { throw new Error(name + ' was touched') }, configurable: true })
    const known = Object.getOwnPropertyNames(globalThis).length
    const { RNN } = await import('./node_modules/bptt/dist/browser/index.js')
    console.log(typeof RNN, Object.getOwnPropertyNames(globalThis).length - known)`
  writeFileSync(join(project, 'server.mjs'), code)
  expect(execFileSync(process.execPath, ['server.mjs'], { cwd: project, encoding: 'utf8' })).toBe('function 0\n')
})

it('what a page loads at first, WebAssembly included, is at most 70 kB of gzip', () => {
  const { at, run, bin } = folder('size', {
    'index.html': html('/page.js'),
    'page.js': `import * as all from 'bptt'; globalThis.bptt = all`,
  })
  run(bin('vite', 'bin/vite.js'), 'build', '--logLevel', 'warn')
  const assets = join(at, 'dist', 'assets')
  const entry = readdirSync(assets).filter((name) => name.startsWith('index-'))
  expect(entry).toHaveLength(1)
  const first = new Set(entry)
  for (const name of first) {
    const code = readFileSync(join(assets, name), 'utf8')
    for (const [, other] of code.matchAll(/(?:from|import)"\.\/([^"]+)"/g)) first.add(other!)
  }
  const size = [...first].reduce((sum, name) => sum + gzipSync(readFileSync(join(assets, name)), { level: 9 }).length, 0)
  console.log(`gzip of what a page loads at first: ${size} bytes, in ${[...first].join(' and ')}`)
  expect(size).toBeGreaterThan(20_000)
  expect(size).toBeLessThanOrEqual(70_000)
}, 60_000)
