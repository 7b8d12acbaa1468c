/*
 * The grid: seven sizes of network and batch, and the useful arithmetic of each case over them. B sequences of T steps, r features,
 * s units, t outputs at the last step or at all. Work that a kernel does beyond these counts (padding, packing) is not useful.
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

/** Multiplications and additions of the matrix products; no gradient of x. A step is 2·B·T·(2rs + 3s²) + 6·B·(T or 1)·s·t. */
export const flop = {
  matmul: ({ B, T, s }) => 2 * B * T * s * s,
  forward: ({ B, T, r, s, t, readout }) => 2 * B * T * (r * s + s * s) + 2 * B * (readout === 'all' ? T : 1) * s * t,
  backward: ({ B, T, r, s, t, readout }) => 2 * B * T * (r * s + 2 * s * s) + 4 * B * (readout === 'all' ? T : 1) * s * t,
  step: (cell) => flop.forward(cell) + flop.backward(cell),
  push: ({ r, s, t }) => 2 * (r * s + s * s + s * t),
}
