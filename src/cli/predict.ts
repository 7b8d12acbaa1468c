/* `bptt predict MODEL FILE`: the answer to every sequence of a file, one a line; and how good the answers are, where the file has them. */
import { type AnyRNN, RNN } from '../rnn.js'
import type { Output, Prediction, Readout } from '../types.js'
import { type Arguments, type Flags, flagLines, word } from './arguments.js'
import { type DataFile, FORMATS, inFile, readData } from './data-file.js'
import { paint, scores } from './screen.js'
import { checkInput, dataOf, sequences } from './task.js'

export const flags = {
  format: { takes: 'NAME', help: 'jsonl or text (default: seen from the first line)' },
  json: { help: 'every answer as a JSON object, with all probabilities' },
  help: { short: 'h', help: 'this text' },
} satisfies Flags
export const positionals = ['MODEL', 'FILE']

export const help = () => `Answers every sequence of a file.

  bptt predict MODEL FILE [options]

MODEL is what bptt train has saved. FILE has one sequence a line (- reads
standard input), in the formats of bptt train; the answers in it may be left
out: {"x": …}, or just a text. Where all are there, loss and metrics go to
standard error.

The answer to each goes to standard output, one a line: a label and its
probability, true or false and the probability of true (with a tab between), or
the number; where every step has an answer, those of the steps with blanks
between.

Options
${flagLines(flags)}

Examples
  bptt predict names.safetensors new-names.txt
  echo Yamamoto | bptt predict names.safetensors -
  bptt predict sensors.safetensors today.jsonl --json > answers.jsonl
`

type Answer = Prediction<Output, Readout>
type Step = Exclude<Answer, unknown[]>

export async function run(args: Arguments): Promise<number> {
  const [modelFile, path] = args.positionals as [string, string]
  const model = await RNN.load(modelFile)
  const file = readData(path, word(args, 'format', FORMATS), 'x')
  checkInput(file, model)
  try {
    const answers = (await model.predictMany(sequences(file.rows))) as Answer[]
    const worded = args.values.has('json') ? (answer: Answer) => JSON.stringify(plain(answer, model)) : words
    process.stdout.write(answers.map((answer) => `${worded(answer)}\n`).join(''))
    if (file.rows.every(({ y }) => y !== undefined)) await score(model, file)
  } catch (error) {
    throw inFile(error, file)
  }
  return 0
}

async function score(model: AnyRNN, file: DataFile): Promise<void> {
  process.stderr.write(`${paint(process.stderr).dim(scores(await model.evaluate(dataOf(file, model))))}\n`)
}

const words = (answer: Answer): string =>
  Array.isArray(answer) ? answer.map((step) => parts(step)[0]).join(' ') : parts(answer).join('\t')

/** What a line says of one answer, the most important first. */
function parts(step: Step): string[] {
  if (step.kind === 'softmax') return [onOneLine(String(step.label)), step.probability.toFixed(4)]
  if (step.kind === 'linear') return [Array.from(step.values, float32).join(',')]
  return [
    step.probabilities.length === 1
      ? String(step.probabilities[0]! >= 0.5)
      : step.labels.map((label) => onOneLine(String(label))).join(',') || '-',
    Array.from(step.probabilities, (p) => p.toFixed(4)).join(','),
  ]
}

/** As in JSON: what would break a line or a column is escaped. */
const onOneLine = (label: string) => label.replace(/[\n\r\t]/g, (c) => JSON.stringify(c).slice(1, -1))

/** The shortest decimal that is this float32. */
function float32(x: number): string {
  for (let digits = 6; digits < 9; digits++)
    if (Math.fround(Number(x.toPrecision(digits))) === x) return String(Number(x.toPrecision(digits)))
  return String(Number(x.toPrecision(9)))
}

function plain(answer: Answer, model: AnyRNN): unknown {
  if (Array.isArray(answer)) return answer.map((step) => plain(step, model))
  if (answer.kind === 'linear') return answer.values.length === 1 ? { value: answer.value } : { values: [...answer.values] }
  if (answer.kind === 'softmax')
    return { label: answer.label, probability: answer.probability, probabilities: byLabel(model, answer.probabilities) }
  return {
    yes: answer.probabilities.length === 1 ? answer.probabilities[0]! >= 0.5 : answer.labels,
    probabilities: byLabel(model, answer.probabilities),
  }
}

const byLabel = ({ labels }: AnyRNN, probabilities: Float32Array) =>
  typeof labels[0] === 'string' ? Object.fromEntries(labels.map((label, i) => [label, probabilities[i]])) : [...probabilities]
