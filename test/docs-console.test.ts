/*
 * What the pages for users show of the command line is what it does: every ```console block runs, in order, beside the files that the page
 * shows, and prints what the page says. There `…` stands for any text, and in a line of its own for any lines.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'bptt-pages-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** `npx bptt …` is this build. */
beforeAll(() => {
  writeFileSync(join(folder, 'npx'), `#!/bin/sh\nshift\nexec '${process.execPath}' '${resolve('dist/node/cli/main.js')}' "$@"\n`)
  chmodSync(join(folder, 'npx'), 0o755)
})

const blocks = (page: string, fence: RegExp) => [...page.matchAll(new RegExp(`\`\`\`${fence.source}\n([\\s\\S]*?)\`\`\``, 'g'))]

/** [command, what it prints] */
const sessions = (page: string): [string, string][] =>
  blocks(page, /console/).flatMap(([, text]) =>
    text!
      .split(/^\$ /m)
      .filter(Boolean)
      .map((session): [string, string] => {
        const end = session.indexOf('\n')
        return [session.slice(0, end), session.slice(end + 1)]
      }),
  )

function pattern(shown: string): RegExp {
  const escaped = shown.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  return new RegExp(`^${escaped.replace(/^…\n/gm, '[^]*').replaceAll('…', '.*')}$`)
}

describe.skipIf(process.platform === 'win32').each(['command-line', 'data-files'])('docs/%s.md', (name) => {
  const page = readFileSync(`docs/${name}.md`, 'utf8')

  beforeAll(() => {
    for (const [, file, text] of blocks(page, /(?:text|json) (\S+)/)) writeFileSync(join(folder, file!), text!)
  })

  it('shows sessions', () => expect(sessions(page).length).toBeGreaterThan(2))

  it.each(sessions(page))('%s', (command, shown) => {
    const { output } = spawnSync('bash', ['-c', command], {
      cwd: folder,
      encoding: 'utf8',
      env: { ...process.env, PATH: `${folder}${delimiter}${process.env.PATH}` },
    })
    expect(output.join('')).toMatch(pattern(shown))
  })
})
