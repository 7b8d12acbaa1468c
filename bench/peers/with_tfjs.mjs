/* TensorFlow.js (tfjs.mjs) as a contestant. Arguments: threads, and `wasm` or `cpu`. */
import { createRequire } from 'node:module'
import { dirname } from 'node:path'
import { absent, serve } from '../serve.mjs'
import { builder } from './tfjs.mjs'

const require = createRequire(import.meta.url)
const [threads, backend] = [Number(process.argv[2]), process.argv[3]]

async function load() {
  const tf = require('@tensorflow/tfjs')
  if (backend === 'wasm') {
    const wasm = require('@tensorflow/tfjs-backend-wasm')
    wasm.setWasmPaths(`${dirname(require.resolve('@tensorflow/tfjs-backend-wasm'))}/`)
    wasm.setThreadsCount(threads)
  }
  if (!(await tf.setBackend(backend))) throw new Error(`no backend ${backend}`)
  await tf.ready()
  return tf
}

const tf = await load().catch(absent)

serve({ name: `tfjs-${backend}`, version: tf.version.tfjs, build: builder(tf) })
