/* Programs of bench/browser as pages load them: bundled over the package's build for browsers; and the browser that they run in. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { ISOLATED, launch, noChromium, serve } from './chromium.mjs'
import { machineFacts } from './machine.mjs'
import { UsageError, warnIfBusy } from './usage.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const library = join(here, '..', 'dist', 'browser')
/** Where what is raced against is installed. */
export const peers = join(here, 'peers', 'node_modules')

const ours = {
  name: 'ours',
  setup({ onResolve }) {
    onResolve({ filter: /^bptt$/ }, () => ({ path: join(library, 'index.js') }))
    onResolve({ filter: /^#lib\// }, ({ path }) => ({ path: join(library, path.slice('#lib/'.length)) }))
  },
}

/** Puts bench/browser/NAME.mjs into the folder as NAME.js, and the Worker of the package as worker.js. */
export async function bundle(folder, name) {
  const entryPoints = { [name]: join(here, 'browser', `${name}.mjs`), worker: join(library, 'backends', 'worker.js') }
  await build({ entryPoints, bundle: true, format: 'esm', outdir: folder, plugins: [ours], nodePaths: [peers], logLevel: 'silent' })
}

/** The page of that program. */
export const pageOf = (name) => `<!doctype html><link rel="icon" href="data:,"><script type="module" src="${name}.js"></script>`

/**
 * Calls `use` with a folder for bundles, a browser, the facts of the machine and it, and open(folders, pages), which serves them and
 * resolves to the site's address.
 */
export async function withBrowser(use) {
  if (noChromium) throw new UsageError(noChromium)
  const machine = machineFacts()
  warnIfBusy(machine)
  const folder = mkdtempSync(join(tmpdir(), 'bptt-bench-browser-'))
  let site
  let browser
  try {
    browser = await launch()
    machine.browser = `Chromium ${browser.version()}`
    await use({
      folder,
      browser,
      machine,
      open: async (folders, pages) => {
        site = await serve(folders, pages, ISOLATED)
        return site.url
      },
    })
  } finally {
    await browser?.close()
    await site?.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
