/* The package as a registry would hand it out: packed, and installed in a project of its own. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const shell = process.platform === 'win32'

/** An empty project; install() puts the package into it. Remove the folder afterwards. */
export function emptyProject() {
  const project = mkdtempSync(join(tmpdir(), 'bptt-package-'))
  const run = (program: string, ...args: string[]) => execFileSync(program, args, { cwd: project, encoding: 'utf8', shell })
  const install = () => {
    execFileSync('npm', ['pack', '--silent', '--ignore-scripts', '--pack-destination', project], { shell })
    writeFileSync(join(project, 'package.json'), '{ "private": true }')
    const tarball = readdirSync(project).find((name) => name.endsWith('.tgz'))!
    run('npm', 'install', '--offline', '--no-audit', '--no-fund', `./${tarball}`)
  }
  return { project, installed: join(project, 'node_modules', 'bptt'), run, install }
}
