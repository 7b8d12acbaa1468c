/*
 * The page: controls, and what happens when. A network is made when a choice changes or a file is loaded; it is trained in a Worker while
 * the page watches: loss and accuracy from its progress, the reach of the gradient and the answer for one shift asked in between.
 */
import { BpttError, doctor, type Progress, RNN, type Run } from 'bptt'
import { ceiling, SYMPTOM } from '../line/factory.mjs'
import { drawChain, showAnswer } from './chain.js'
import { makeChart } from './charts.js'
import { makeShifts, naive, type Shifts, some } from './data.js'
import { ask, type Choices, EPOCHS, make, type Network, reach, settings } from './network.js'
import { decade, finding, percent, power, shareAt, whole } from './words.js'

const TRAIN = 8000
const TEST = 1000
/** Shifts over which the reach of the gradient is a mean. */
const WATCHED = 200
/** Milliseconds between two looks at it. */
const LOOK = 300

const $ = <E extends HTMLElement = HTMLElement>(id: string) => document.getElementById(id) as E
const controls = $<HTMLFormElement>('controls')
const choices = $<HTMLFieldSetElement>('choices')
const select = (id: string) => $<HTMLSelectElement>(id)
const buttons = { train: $<HTMLButtonElement>('train'), stop: $<HTMLButtonElement>('stop'), save: $<HTMLButtonElement>('save') }
const file = $<HTMLInputElement>('load')
const say = (text: string, kind: 'news' | 'bad' = 'news') => {
  $('status').textContent = text
  $('status').dataset.kind = kind
}

const charts = {
  gradient: makeChart('gradient', {
    lines: [
      { label: 'before training', colour: '--naive', dashed: true },
      { label: 'now', colour: '--main' },
    ],
    format: decade,
    x: (back) => (back === 0 ? 'end' : `−${-back}`),
    xRange: [-48, 0],
    // Whole decades, and those around 1 always: the scale should not follow every breath.
    yRange: (least, most) => [
      10 ** Math.floor(Math.log10(Math.max(Math.min(least, 0.01), 1e-15))),
      10 ** Math.ceil(Math.log10(Math.max(most, 10))),
    ],
    logarithmic: true,
    band: [-SYMPTOM.to, -SYMPTOM.from],
  }),
  accuracy: makeChart('accuracy', {
    lines: [
      { label: 'on new shifts', colour: '--main', points: true },
      { label: 'while learning', colour: '--second' },
      { label: 'ideal detector', colour: '--ideal', dashed: true },
      { label: 'commonest answer', colour: '--naive', dashed: true },
    ],
    format: (share) => `${Math.round(100 * share)} %`,
    x: (epoch) => (Number.isInteger(epoch) ? String(epoch) : ''),
    yRange: () => [0, 1],
  }),
  loss: makeChart('loss', {
    lines: [
      { label: 'on new shifts', colour: '--main', points: true },
      { label: 'while learning', colour: '--second' },
      { label: 'guessing', colour: '--naive', dashed: true },
    ],
    format: (loss) => loss.toFixed(2),
    x: (epoch) => (Number.isInteger(epoch) ? String(epoch) : ''),
    yRange: (_, most) => [0, Math.max(1.8, most)],
  }),
}

let train: Shifts
let test: Shifts
let bounds: { readonly ideal: number; readonly naive: ReturnType<typeof naive> }
let network: Network
let run: Run | undefined
let shown = 0
/** Reach of the gradient before training; progress by epochs over all runs of this network. */
let before: number[] = []
let history: { readonly epoch: number; readonly progress: Progress }[] = []
/** Whether these weights have learnt anything, here or before they were saved. */
let learnt = false

const chosen = (): Choices => {
  const [backend, numerics = 'fast'] = select('backend').value.split(' ')
  return {
    state: Number(select('state').value),
    nonlinearity: select('nonlinearity').value,
    init: select('init').value,
    backend,
    numerics,
  } as Choices
}

/** Puts a network on the page: new, or from a file. */
async function use(next: Network, isLearnt: boolean): Promise<void> {
  network?.dispose()
  network = next
  learnt = isLearnt
  history = []
  $('speed').textContent = runsOn()
  showHistory()
  before = []
  await look()
}

function runsOn(): string {
  const { name, isa, arithmetic, threads } = network.backend
  return `${whole(network.parameterCount)} weights, on ${name} (${isa}, ${arithmetic}, ${threads} thread${threads === 1 ? '' : 's'}).`
}

/** The reach of the gradient and the answer, as the weights are now. */
async function look(): Promise<void> {
  const asked = network
  const norms = await reach(asked, some(test, WATCHED))
  if (asked !== network) return
  if (before.length === 0) before = norms
  const { kind, text } = finding(norms, SYMPTOM.to)
  $('verdict').textContent = text
  $('verdict').dataset.kind = kind
  const positive = (value: number) => (value > 0 ? value : null)
  charts.gradient.show(
    norms.map((value, back) => [-back, positive(before[back]!), positive(value)]).reverse(),
    [before, norms].map((one) => `× ${power(shareAt(one, SYMPTOM.to))} at −${SYMPTOM.to}`),
  )
  await answer()
}

async function answer(): Promise<void> {
  const n = shown
  const asked = network
  const answered = await ask(asked, test.list[n]!)
  if (n === shown && asked === network) showAnswer($('odds'), $('verdict-example'), answered, test.y[n]!, learnt)
}

function showHistory(): void {
  const { ideal, naive } = bounds
  const last = Math.max(EPOCHS, history.at(-1)?.epoch ?? 0)
  const rows = history.map(({ epoch, progress: { metrics, validation, loss } }) => ({
    epoch,
    accuracy: [validation ? validation.metrics.accuracy!.value : null, metrics.accuracy!.value],
    loss: [validation?.loss ?? null, loss],
  }))
  const chart = (lines: 'accuracy' | 'loss', ...constants: number[]) => {
    const edge = (epoch: number) => [epoch, null, null, ...constants]
    return [edge(0), ...rows.map((row) => [row.epoch, ...row[lines], ...constants]), edge(last)]
  }
  charts.accuracy.show(chart('accuracy', ideal, naive.accuracy))
  charts.loss.show(chart('loss', naive.loss))
}

/** What can be pressed, and what is filled in. */
function enable(): void {
  const training = run !== undefined
  const focused = document.activeElement
  choices.disabled = training
  buttons.train.disabled = training
  buttons.stop.disabled = !training
  buttons.save.disabled = false
  file.disabled = training
  // Who is at the keyboard has just lost the button under it.
  if (focused === (training ? buttons.train : buttons.stop)) (training ? buttons.stop : buttons.train).focus()
}

async function learn(): Promise<void> {
  let looking = false
  let looked = 0
  const first = history.at(-1)?.epoch ?? 0
  const bar = $<HTMLProgressElement>('progress')
  const note = (progress: Progress) => {
    history.push({ epoch: first + (progress.step * progress.epochs) / progress.steps, progress })
    learnt = true
    history.sort((a, b) => a.epoch - b.epoch) // the two ways on which they come are not of one speed
    showHistory()
  }
  const onProgress = (progress: Progress) => {
    if (!progress.validation) note(progress) // the ends of epochs come below, none left out
    bar.value = progress.step / progress.steps
    $('speed').textContent = `${whole(progress.sequencesPerSecond)} shifts a second, about ${Math.ceil(progress.etaSeconds)} s to go`
    if (looking || performance.now() - looked < LOOK) return
    looking = true
    looked = performance.now()
    look()
      .catch(complain)
      .finally(() => (looking = false))
  }
  const started = performance.now()
  run = network.train({ x: train.x, y: train.y }, { ...settings(test), onProgress })
  enable()
  say('Training …')
  try {
    for await (const progress of run) {
      note(progress)
      say(`Epoch ${progress.epoch} of ${progress.epochs}: ${percent(progress.validation!.metrics.accuracy!.value)} right on new shifts.`)
    }
    const { history: all, stopped, best } = await run
    const { metrics } = await network.evaluate({ x: test.x, y: test.y })
    const how = stopped === 'stop' ? `Stopped in epoch ${Math.min(all.length + 1, best.epochs)}` : 'Trained'
    say(`${how}: ${percent(metrics.accuracy!.value)} right on ${whole(TEST)} new shifts; the ideal detector has ${percent(bounds.ideal)}.`)
    const updates = Math.round(bar.value * best.steps)
    $('speed').textContent =
      `${whole(updates)} updates in ${((performance.now() - started) / 1000).toFixed(1)} s, in a Worker beside this page. ${runsOn()}`
  } catch (error) {
    complain(error)
  } finally {
    run = undefined
    enable()
    await look().catch(complain)
  }
}

async function save(): Promise<void> {
  const bytes = await network.toBytes()
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([bytes], { type: 'application/octet-stream' }))
  link.download = 'bptt-line.safetensors'
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  say(`Saved as ${link.download}, ${whole(bytes.length)} bytes: PyTorch can open it, too.`)
}

async function load(from: File): Promise<void> {
  const loaded = await RNN.load(from).catch((error) => {
    if (error instanceof BpttError) throw new Error(`${from.name} ${error.summary}. The network is as it was.`)
    throw error
  })
  const { state, nonlinearity, init, input, output } = loaded.config as never as Choices & { input: unknown; output: unknown }
  const { input: wanted, output: names } = network.config
  if (JSON.stringify([input, output]) !== JSON.stringify([wanted, names]))
    throw new Error(`${from.name} is a model for other data. The network is as it was.`)
  for (const [id, value] of Object.entries({ state, nonlinearity, init })) select(id).value = String(value)
  await use(loaded, true)
  const scores = await network.evaluate({ x: test.x, y: test.y })
  say(`Loaded ${from.name}: ${percent(scores.metrics.accuracy!.value)} right on ${whole(TEST)} new shifts.`)
}

function complain(error: unknown): void {
  say(error instanceof Error ? error.message : String(error), 'bad')
}

function showShift(n: number): void {
  shown = n % test.count
  drawChain($('chain'), test.list[shown]!, test.y[shown]!)
  if (network) answer().catch(complain)
}

/** The backends that work here, the best first. */
async function listBackends(): Promise<void> {
  const { backends } = await doctor()
  const options = backends.flatMap(({ name, usable, fast, portable }) => {
    if (!usable) return []
    if (name === 'reference') return [['reference', 'JavaScript, slow']]
    const entries = [[`${name} fast`, `WASM ${fast!.isa}`]]
    if (portable!.isa !== fast!.isa) entries.push([`${name} portable`, `WASM ${portable!.isa}`])
    return entries
  })
  select('backend').replaceChildren(...options.map(([value, text]) => new Option(text, value)))
}

function listen(): void {
  controls.addEventListener('submit', (event) => {
    event.preventDefault()
    learn()
  })
  choices.addEventListener('change', () => {
    use(make(chosen()), false)
      .then(() => say('A new network, its weights drawn anew.'))
      .catch(complain)
  })
  buttons.stop.addEventListener('click', () => {
    say('Stopping …')
    run?.stop().catch(() => {}) // learn() tells
  })
  buttons.save.addEventListener('click', () => save().catch(complain))
  $('another').addEventListener('click', () => showShift(shown + 1))
  file.addEventListener('change', () => {
    const [given] = file.files!
    if (given) load(given).catch(complain)
    file.value = ''
  })
  const over = (yes: boolean) => (event: DragEvent) => {
    event.preventDefault()
    document.body.classList.toggle('dropping', yes && !run)
  }
  addEventListener('dragover', over(true))
  addEventListener('dragleave', over(false))
  addEventListener('drop', (event) => {
    over(false)(event)
    const given = event.dataTransfer?.files[0]
    if (run) say('Stop the training first, then drop the file again.')
    else if (given) load(given).catch(complain)
  })
}

async function start(): Promise<void> {
  $('lead-from').textContent = String(SYMPTOM.from)
  $('lead-to').textContent = String(SYMPTOM.to)
  for (const chart of [charts.accuracy, charts.loss]) chart.show([[0], [EPOCHS]])
  await listBackends()
  test = await makeShifts(TEST, 2)
  bounds = { ideal: ceiling({ x: test.list, y: test.y }), naive: naive(test) }
  showShift(0)
  train = await makeShifts(TRAIN, 1, (made) => ($<HTMLProgressElement>('progress').value = made / TRAIN))
  await use(make(chosen()), false)
  $<HTMLProgressElement>('progress').value = 0
  listen()
  enable()
  say(`${whole(TRAIN)} shifts to learn from and ${whole(TEST)} new ones to be judged by are ready.`)
}

start().catch(complain)
