/* Programs of bench/browser as pages load them: bundled over the package's build for browsers. */
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

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
