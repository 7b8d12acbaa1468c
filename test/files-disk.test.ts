/* Files on disk: what cannot be read says so without waiting, and a save leaves the old file or the new one, whatever fails. */
import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readBytes, writeBytes } from '#lib/files/node-io.js'
import { readSource } from '#lib/files/source.js'
import { inChild } from './support/child.js'
import { errorOf } from './support/mistakes.js'

const require = createRequire(import.meta.url)
const fs: typeof import('node:fs/promises') = require('node:fs/promises')
const windows = process.platform === 'win32'
const OLD = Buffer.from('old')
const NEW = Buffer.from('new content')

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bptt-'))
  path = join(folder, 'model.safetensors')
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true })
})

describe('reading', () => {
  it('takes a path or a file: URL, and says which file it was', async () => {
    writeFileSync(path, NEW)
    expect(Buffer.from((await readBytes(path)).bytes)).toEqual(NEW)
    expect(await readBytes(pathToFileURL(path))).toMatchObject({ file: path })
    if (!windows) {
      symlinkSync(path, join(folder, 'link'))
      expect(Buffer.from((await readBytes(join(folder, 'link'))).bytes)).toEqual(NEW)
    }
  })
  it('refuses what is not a file, at once', async () => {
    expect(await errorOf(readBytes(join(folder, 'absent')))).toMatchObject({ code: 'ERR_IO', file: join(folder, 'absent') })
    expect((await errorOf(readBytes(folder))).code).toBe('ERR_IO')
    expect((await errorOf(readBytes(`${path}\0`))).code).toBe('ERR_IO')
    expect((await errorOf(readBytes(new URL('ftp://x/y')))).code).toBe('ERR_INVALID_ARG')
    if (windows) return
    expect((await errorOf(readBytes('/dev/zero'))).code).toBe('ERR_IO')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    expect((await errorOf(readBytes(path))).code).toBe('ERR_IO')
  })
  it.each([
    ['a path that is an address', 'https://example.org/m.safetensors', 'is an address'],
    ['an address elsewhere', new URL('ftp://example.org/m.safetensors'), 'is not an address on this disk'],
    ['a name with a slash in it', new URL('file:///a%2Fb'), 'is not an address on this disk'],
  ])('refuses %s', async (_, path, summary) =>
    expect(await errorOf(readBytes(path))).toMatchObject({ code: 'ERR_INVALID_ARG', at: 'path', summary, received: `"${path}"` }),
  )

  it('has a limit, checked before anything is allocated', async () => {
    writeFileSync(path, NEW)
    expect((await errorOf(readBytes(path, NEW.length - 1))).code).toBe('ERR_MODEL_TOO_LARGE')
    expect((await readBytes(path, NEW.length)).bytes.length).toBe(NEW.length)
  })
})

describe('saving', () => {
  const left = () => readdirSync(folder).sort()
  it('makes a file, replaces a file, keeps its mode, follows links', async () => {
    await writeBytes(path, OLD)
    expect(readFileSync(path)).toEqual(OLD)
    if (!windows) chmodSync(path, 0o600)
    await writeBytes(pathToFileURL(path), NEW)
    expect(readFileSync(path)).toEqual(NEW)
    expect(left()).toEqual(['model.safetensors'])
    if (windows) return
    expect(statSync(path).mode & 0o777).toBe(0o600)
    chmodSync(path, 0o666) // of which the umask takes some
    await writeBytes(path, NEW)
    expect(statSync(path).mode & 0o777).toBe(0o666)
    symlinkSync(path, join(folder, 'link'))
    await writeBytes(join(folder, 'link'), OLD)
    expect(readFileSync(path)).toEqual(OLD)
    expect(left()).toEqual(['link', 'model.safetensors'])
  })

  const permission = ['--permission', '--experimental-permission'].find((flag) => process.allowedNodeEnvironmentFlags.has(flag))
  it.skipIf(!permission)("works under Node's permission model, without addon and Worker", async () => {
    const program = `
      const model = make('auto');
      await model.train({ x, y }, { epochs: 1 });
      for (const time of [1, 2]) await model.save(${JSON.stringify(path)});
      console.log(model.backend.name, (await RNN.load(${JSON.stringify(path)})).parameterCount === model.parameterCount);
    `
    const flags = [permission!, '--allow-fs-read=*', '--allow-fs-write=*', '--no-warnings']
    expect(await inChild(program, flags)).toMatchObject({ code: 0, output: 'wasm true' })
  })

  it('syncs the file, renames it, syncs the folder, in this order', async () => {
    const order: string[] = []
    const open = fs.open
    vi.spyOn(fs, 'open').mockImplementation(async (...args) => {
      const handle = await open(...args)
      const sync = handle.sync.bind(handle)
      handle.sync = async () => {
        order.push(args[0] === folder ? 'folder' : 'file')
        await sync()
      }
      return handle
    })
    const rename = fs.rename
    vi.spyOn(fs, 'rename').mockImplementation(async (...args) => {
      order.push('rename')
      await rename(...args)
    })
    await writeBytes(path, NEW)
    expect(order).toEqual(windows ? ['file', 'rename'] : ['file', 'rename', 'folder'])
  })

  it.each(['open', 'writeFile', 'sync', 'close', 'rename'] as const)(
    'leaves the old file and nothing else where %s fails',
    async (step) => {
      writeFileSync(path, OLD)
      const failure = Object.assign(new Error(`ENOSPC: no space left on device, ${step}`), { code: 'ENOSPC' })
      const open = fs.open
      if (step === 'rename') vi.spyOn(fs, 'rename').mockRejectedValue(failure)
      else if (step === 'open') vi.spyOn(fs, 'open').mockRejectedValue(failure)
      else
        vi.spyOn(fs, 'open').mockImplementation(async (...args) => {
          const handle = await open(...args)
          const whole = handle[step].bind(handle) as (...a: unknown[]) => Promise<void>
          handle[step] = async () => {
            if (step === 'close') await whole()
            if (step === 'writeFile') await whole(NEW.subarray(0, 3))
            throw failure
          }
          return handle
        })
      expect(await errorOf(writeBytes(path, NEW))).toMatchObject({ code: 'ERR_IO', file: path, cause: failure })
      expect(readFileSync(path)).toEqual(OLD)
      expect(left()).toEqual(['model.safetensors'])
    },
  )

  it('says where it cannot write', async () => {
    expect((await errorOf(writeBytes(join(folder, 'no', 'model'), NEW))).code).toBe('ERR_IO')
    expect((await errorOf(writeBytes(folder, NEW))).code).toBe('ERR_IO')
    expect(left()).toEqual([])
  })

  it('removes what a killed save has left, once it is old and its process is gone', async () => {
    const { pid: gone } = spawnSync(process.execPath, ['-e', ''])
    const names = {
      old: `model.safetensors.tmp.${gone}.0123456789ab`,
      fresh: `model.safetensors.tmp.${gone}.1123456789ab`,
      alive: `model.safetensors.tmp.${process.pid}.2123456789ab`,
      foreign: `other.safetensors.tmp.${gone}.3123456789ab`,
      similar: `model.safetensors.tmp.${gone}.mine`,
    }
    for (const name of Object.values(names)) writeFileSync(join(folder, name), OLD)
    for (const name of [names.old, names.alive, names.foreign, names.similar]) utimesSync(join(folder, name), 1000, 1000)
    await writeBytes(path, NEW)
    expect(left()).toEqual(['model.safetensors', names.fresh, names.alive, names.foreign, names.similar].sort())
  })

  it('by two at once ends with one of the two, whole', async () => {
    const contents = [Buffer.alloc(300_000, 'a'), Buffer.alloc(200_000, 'b')]
    await Promise.all(contents.map((content) => writeBytes(path, content)))
    expect(contents.some((content) => content.equals(readFileSync(path)))).toBe(true)
    expect(left()).toEqual(['model.safetensors'])
  })

  it('survives kill -9 at any moment, 50 times', async () => {
    const program = `
      const { writeBytes } = require(process.argv[1])
      const contents = ['a', 'b'].map((c) => Buffer.alloc(500_000, c))
      ;(async () => { for (let i = 0; ; i++) { await writeBytes(process.argv[2], contents[i & 1]); process.stdout.write('.') } })()`
    const valid = ['a', 'b'].map((c) => Buffer.alloc(500_000, c))
    for (let trial = 0; trial < 50; trial++) {
      const child = spawn(process.execPath, ['-e', program, require.resolve('#lib/files/node-io.js'), path])
      await once(child.stdout, 'data')
      await new Promise((resolve) => setTimeout(resolve, randomBytes(1)[0]! / 16))
      child.kill('SIGKILL')
      await once(child, 'exit')
      const content = readFileSync(path)
      expect(
        valid.some((v) => v.equals(content)),
        `trial ${trial}: ${content.length} bytes`,
      ).toBe(true)
    }
    for (const name of readdirSync(folder)) utimesSync(join(folder, name), 1000, 1000)
    await writeBytes(path, NEW)
    expect(left()).toEqual(['model.safetensors'])
  }, 60_000)
})

describe('a source', () => {
  const noPath = () => Promise.reject(new Error('a path was read'))
  const read = (from: unknown) => readSource(from, noPath)
  it('of bytes is copied at once', async () => {
    const bytes = new Uint8Array([1, 2, 3, 4])
    const sources = [bytes, bytes.buffer, Buffer.from(bytes), new Blob([bytes]), new Uint8Array(new SharedArrayBuffer(4)).fill(7)]
    const copies = sources.map(read)
    bytes.fill(0)
    const read4 = await Promise.all(copies)
    expect(read4.slice(0, 3).map((s) => [...s.bytes])).toEqual(Array(3).fill([1, 2, 3, 4]))
    expect([...read4[3]!.bytes]).toEqual([1, 2, 3, 4])
    expect([...read4[4]!.bytes]).toEqual([7, 7, 7, 7])
  })
  it('of bytes may lie about itself', async () => {
    class Liar extends Uint8Array {
      override get length() {
        return 1e9
      }
    }
    expect([...(await read(Liar.from([1, 2, 3]))).bytes]).toEqual([1, 2, 3])
    expect((await errorOf(read(Object.create(Uint8Array.prototype)))).code).toBe('ERR_INVALID_ARG')
    expect((await errorOf(read({ [Symbol.toStringTag]: 'ArrayBuffer' }))).code).toBe('ERR_INVALID_ARG')
  })
  it('that was transferred is named', async () => {
    const bytes = new Uint8Array(8)
    structuredClone(bytes.buffer, { transfer: [bytes.buffer] })
    expect((await errorOf(read(bytes))).code).toBe('ERR_DETACHED')
    expect((await errorOf(read(bytes.buffer))).code).toBe('ERR_DETACHED')
  })
  it.each([undefined, null, 3, {}, [1, 2], new Float32Array(2)])('is not %o', async (from) =>
    expect((await errorOf(read(from))).code).toBe('ERR_INVALID_ARG'),
  )
  it('may be an address', async () => {
    const server = createServer((request, response) => {
      response.statusCode = request.url === '/model' ? 200 : 404
      response.end(NEW)
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const url = (name: string) => new URL(`http://127.0.0.1:${port}/${name}`)
    try {
      expect(Buffer.from((await read(url('model'))).bytes)).toEqual(NEW)
      expect((await errorOf(read(url('absent')))).message).toContain('HTTP 404')
    } finally {
      server.close()
      server.closeAllConnections()
    }
    const gone = await errorOf(read(url('model')))
    expect(gone).toMatchObject({ code: 'ERR_IO', received: expect.stringMatching(/other side closed|ECONN/) })
  })
  it('that is a path goes to the platform', async () => {
    writeFileSync(path, NEW)
    expect((await readSource(path, readBytes)).file).toBe(path)
    expect((await readSource(pathToFileURL(path), readBytes)).file).toBe(path)
  })
})
