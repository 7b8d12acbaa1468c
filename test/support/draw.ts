/* Networks, data and options drawn at random, all of which go together: the same for the same seed. */
import type { Config, Data, Input, Output, Readout, TrainOptions } from 'bptt'
import { mulberry32 } from './vectors.js'

type Examples = Data<Input, Output, Readout>
export interface Drawn {
  readonly config: Config<Input, Output, Readout>
  readonly data: Examples
  readonly options: TrainOptions<Examples>
}

/** A dice for one seed. */
function dice(seed: number) {
  const next = mulberry32(seed)
  const real = () => next() / 2 ** 32
  return {
    real,
    signed: () => 2 * real() - 1,
    int: (from: number, to: number) => from + (next() % (to - from + 1)),
    pick: <T>(...values: T[]): T => values[next() % values.length]!,
    /** `{ [key]: value() }` in a share of all cases, otherwise nothing. */
    perhaps: <K extends string, T>(share: number, key: K, value: () => T) => (real() < share ? { [key]: value() } : {}) as { [P in K]?: T },
  }
}
type Dice = ReturnType<typeof dice>

const times = <T>(length: number, value: () => T) => Array.from({ length }, value)

export function draw(seed: number): Drawn {
  const d = dice(seed)
  const config = drawConfig(d)
  const { data, sequences, longest } = drawData(d, config)
  return { config, data, options: drawOptions(d, sequences, longest) }
}

function drawConfig({ int, pick, real }: Dice): Drawn['config'] {
  // Sizes around the vectors' and the tiles' own: where kernels change their ways.
  const size = () => pick(1, 3, 8, 15, 16, 17, 31, 33, 48, int(60, 100))
  const features = int(1, pick(9, 70))
  const tokens = real() < 0.4
  const layers = pick(1, 1, 2, 3)
  const outputs = int(2, pick(9, 70))
  return {
    input: tokens ? { tokens: features } : features,
    state: layers === 1 ? size() : times(layers, size),
    output: pick<Output>(outputs, outputs, { sigmoid: int(1, 5) }, { linear: int(1, 5) }),
    readout: pick('last', 'all'),
    nonlinearity: pick('tanh', 'tanh', 'relu', 'sigmoid', 'identity'),
    bias: pick<boolean | 'double'>(true, false, 'double'),
    outputBias: pick(true, false),
    init: pick('orthogonal', 'pytorch', 'keras', 'identity'),
    missing: tokens ? 'error' : pick('error', 'mask'),
    seed: int(0, 1e6),
  }
}

function drawData(d: Dice, { input, output, readout, missing }: Drawn['config']) {
  const { int, pick, perhaps, real, signed } = d
  const longest = pick(1, 2, 7, 20)
  const ragged = real() < 0.6
  const lengths = times(int(1, 24), () => (ragged ? int(real() < 0.05 ? 0 : 1, longest) : longest))
  const perStep = <T>(value: () => T) => lengths.map((length) => times(length, value))
  const reading = () => (missing === 'mask' && real() < 0.03 ? Number.NaN : signed())
  const target = () => {
    if (typeof output === 'number') return int(0, output - 1)
    const { sigmoid, linear } = output as { sigmoid?: number; linear?: number }
    return sigmoid ? times(sigmoid, () => int(0, 1)) : times(linear!, signed)
  }
  const data = {
    x: typeof input === 'number' ? perStep(() => times(input, reading)) : perStep(() => int(0, (input as { tokens: number }).tokens - 1)),
    y: readout === 'last' ? lengths.map(target) : perStep(() => (real() < 0.05 ? null : target())),
    ...perhaps(0.2, 'mask', () => perStep(() => real() < 0.9)),
    ...perhaps(0.2, 'sampleWeights', () => lengths.map(() => 2 * real())),
    ...(readout === 'all' && perhaps(0.2, 'stepWeights', () => perStep(real))),
  } as Examples
  return { data, sequences: lengths.length, longest }
}

function drawOptions({ int, pick, perhaps }: Dice, sequences: number, longest: number): Drawn['options'] {
  return {
    epochs: 2,
    batchSize: int(1, sequences + 3),
    shuffle: pick(true, false),
    seed: int(0, 1e6),
    optimizer: pick<NonNullable<Drawn['options']['optimizer']>>(
      { adam: {} },
      { adam: { amsgrad: true, weightDecay: 0.01 } },
      { adamw: { lr: 0.01 } },
      { sgd: { lr: 0.05 } },
      { sgd: { lr: 0.05, momentum: 0.9, nesterov: true } },
      { rmsprop: { centered: true, momentum: 0.5 } },
      { adagrad: {} },
    ),
    clipNorm: pick<number | false>(5, 0.5, false),
    clipValue: pick<number | false>(false, 0.1),
    ...perhaps(0.2, 'maxLength', () => int(1, longest)),
    ...perhaps(0.3, 'keep', () => pick('start', 'end')),
    ...perhaps(0.25, 'bptt', () => {
      const window = int(1, longest)
      return { window, ...perhaps(0.5, 'stride', () => int(1, window)), ...perhaps(0.7, 'carryState', () => pick(true, false)) }
    }),
  }
}
