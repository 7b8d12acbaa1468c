/* TensorFlow.js (../peers/tfjs.mjs) as a page. Of its address: threads, and the backend. */
import * as tf from '@tensorflow/tfjs'
import { setThreadsCount, setWasmPaths } from '@tensorflow/tfjs-backend-wasm'
import { builder } from '../peers/tfjs.mjs'
import { given, serve } from './serve.mjs'

serve(async () => {
  setWasmPaths('/')
  setThreadsCount(Number(given.threads))
  if (!(await tf.setBackend(given.backend))) throw new Error(`no backend ${given.backend}`)
  await tf.ready()
  return { name: `tfjs-${given.backend}`, version: tf.version.tfjs, build: builder(tf) }
})
