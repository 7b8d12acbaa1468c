/* Who races in `npm run bench:peers`, how each is started, and one of them as a process that answers requests (serve.mjs, peers/serve.py). */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const path = (name) => fileURLToPath(new URL(name, import.meta.url))
const javascript = (...args) => ({ command: process.execPath, args: (threads) => [path(args[0]), String(threads), ...args.slice(1)] })
const JAVASCRIPT_PEER = { alone: true, warm: 5, install: 'npm run bench:peers -- --install' }

/** Of those that are ours, as another checkout has built them. */
export const BEFORE = '-before'

/**
 * `lanes`: the vectors whose peak a contestant is held against, the widest of the machine, those of WebAssembly, or none.
 * `only`: the cells that it can run at all; `alone`: in Node it has one thread only; `warm`: it needs so many times as long until its compiler has learnt.
 * @param python the interpreter that has the Python peers
 * @param others of --peer: [id, command line]
 * @param before of --before: the root of another checkout
 */
export function contestants(python, others = [], before) {
  const inPython = (file, ...args) => ({
    command: python,
    args: (threads) => [path(`peers/${file}`), String(threads), ...args],
    lanes: 'widest',
  })
  const install = (what) => `${python} -m pip install numpy ${what}`
  const ours = [
    { id: 'native', own: true, ...javascript('own.mjs', 'native'), lanes: 'widest', install: 'npm run build:native' },
    { id: 'wasm', own: true, ...javascript('own.mjs', 'wasm'), lanes: '128-bit', install: 'npm run build:wasm' },
  ]
  const asBefore = ({ id, args, install, ...one }) => ({
    ...one,
    id: id + BEFORE,
    args: (threads) => [join(before, 'bench', 'own.mjs'), ...args(threads).slice(1)],
    install: `${install} in ${before}`,
  })
  return [
    ...ours,
    ...(before === undefined ? [] : ours.map(asBefore)),
    { id: 'torch', ...inPython('with_torch.py'), install: install('torch') },
    { id: 'tensorflow', ...inPython('with_tensorflow.py'), install: install('tensorflow-cpu') },
    { id: 'tensorflow-xla', ...inPython('with_tensorflow.py', 'xla'), install: install('tensorflow-cpu') },
    { id: 'jax', ...inPython('with_jax.py'), install: install('jax') },
    { id: 'tfjs-wasm', ...javascript('peers/with_tfjs.mjs', 'wasm'), lanes: '128-bit', ...JAVASCRIPT_PEER },
    { id: 'tfjs-cpu', ...javascript('peers/with_tfjs.mjs', 'cpu'), ...JAVASCRIPT_PEER },
    { id: 'brain', only: ({ tokens }) => tokens, ...javascript('peers/with_brain.mjs'), ...JAVASCRIPT_PEER },
    ...others.map(([id, line]) => {
      const [command, ...args] = line.split(' ')
      return {
        id,
        command,
        args: (threads) => [...args, String(threads)],
        lanes: 'widest',
        install: `a program that speaks as bench/serve.mjs does`,
      }
    }),
  ]
}

/** The processor list of this process, as numbers; undefined where the system does not say. */
export const processors = (list) =>
  list?.split(',').flatMap((part) => {
    const [from, to = from] = part.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, i) => from + i)
  })

/** A contestant's process. It is stopped (SIGSTOP) while others have their turn: threads that spin would take a processor from them. */
export class Contestant {
  #child
  #lines
  #ended
  #errors = ''

  /** @param pinned processors that it may use; undefined leaves it to the system */
  constructor({ id, command, args }, threads, pinned) {
    this.id = id
    const line = pinned ? ['taskset', '-c', pinned.join(','), command, ...args(threads)] : [command, ...args(threads)]
    const env = { ...process.env, OMP_NUM_THREADS: String(threads) }
    this.#child = spawn(line[0], line.slice(1), { stdio: ['pipe', 'pipe', 'pipe'], env })
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error) => resolve(error.message))
      this.#child.once('close', (code, signal) =>
        resolve(`ended (${signal ?? code})${this.#errors && `: ${this.#errors.trim().split('\n').at(-1)}`}`),
      )
    })
    this.#child.stdin.on('error', () => {}) // it has ended, which the answer will say
    this.#child.stderr.on('data', (text) => {
      this.#errors = (this.#errors + text).slice(-2000)
    })
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }

  /** Its next answer. What a library prints in between is no answer. @throws Error where it refuses, ends, or takes longer than `seconds` */
  async answer(seconds) {
    const next = async () => {
      for (;;) {
        const { value, done } = await this.#lines.next()
        if (done) throw new Error(await this.#ended)
        if (value.startsWith('{"answer"')) return JSON.parse(value).answer
      }
    }
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(Object.assign(new Error(`no answer within ${seconds} s`), { late: true })), 1000 * seconds)
    })
    try {
      const answer = await Promise.race([next(), late, this.#ended.then((reason) => Promise.reject(new Error(reason)))])
      if (answer.error) throw new Error(answer.error)
      return answer
    } finally {
      clearTimeout(timer)
    }
  }

  async ask(request, seconds) {
    if (process.platform !== 'win32') this.#child.kill('SIGCONT')
    this.#child.stdin.write(`${JSON.stringify(request)}\n`)
    try {
      return await this.answer(seconds)
    } finally {
      if (process.platform !== 'win32') this.#child.kill('SIGSTOP')
    }
  }

  async end() {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}
