/*
 * The grid: seven sizes of network and batch, and the useful arithmetic of each case over them. B sequences of T steps, r features (or with
 * `tokens` tokens, of which each step has one), s units of the nonlinearity f (tanh), t outputs at the last step or at all. Work that a kernel does beyond these counts (padding, packing) is not useful.
 */
export const cells = [
  { id: 'stream', B: 1, T: 100, r: 16, s: 32, t: 4, readout: 'last' },
  { id: 'small', B: 32, T: 50, r: 32, s: 64, t: 10, readout: 'last' },
  { id: 'sensor-long', B: 16, T: 1000, r: 8, s: 128, t: 2, readout: 'last' },
  { id: 'char', B: 64, T: 100, r: 65, s: 256, t: 65, readout: 'all' },
  { id: 'medium', B: 64, T: 128, r: 128, s: 512, t: 10, readout: 'last' },
  { id: 'large', B: 128, T: 64, r: 256, s: 1024, t: 100, readout: 'last' },
  { id: 'deepbench-1760', B: 32, T: 50, r: 1760, s: 1760, t: 10, readout: 'last' },
]

/** Multiplications and additions of the matrix products; no gradient of x, and tokens need no product. A step is 2·B·T·(2rs + 3s²) + 6·B·(T or 1)·s·t. */
export const flop = {
  matmul: ({ B, T, s }) => 2 * B * T * s * s,
  forward: ({ B, T, r, s, t, readout, tokens }) => 2 * B * T * ((tokens ? 0 : r * s) + s * s) + 2 * B * (readout === 'all' ? T : 1) * s * t,
  backward: ({ B, T, r, s, t, readout, tokens }) =>
    2 * B * T * ((tokens ? 0 : r * s) + 2 * s * s) + 4 * B * (readout === 'all' ? T : 1) * s * t,
  step: (cell) => flop.forward(cell) + flop.backward(cell),
  push: ({ r, s, t }) => 2 * (r * s + s * s + s * t),
}

const relu = { t: 10, readout: 'last', f: 'relu' }
const last = { t: 10, readout: 'last' }

/** The grid again, and others that bench:peers knows: the shapes of known benchmarks, each here with the product U·w and a head of ten classes. */
export const grids = {
  cells,
  /** The characters of `char`, given as the tokens that they are; relu, which brain.js has too. */
  tokens: [{ id: 'char-tokens', B: 64, T: 100, r: 65, s: 256, t: 65, readout: 'all', tokens: true, f: 'relu' }],
  /** One sequence: how far the weights are away decides. */
  single: [64, 128, 256, 512, 1024, 2048].map((s) => ({ id: `single-${s}`, B: 1, T: 100, r: 16, s, ...last })),
  /** The vanilla RNNs of DeepBench's training set. */
  deepbench: [1760, 2048, 2560].flatMap((s) => [16, 32, 64, 128].map((B) => ({ id: `${s}x${B}`, B, T: 50, r: s, s, ...relu }))),
  /** Those of benchdnn, oneDNN's own: DeepSpeech 2, PyTorch's test case, Paddle's, and a small one. */
  onednn: [
    ...[50, 100, 200].map((T) => ({ id: `sic1760-t${T}`, B: 32, T, r: 1760, s: 1760, ...relu })),
    { id: 'sic500-t50', B: 64, T: 50, r: 500, s: 500, ...relu },
    ...[629, 952].map((T) => ({ id: `sic128-t${T}`, B: 128, T, r: 128, s: 128, ...relu })),
    { id: 'slc512-t10', B: 32, T: 10, r: 512, s: 128, ...relu },
  ],
}
