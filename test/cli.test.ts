/* The command line as users meet it: child processes, their words, their exit codes and the files they leave. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type AnyRNN, doctor, RNN } from 'bptt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const native = (await doctor()).backends.some(({ name, usable }) => name === 'native' && usable)
const main = resolve('dist/node/cli/main.js')
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bptt-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

function bptt(args: string[], { input = '', env = {} }: { input?: string; env?: NodeJS.ProcessEnv } = {}) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    cwd: folder,
    input,
    encoding: 'utf8',
    env: { ...process.env, ...env },
  })
  return { code: status, out: stdout, err: stderr }
}

const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text)
  return name
}

/** Words of a and b: the first letter decides. */
const WORDS = Array.from({ length: 60 }, (_, i) => `${i % 2 ? 'bees' : 'ants'}\t${i % 2 ? 'b' : 'a'}${'ab'.repeat(1 + (i % 3))}`)
const textFile = () => file('words.tsv', `${WORDS.join('\n')}\n`)

describe('help', () => {
  it('is there for every command, with each of its flags and how to use it', () => {
    for (const command of ['demo', 'train', 'predict', 'doctor', 'verify']) {
      const { code, out, err } = bptt([command, '--help'])
      expect(code, command).toBe(0)
      expect(err).toBe('')
      expect(out).toContain(`bptt ${command}`)
      expect(out).toContain('--help')
      expect(Math.max(...out.split('\n').map((line) => line.length)), command).toBeLessThanOrEqual(80)
    }
    const { out } = bptt(['help', 'train'])
    for (const flag of ['--out', '--state', '--epochs', '--lr', '--validation', '--seed', '--json']) expect(out).toContain(flag)
    expect(out).toContain('Examples')
  })

  it('lists the commands and exit codes; without a command it is a mistake', () => {
    const asked = bptt(['--help'])
    expect(asked.code).toBe(0)
    expect(asked.out).toContain('Exit codes: 0 done; 1')
    expect(bptt([])).toEqual({ code: 2, out: asked.out, err: '' })
  })

  it('says the version of the package', () => {
    const { version } = JSON.parse(readFileSync('package.json', 'utf8'))
    expect(bptt(['--version'])).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })
})

describe('mistakes in the command line', () => {
  it.each([
    [['trian', 'x'], 'bptt: there is no such command: received "trian". Did you mean bptt train? [ERR_INVALID_ARG]'],
    [['fly'], 'bptt: there is no such command: received "fly". There are demo, train, predict, doctor, verify. [ERR_INVALID_ARG]'],
    [['--versoin'], 'bptt: --versoin: there is no such option. Did you mean --version? [ERR_UNKNOWN_OPTION]'],
    [['doctor', 'more'], 'bptt: "more": is one argument too many. [ERR_INVALID_ARG]'],
    [['train', 'words.tsv', '--dropout', '0.1'], 'bptt: --dropout: there is no such option. See --help. [ERR_UNKNOWN_OPTION]'],
    [['train'], 'bptt: FILE: is missing. See --help. [ERR_INVALID_ARG]'],
    [['train', 'words.tsv', 'more'], 'bptt: "more": is one argument too many. Put a name with blanks in quotes. [ERR_INVALID_ARG]'],
    [['train', 'words.tsv', '--epoch', '3'], 'bptt: --epoch: there is no such option. Did you mean --epochs? [ERR_UNKNOWN_OPTION]'],
    [['train', 'words.tsv', '--hidden', '3'], 'bptt: --hidden: there is no such option. Here it is --state N[,N…]. [ERR_UNKNOWN_OPTION]'],
    [['train', 'words.tsv', '--lr'], 'bptt: --lr: needs a value: expected X. [ERR_INVALID_ARG]'],
    [['train', 'words.tsv', '--lr', '--seed'], 'bptt: --lr: needs a value: expected X. [ERR_INVALID_ARG]'],
    [['train', 'words.tsv', '--lr', 'fast'], 'bptt: --lr: is not a number: received "fast". [ERR_INVALID_ARG]'],
    [['train', 'words.tsv', '--lr', '-1'], 'bptt: --lr: is out of range: expected a number at least 0, received -1. [ERR_OUT_OF_RANGE]'],
    [
      ['train', 'words.tsv', '--head', 'tail'],
      'bptt: --head: cannot be used: expected one of "softmax", "sigmoid", "linear", received "tail". [ERR_INVALID_ARG]',
    ],
    [['train', 'words.tsv', '--patience', '3'], 'bptt: --patience: needs --validation, whose loss it watches. [ERR_INVALID_ARG]'],
    [['train', '-'], 'bptt: --out: is needed with standard input: expected FILE. [ERR_INVALID_ARG]'],
    [
      ['train', 'words.tsv', '-o', './words.tsv'],
      'bptt: --out: is the data file, which the model would replace: received "./words.tsv". [ERR_INVALID_ARG]',
    ],
    [['doctor', '--json=yes'], 'bptt: --json: takes no value: received "yes". [ERR_INVALID_ARG]'],
  ])('%j', (args, message) => {
    textFile()
    expect(bptt(args)).toEqual({ code: 2, out: '', err: `${message}\n` })
  })

  it('names the flag where the API names an option, also in a list', () => {
    textFile()
    const { code, err } = bptt(['train', 'words.tsv', '--state', '8,0'])
    expect(err).toMatch(/^bptt: --state: is out of range: expected an integer at least 1/)
    expect(code).toBe(2)
    const none = bptt(['train', file('tokens.jsonl', '{"x":[1],"y":"a"}\n{"x":[2],"y":"b"}'), '--tokens', '0'])
    expect(none.err).toMatch(/^bptt: --tokens: is out of range: expected an integer at least 1/)
    expect(none.code).toBe(2)
  })

  it('is an object with --json', () => {
    const { code, out, err } = bptt(['train', '--json'])
    expect(out).toBe('')
    expect(JSON.parse(err)).toEqual({
      error: { code: 'ERR_INVALID_ARG', message: expect.any(String), at: 'FILE', hint: expect.any(String) },
    })
    expect(code).toBe(2)
  })
})

describe('mistakes in files', () => {
  it('shows the first bad line with its number', () => {
    file('bad.jsonl', '{"x":[1,2],"y":"a"}\n\n{"x":[1,"q"],"y":"b"}\n{"x":3}\n')
    expect(bptt(['train', 'bad.jsonl'])).toEqual({
      code: 1,
      out: '',
      err: 'bptt: bad.jsonl:3: x[1]: cannot be used: expected a number, or null for a reading that is missing, received "q". [ERR_DATA]\n',
    })
  })

  it('says the line of what only the API can see', () => {
    file('tokens.jsonl', '{"x":[0,1],"y":1}\n{"x":[0,5],"y":2}\n')
    const { code, err } = bptt(['train', 'tokens.jsonl', '--tokens', '3'])
    expect(err).toMatch(/^bptt: tokens\.jsonl:2: x\[1\]: is not a token of this network: expected an integer from 0 to 2, received 5\./)
    expect(code).toBe(1)
  })

  it('says the line that the model cannot read, in words of the file', () => {
    textFile()
    file('numbers.jsonl', '{"x":[]}\n{"x":[1,2]}\n')
    expect(bptt(['train', 'words.tsv', '--epochs', '1', '--state', '2', '--out', 'text.safetensors']).code).toBe(0)
    expect(bptt(['predict', 'text.safetensors', 'numbers.jsonl'])).toEqual({
      code: 1,
      out: '',
      err: 'bptt: numbers.jsonl:2: x: does not suit the model: expected a text, received one number a step. [ERR_DATA]\n',
    })
    file('whole.jsonl', '{"x":[1,2],"y":1}\n{"x":[2,1],"y":2}\n')
    file('gaps.jsonl', '{"x":[1,2]}\n{"x":[null,1]}\n')
    expect(bptt(['train', 'whole.jsonl', '--epochs', '1', '--state', '2']).code).toBe(0)
    expect(bptt(['predict', 'whole.safetensors', 'gaps.jsonl'])).toEqual({
      code: 1,
      out: '',
      err: 'bptt: gaps.jsonl:2: x: has a missing reading. The model was trained on a file without any. [ERR_DATA]\n',
    })
  })

  it('finds that the model cannot be saved before training, and what is no file', () => {
    textFile()
    const { code, err } = bptt(['train', 'words.tsv', '--out', 'nowhere/model.safetensors', '--epochs', '1000000'])
    expect(err).toMatch(/^bptt: nowhere\/model\.safetensors: cannot be written: no folder nowhere\. \[ERR_IO\]/)
    expect(code).toBe(1)
    const saving = (out: string) => bptt(['train', 'words.tsv', '--out', out, '--epochs', '1000000'])
    for (const folder of ['.', 'absent/'])
      expect(saving(folder).err).toBe(`bptt: ${folder}: is a folder. Give the name of a file. [ERR_IO]\n`)
    expect(saving('').err).toBe('bptt: --out: needs a value: expected FILE. [ERR_INVALID_ARG]\n')
    expect(saving('words.tsv/model').err).toMatch(/^bptt: words\.tsv\/model: cannot be written: /)
    expect(saving('a'.repeat(300)).err).toMatch(/^bptt: a{300}: cannot be written: .*\[ERR_IO\]\n$/)
    if (process.platform !== 'win32') expect(saving('/dev/null').err).toBe('bptt: /dev/null: is not a regular file. [ERR_IO]\n')
    expect(bptt(['train', 'absent.jsonl']).err).toBe('bptt: absent.jsonl: cannot be read: no such file. [ERR_IO]\n')
    expect(bptt(['train', '.']).err).toBe('bptt: .: cannot be read: a folder. [ERR_IO]\n')
    expect(bptt(['predict', 'words.tsv', 'words.tsv']).err).toMatch(/^bptt: words\.tsv: .*\[ERR_MODEL_FORMAT\]/)
  })
})

describe('train and predict', () => {
  it('learns labels from texts, saves, and answers a file and standard input', async () => {
    textFile()
    const trained = bptt(['train', 'words.tsv', '--state', '12', '--epochs', '40', '--lr', '0.02', '--seed', '1'])
    expect(trained.err).toBe('')
    expect(trained.code).toBe(0)
    expect(trained.out).toMatch(/^60 sequences of words\.tsv\n2 characters → state of 12 → one of 2 labels for every sequence\n/)
    expect(trained.out).toMatch(/epoch 40\/40 {2}loss 0\.\d+ {2}accuracy 100\.0 % \(majority class: 50\.0 %\)/)
    expect(trained.out).toMatch(
      /\n40 epochs in .*, [\d,]+ sequences\/s\nTraining: loss 0\.\d+ {2}accuracy 100\.0 % \(majority class: 50\.0 %\)\n/,
    )
    expect(trained.out).toContain('Saved words.safetensors (')

    const model = await RNN.load<AnyRNN>(join(folder, 'words.safetensors'))
    expect(model.labels).toEqual(['ants', 'bees'])
    expect(model.config).toMatchObject({ state: [12], seed: 1 })

    const { code, out, err } = bptt(['predict', 'words.safetensors', 'words.tsv'])
    expect(code).toBe(0)
    expect(
      out
        .trimEnd()
        .split('\n')
        .map((line) => line.split('\t')[0]),
    ).toEqual(WORDS.map((line) => line.split('\t')[0]))
    expect(err).toMatch(/^loss 0\.\d+ {2}accuracy 100\.0 % \(majority class: 50\.0 %\)\n$/)

    const answer = (await model.predict('bab')) as { label: string; probability: number }
    expect(bptt(['predict', 'words.safetensors', '-'], { input: 'bab\n' })).toEqual({
      code: 0,
      out: `bees\t${answer.probability.toFixed(4)}\n`,
      err: '',
    })
    const unknown = bptt(['predict', 'words.safetensors', '-'], { input: 'ab\nabz\n' })
    expect(unknown.err).toMatch(/^bptt: standard input:2: x\[2\]: is not in the vocabulary: .*received "z"/)
    expect(unknown.code).toBe(1)
  })

  it('speaks JSON, line by line', () => {
    file('mean.jsonl', Array.from({ length: 20 }, (_, i) => JSON.stringify({ x: [i / 20, 0.5], y: i / 20 })).join('\n'))
    const trained = bptt(['train', 'mean.jsonl', '--epochs', '3', '--validation', '0.2', '--json', '--out', 'mean.safetensors'])
    const lines = trained.out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(lines).toHaveLength(4)
    expect(lines[2]).toMatchObject({ epoch: 3, epochs: 3, metrics: { mse: { baselineIs: 'train mean' } }, validation: { count: 4 } })
    expect(lines[3]).toMatchObject({ model: 'mean.safetensors', stopped: 'finished', backend: { name: expect.any(String) } })
    const answers = bptt(['predict', 'mean.safetensors', 'mean.jsonl', '--json'])
    expect(
      answers.out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toHaveLength(20)
    const [first] = answers.out.split('\n')
    expect(Object.keys(JSON.parse(first!))).toEqual(['value'])
  })

  it('answers every step where y is a list', () => {
    const rows = Array.from({ length: 30 }, (_, i) => ({ x: [i % 2, 1, 0], y: [null, i % 2 ? 'up' : 'down', 'none'] }))
    file('steps.jsonl', rows.map((row) => JSON.stringify(row)).join('\n'))
    expect(bptt(['train', 'steps.jsonl', '--epochs', '40', '--lr', '0.02', '--state', '8']).code).toBe(0)
    const { out } = bptt(['predict', 'steps.safetensors', 'steps.jsonl'])
    expect(
      out
        .split('\n')
        .slice(0, 2)
        .map((line) => line.split(' ').slice(1)),
    ).toEqual([
      ['down', 'none'],
      ['up', 'none'],
    ])
  })

  it('keeps the best epoch where it is asked to, and says so where another one was better', () => {
    // Noise: what is learnt of it does not hold for the half that is kept to measure with, where the loss soon rises.
    file(
      'noise.jsonl',
      Array.from({ length: 40 }, (_, i) => JSON.stringify({ x: [Math.sin(i * i), Math.cos(3 * i * i)], y: i % 3 })).join('\n'),
    )
    const overfit = ['train', 'noise.jsonl', '--validation', '0.5', '--epochs', '60', '--lr', '0.02', '--out', 'noise.safetensors']
    const whole = bptt(overfit)
    expect(whole.out).toMatch(/\nEpoch \d+ was better: validation loss \d\.\d+\. --patience keeps the best\.\n/)
    const best = bptt([...overfit, '--patience', '60'])
    const [, epoch] = /\nEpoch (\d+), the best one, is kept\.\n/.exec(best.out)!
    expect(whole.out).toContain(`\nEpoch ${epoch} was better`)
  })

  it('writes no escape codes where nobody could see them', () => {
    textFile()
    const { out } = bptt(['train', 'words.tsv', '--epochs', '60', '--state', '4'])
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for
    expect(out).not.toMatch(/[\x1b\r]/)
    expect(out.match(/^epoch /gm)!.length).toBeLessThanOrEqual(20)
  })

  it.each([
    ['predict', ['predict', 'pipe.safetensors', 'many.txt']],
    ['train, and saves the model', ['train', 'words.tsv', '--epochs', '200', '--state', '64', '--out', 'unread.safetensors']],
    ['demo', ['demo']],
  ])('ends without a word when nobody reads on: %s', async (_, args) => {
    textFile()
    bptt(['train', 'words.tsv', '--epochs', '1', '--state', '4', '--out', 'pipe.safetensors'])
    file('many.txt', 'ab\n'.repeat(20000))
    const child = spawn(process.execPath, [main, ...args], { cwd: folder })
    let err = ''
    child.stderr.on('data', (text) => {
      err += text
    })
    child.stdout.once('data', () => child.stdout.destroy())
    expect(await new Promise((ended) => child.on('exit', ended))).toBe(0)
    expect(err).toBe('')
    if (args[0] === 'train') expect(existsSync(join(folder, 'unread.safetensors'))).toBe(true)
  })

  it.skipIf(process.platform !== 'linux')('says that its output cannot be written', () => {
    const { status, stderr } = spawnSync(process.execPath, [main, '--version'], { stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'] })
    expect(stderr.toString()).toMatch(/^bptt: standard output: cannot be written: received ENOSPC.*\[ERR_IO\]\n$/)
    expect(status).toBe(1)
  })

  it.skipIf(process.platform !== 'linux')('keeps its exit code where its errors cannot be written', () => {
    const { status } = spawnSync(process.execPath, [main, 'fly'], { stdio: ['ignore', 'pipe', openSync('/dev/full', 'w')] })
    expect(status).toBe(2)
  })

  it.skipIf(process.platform === 'win32')('saves what was learnt when it is interrupted', async () => {
    textFile()
    const child = spawn(process.execPath, [main, 'train', 'words.tsv', '--epochs', '10000000', '--out', 'cut.safetensors'], { cwd: folder })
    let out = ''
    child.stdout.on('data', (text) => {
      out += text
    })
    const started = setInterval(() => {
      if (!out.includes('parameters on')) return
      clearInterval(started)
      setTimeout(() => child.kill('SIGINT'), 200)
    }, 20)
    expect(await new Promise((ended) => child.on('exit', ended))).toBe(130)
    expect(out).toContain('Interrupted; what was learnt is saved: cut.safetensors')
    expect(existsSync(join(folder, 'cut.safetensors'))).toBe(true)
    const model = await RNN.load<AnyRNN>(join(folder, 'cut.safetensors'))
    expect(model.labels).toEqual(['ants', 'bees'])
  })
})

describe('doctor and verify', () => {
  it('doctor names the backend that is used', () => {
    const { code, out } = bptt(['doctor'], { env: { BPTT_BACKEND: 'reference' } })
    expect(code).toBe(0)
    expect(out).toContain('reference')
    expect(JSON.parse(bptt(['doctor', '--json'], { env: { BPTT_BACKEND: 'reference' } }).out)).toMatchObject({ chosen: 'reference' })
    const wrong = bptt(['doctor'], { env: { BPTT_BACKEND: 'gpu' } })
    expect(wrong.code).toBe(1)
    expect(wrong.out).toContain('No model can be run: BPTT_BACKEND: there is no such backend')
  })

  it.skipIf(!native)('doctor does not choose a backend that is told to do what it cannot', () => {
    const { code, out } = bptt(['doctor'], { env: { BPTT_BACKEND: 'native', BPTT_ISA: 'abacus' } })
    expect(code).toBe(1)
    expect(out).toMatch(/No model can be run: BPTT_ISA names no instruction set .* received "abacus"/)
  })

  it('verify finds one hash for each class', () => {
    const { code, out } = bptt(['verify', '--json'])
    expect(code).toBe(0)
    const { equal, outcomes } = JSON.parse(out) as { equal: boolean; outcomes: { backend: string; class?: string; hash?: string }[] }
    expect(equal).toBe(true)
    const reference = outcomes.find(({ backend }) => backend === 'reference')!
    expect(reference.hash).toMatch(/^[0-9a-f]{32}$/)
    for (const { class: of, hash } of outcomes) if (of === 'mul-add') expect(hash).toBe(reference.hash)
    for (const { class: of, hash } of outcomes) if (of === 'fma') expect(hash).not.toBe(reference.hash)
    expect(bptt(['verify']).out).toContain('mul-add: all equal')
  })
})
