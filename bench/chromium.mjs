/* A real browser for the bench and the tests: Debian's Chromium, driven by playwright-core, and a server for the pages that it opens. */
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { extname, join, normalize } from 'node:path'
import { chromium } from 'playwright-core'

const executablePath = [process.env.CHROMIUM, '/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => path && existsSync(path),
)
/** Why there is none; undefined where there is one. */
export const noChromium = executablePath
  ? undefined
  : 'Chromium is not here (Debian: apt-get install chromium; or CHROMIUM=path of another one)'

const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** @param {string[]} more switches */
export const launch = (more = []) => chromium.launch({ executablePath, args: [...ARGS, ...more] })

const TYPES = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.mjs': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
}

/** What pages get when threads and exact clocks are wanted. */
export const ISOLATED = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

/**
 * Serves the files of folders, the first that has one, and pages that are in none, with these headers on each answer.
 * @param {string[]} folders
 * @param {Record<string, string>} pages
 * @param {Record<string, string>} headers
 * @returns {Promise<{ url: string, close(): Promise<void> }>}
 */
export function serve(folders, pages = {}, headers = {}) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, 'http://host').pathname))
    const name = path.endsWith('/') ? `${path}index.html` : path
    const file = folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
    const content = pages[name] ?? (file && readFileSync(file))
    response.writeHead(content === undefined ? 404 : 200, {
      'Content-Type': TYPES[extname(name)] ?? 'application/octet-stream',
      ...headers,
    })
    response.end(content)
  })
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const close = () => new Promise((done) => server.closeAllConnections() ?? server.close(() => done()))
      resolve({ url: `http://127.0.0.1:${server.address().port}/`, close })
    })
  })
}
