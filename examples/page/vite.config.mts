/* `npm run demo` serves the page, `npm run demo:build` writes it to build/page, as static files for any server. */
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const at = (path: string) => fileURLToPath(new URL(path, import.meta.url))
/** With them a page may use shared memory. It works without them, too. */
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

export default defineConfig({
  root: at('.'),
  base: './',
  resolve: { alias: { bptt: at('../../dist/browser/index.js') } }, // elsewhere Vite finds the installed package by itself
  build: { outDir: at('../../build/page'), emptyOutDir: true, target: 'es2023' },
  server: { headers },
  preview: { headers },
})
