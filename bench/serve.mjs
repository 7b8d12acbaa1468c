/*
 * What the JavaScript contenders of `npm run bench:peers` share: they answer its requests (passes.mjs), one JSON object a line on stdin, by
 * lines {"answer": …}. bench/peers/serve.py is the same for Python.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { requests } from './passes.mjs'

const say = (answer) => process.stdout.write(`${JSON.stringify({ answer })}\n`)

/** For a library that is not there: says so, and ends. */
export function absent(error) {
  say({ absent: error.message.split('\n')[0] })
  process.exit(0)
}

function read(folder, name) {
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder, name))
  return buffer.slice(byteOffset, byteOffset + byteLength)
}

/** @param build as passes.mjs has it */
export async function serve({ name, version, description, build }) {
  say({ name, version, description })
  const answers = requests(build, read)
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line)
    try {
      say(await answers[request.do](request))
    } catch (error) {
      say({ error: error.message.slice(0, 300) }) // the next cell may be possible
    }
  }
  process.exit(0)
}
