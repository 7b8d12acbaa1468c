/*
 * Checks the format of native/ with clang-format 19 (.clang-format), or writes it: `node native/lint.mjs [--write]`. Skips, and says so,
 * where clang-format is absent.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const native = dirname(fileURLToPath(import.meta.url))
const files = readdirSync(native, { recursive: true }).filter((name) => /\.(h|cc)$/.test(name) && !name.endsWith('.gen.h'))
const tool = ['clang-format-19', 'clang-format'].find((name) =>
  / 19\./.test(spawnSync(name, ['--version'], { encoding: 'utf8' }).stdout ?? ''),
)

if (tool) {
  const mode = process.argv.includes('--write') ? ['-i'] : ['--dry-run', '--Werror']
  process.exitCode = spawnSync(tool, [...mode, ...files.map((name) => join(native, name))], { stdio: 'inherit' }).status ?? 1
} else {
  console.warn('lint: clang-format 19 is absent, the format of native/ was NOT checked (Debian: apt-get install clang-format-19)')
}
