/*
 * Files on disk, for Node: read whole, with a limit, and written so that at every moment, whatever crashes, the name holds either the old
 * content or the new one. Nothing here knows what the bytes mean.
 */
import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open, readdir, realpath, rename, stat, unlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { LIMITS, tooLarge } from '../check/limits.js'
import { BpttError, show } from '../errors.js'

/** Regular files only: a pipe or a device could wait or go on for ever. O_NONBLOCK lets opening one return at once. */
export async function readBytes(path: string | URL, maxBytes: number = LIMITS.FILE_BYTES): Promise<{ bytes: Uint8Array; file: string }> {
  const file = nameOf(path)
  return wrapped(file, 'cannot be read', async () => {
    const handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0))
    try {
      const stats = await handle.stat()
      if (!stats.isFile()) throw new BpttError('ERR_IO', 'is not a regular file', { file })
      if (stats.size > maxBytes) throw tooLarge(stats.size, maxBytes, file)
      return { bytes: await readAll(handle, stats.size), file }
    } finally {
      await handle.close()
    }
  })
}

/** As many bytes as the file had when it was opened, or fewer where it was cut meanwhile: what is missing is found by who reads them. */
async function readAll(handle: FileHandle, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size)
  let at = 0
  while (at < size) {
    const { bytesRead } = await handle.read(bytes, at, Math.min(size - at, CHUNK), at)
    if (bytesRead === 0) break
    at += bytesRead
  }
  return bytes.subarray(0, at)
}
const CHUNK = 2 ** 24

/**
 * Writes next to the target under a name of its own, syncs, renames, and syncs the folder: without the first sync some file systems leave
 * an empty file after a crash, without the second the old one. Links are followed; the mode of a file that is replaced is kept.
 */
export async function writeBytes(path: string | URL, bytes: Uint8Array): Promise<void> {
  const file = nameOf(path)
  await wrapped(file, 'cannot be written', async () => {
    const target = await realpath(file).catch((error) => missing(error, file))
    const old = await stat(target).catch((error) => missing(error, undefined))
    if (old && !old.isFile()) throw new BpttError('ERR_IO', 'is not a regular file', { file })
    const temporary = `${target}.tmp.${process.pid}.${randomBytes(6).toString('hex')}`
    await removeStale(target)
    try {
      const mode = old && modeOf(old)
      const handle = await open(temporary, 'wx', mode)
      try {
        // Only where the umask took some of it: under Node's permission model nobody may.
        if (mode !== undefined && modeOf(await handle.stat()) !== mode) await handle.chmod(mode)
        await handle.writeFile(bytes)
        await handle.sync()
      } finally {
        await handle.close()
      }
      await replace(temporary, target)
    } catch (error) {
      await unlink(temporary).catch(() => {}) // the first error is the one to tell
      throw error
    }
    await syncFolder(dirname(target))
  })
}

const modeOf = ({ mode }: { mode: number }) => mode & 0o777

/** On Windows a rename over a file that someone has open fails for as long as they read it. */
async function replace(from: string, to: string): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await rename(from, to)
    } catch (error) {
      if (process.platform !== 'win32' || attempt === 5 || !['EPERM', 'EACCES', 'EBUSY'].includes(codeOf(error)!)) throw error
      await new Promise((resolve) => setTimeout(resolve, 10 * 2 ** attempt))
    }
  }
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return // has no such thing
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } catch (error) {
    if (!['EINVAL', 'ENOTSUP'].includes(codeOf(error)!)) throw error // network file systems
  } finally {
    await handle.close()
  }
}

/** Old enough that nobody is still writing it, wherever else the folder is mounted. */
const STALE_MS = 60_000

/** Removes what a process that was killed while saving to this name has left. */
async function removeStale(target: string): Promise<void> {
  const prefix = `${basename(target)}.tmp.`
  for (const name of await readdir(dirname(target))) {
    const pid = name.startsWith(prefix) && /^(\d+)\.[0-9a-f]{12}$/.exec(name.slice(prefix.length))?.[1]
    if (!pid || alive(Number(pid))) continue
    const left = join(dirname(target), name)
    const { mtimeMs } = await stat(left).catch(() => ({ mtimeMs: Infinity })) // another save was faster
    if (Date.now() - mtimeMs > STALE_MS) await unlink(left).catch(() => {})
  }
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return codeOf(error) !== 'ESRCH'
  }
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

function missing<T>(error: unknown, fallback: T): T {
  if (codeOf(error) === 'ENOENT') return fallback
  throw error
}

function nameOf(path: string | URL): string {
  if (path === '') throw new BpttError('ERR_INVALID_ARG', 'is empty', { at: 'path', expected: 'the name of a file' })
  if (typeof path === 'string' && /^\w+:\/\//.test(path))
    throw new BpttError('ERR_INVALID_ARG', 'is an address', {
      at: 'path',
      expected: 'a path',
      received: show(path),
      hint: 'Pass new URL(…).',
    })
  if (typeof path === 'string') return path
  if (!(path instanceof URL))
    throw new BpttError('ERR_INVALID_ARG', 'is not a path', { at: 'path', expected: 'a path or a file: URL', received: show(path) })
  const elsewhere = (cause?: unknown) =>
    new BpttError('ERR_INVALID_ARG', 'is not an address on this disk', {
      at: 'path',
      expected: 'a path or a file: URL',
      received: show(path.href),
      cause,
    })
  if (path.protocol !== 'file:') throw elsewhere()
  try {
    return fileURLToPath(path)
  } catch (cause) {
    throw elsewhere(cause) // it names another computer, or a slash within a name
  }
}

async function wrapped<T>(file: string, summary: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof BpttError) throw error
    throw new BpttError('ERR_IO', summary, { file, received: (error as Error).message, cause: error })
  }
}
