/*
 * Both ways, against PyTorch itself where python3 has torch, safetensors and numpy (elsewhere loudly skipped): a network written here is
 * opened there, one written there is opened here, and both give the same logits and the same gradients for the same sequences.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Output, type Readout, RNN } from 'bptt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const T = 9
const B = 4
const R = 5
const O = 3
const x = Array.from({ length: B }, (_, b) =>
  Array.from({ length: T }, (_, i) => Array.from({ length: R }, (_, j) => Math.sin(1 + b + 3 * i + 7 * j))),
)
const classes = [2, 0, 1, 2]

/** A file of PyTorch's (or ours, with `path` there) in its own module: logits of all steps, and gradients of the loss of the last one. */
const PROGRAM = `
import json, os, sys, torch
from safetensors.torch import load_file, save_file
job = json.load(sys.stdin)
torch.manual_seed(1)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.RNN(${R}, job['state'], job['layers'], nonlinearity=job['nonlinearity'], batch_first=True)
        self.head = torch.nn.Linear(job['state'], ${O})
net = Net()
if os.path.exists(job['path']): net.load_state_dict(load_file(job['path']), strict=True)
else: save_file(net.state_dict(), job['path'])
logits = net.head(net.rnn(torch.tensor(job['x'], dtype=torch.float32))[0])
torch.nn.functional.cross_entropy(logits[:, -1], torch.tensor(job['classes'])).backward()
print(json.dumps({'logits': logits.flatten().tolist(), 'U': net.rnn.weight_ih_l0.grad.flatten().tolist(), 'W': net.rnn.weight_hh_l0.grad.flatten().tolist(), 'V': net.head.weight.grad.flatten().tolist()}))`

const python = (path: string, net: { state: number; layers: number; nonlinearity: string }) => {
  const { stdout, stderr, status } = spawnSync('python3', ['-c', PROGRAM], {
    input: JSON.stringify({ ...net, path, x, classes }),
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as Record<'logits' | 'U' | 'W' | 'V', number[]>
}

const close = (ours: Float32Array, theirs: number[], what: string) => {
  expect(ours.length, what).toBe(theirs.length)
  for (const [i, value] of theirs.entries()) {
    expect(Math.abs(ours[i]! - value), `${what}[${i}]: ${ours[i]} against ${value}`).toBeLessThan(1e-6 + 1e-5 * Math.abs(value))
  }
}

const here = spawnSync('python3', ['-c', 'import torch, safetensors.torch, numpy']).status === 0
if (!here) console.warn('test/pytorch.test.ts: python3 with torch, safetensors and numpy is not here; skipped')

describe.skipIf(!here)('PyTorch', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bptt-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const same = async (model: RNN<number, Output, Readout>, theirs: ReturnType<typeof python>) => {
    close((await model.forward(x)).logits.data, theirs.logits, 'logits')
    const steps = x.map((_, b) => Array.from({ length: T }, (_, i) => (i === T - 1 ? classes[b]! : null)))
    const { gradients } = await model.gradients({ x, y: steps } as never)
    const layer = 'layers' in gradients ? gradients.layers[0]! : gradients
    close(layer.U.data, theirs.U, 'dL/dU')
    close(layer.W.data, theirs.W, 'dL/dW')
    close(gradients.V.data, theirs.V, 'dL/dV')
  }
  for (const nonlinearity of ['tanh', 'relu'] as const) {
    for (const layers of [1, 2]) {
      const net = { state: 7, layers, nonlinearity }
      const what = `${layers === 1 ? 'one layer' : 'two layers'} of ${nonlinearity}`

      it(`loads what save() wrote: ${what}`, async () => {
        const path = join(folder, `ours-${nonlinearity}${layers}.safetensors`)
        const state = Array<number>(layers).fill(net.state)
        using model = new RNN({ input: R, state, output: O, nonlinearity, readout: 'all', bias: 'double', seed: layers })
        await model.save(path)
        await same(model, python(path, net))
      }, 120_000)

      it(`is read by fromPyTorch(): ${what}`, async () => {
        const path = join(folder, `theirs-${nonlinearity}${layers}.safetensors`)
        const theirs = python(path, net)
        using model = await RNN.fromPyTorch(path, { output: O, readout: 'all', nonlinearity })
        await same(model, theirs)
      }, 120_000)
    }
  }
})
