/*
 * What the terminal shows: colours, bars, numbers in words, and the line that shows how far a training run is. Where the output is not a
 * terminal there are no escape codes and nothing is overwritten: plain lines. Used by the commands and by examples/.
 */
import type { WriteStream } from 'node:tty'
import type { Metric, Progress, Scores } from '../types.js'

type Out = NodeJS.WritableStream & Partial<Pick<WriteStream, 'isTTY' | 'columns'>>

/** Whether escape codes do what they say: a terminal that is not a dumb one. */
const live = (out: Out) => out.isTTY === true && process.env.TERM !== 'dumb'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, cyan: 36 } as const
export type Paint = Record<keyof typeof CODES, (text: string) => string>

/** Colours for this output: none where it is no terminal, or where NO_COLOR asks for none (no-color.org). */
export function paint(out: Out = process.stdout): Paint {
  const coloured = live(out) && !process.env.NO_COLOR
  const entries = Object.entries(CODES).map(([name, code]) => [name, (text: string) => (coloured ? `\x1b[${code}m${text}\x1b[0m` : text)])
  return Object.fromEntries(entries) as Paint
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of `width` columns, of which `share` (0 to 1) is filled to the eighth of a column. */
export function bar(share: number, width: number): string {
  const eighths = Math.round(Math.min(1, Math.max(0, share || 0)) * width * 8)
  return ('█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7]).padEnd(width)
}

export const percent = (share: number) => `${(100 * share).toFixed(1)} %`
export const whole = (n: number) => Math.round(n).toLocaleString('en-US')
export const plural = (n: number, what: string) => `${whole(n)} ${what}${n === 1 ? '' : 's'}`
/** Three significant digits, and never an exponent for everyday sizes. */
export const number = (x: number) =>
  x !== 0 && (Math.abs(x) < 1e-3 || Math.abs(x) >= 1e6) ? x.toExponential(2) : String(Number(x.toPrecision(3)))

export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?'
  if (seconds < 9.95) return `${seconds.toFixed(1)} s`
  const s = Math.round(seconds)
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`
}

export function size(bytes: number): string {
  return bytes < 1000 ? `${bytes} bytes` : bytes < 1e6 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`
}

const valueOf = (name: string, value: number) => (name === 'accuracy' ? percent(value) : number(value))

/** `accuracy 93.1 % (majority class: 25.0 %)`: every metric, and beside it what the naive answer gets. */
function metrics(of: Record<string, Metric>, beside = true): string {
  return Object.entries(of)
    .map(([name, { value, baseline, baselineIs }]) => {
      const naive = beside ? ` (${baselineIs}: ${valueOf(name, baseline)})` : ''
      return `${name} ${valueOf(name, value)}${naive}`
    })
    .join('  ')
}

export const scores = ({ loss, metrics: of }: Pick<Scores, 'loss' | 'metrics'>, beside?: boolean) =>
  `loss ${loss.toFixed(4)}  ${metrics(of, beside)}`

/** `native avx512, fma, 2 threads`, and why it is not a better one. */
export function backend({
  name,
  isa,
  arithmetic,
  threads,
  why,
}: {
  name: string
  isa: string
  arithmetic: string
  threads: number
  why: { candidate: string; refused: string }[]
}): string {
  const reasons = [...new Set(why.map(({ refused }) => refused))]
  const refusedFor = (reason: string) => why.filter(({ refused }) => refused === reason).map(({ candidate }) => candidate)
  const passed = reasons.map((reason) => `not ${refusedFor(reason).join(' or ')}: ${reason}`).join('; ') || 'the first choice'
  return `${name}${isa && isa !== name ? ` ${isa}` : ''}, ${arithmetic}, ${plural(threads, 'thread')} (${passed})`
}

/** Lines at most that a run leaves where they cannot be overwritten. */
const MOST_LINES = 20

/** The progress of one training run: a line that is overwritten, with a bar and the time that is left; or now and then a plain line. */
export class ProgressLine {
  /** It is overwritten. */
  readonly live: boolean
  private readonly paint: Paint
  private shown = 0
  /** The furthest update: an epoch's end may be told after updates of the next one. */
  private step = 0
  /** Of the last epoch that had one: what is told between epochs has none. */
  private validation: Scores | undefined

  constructor(
    private readonly title = '',
    private readonly out: Out = process.stdout,
  ) {
    this.live = live(out)
    this.paint = paint(out)
  }

  /** @param p from onProgress, or of an epoch's end */
  show(p: Progress): void {
    this.validation = p.validation ?? this.validation
    if (p.step < this.step) return
    this.step = p.step
    const share = p.steps > 0 ? p.step / p.steps : 1
    if (this.live) return this.overwrite(p, share)
    if (share < 1 && p.epochs > 1 && p.epoch === p.epochs) return // the last epoch is told at its end
    if (share < (share < 1 ? this.shown + 1 : this.shown) / MOST_LINES) return
    this.shown = Math.floor(share * MOST_LINES + 1e-9) + Number(share === 1)
    this.out.write(
      `${this.title}epoch ${p.epoch}/${p.epochs}  ${scores(p, !this.validation)}${this.validation ? `  validation ${scores(this.validation)}` : ''}\n`,
    )
  }

  /** Leaves the last state on the screen and goes to the next line, or takes the line away. */
  end(keep = true): void {
    if (this.live && this.shown) this.out.write(keep ? '\n' : '\r\x1b[2K')
    this.shown = 0
    this.step = 0
  }

  private overwrite(p: Progress, share: number): void {
    const of = this.validation ?? p // what a user wants to watch
    const before = `${this.title}epoch ${String(p.epoch).padStart(String(p.epochs).length)}/${p.epochs} `
    const short = Object.entries(of.metrics).map(([name, { value }]) => `${name} ${valueOf(name, value)}`)
    const after = [
      `loss ${of.loss.toFixed(3)}`,
      ...short,
      ...(p.sequencesPerSecond > 0 ? [`${whole(p.sequencesPerSecond)} seq/s`] : []),
      share < 1 ? `${duration(p.etaSeconds)} left` : 'done',
    ]
    const columns = this.out.columns ?? 80
    const room = () => columns - before.length - after.join('  ').length - 4 // three beside the bar, and the last one stays free
    while (room() < 8 && after.length > 1) after.splice(after.length > 3 ? -2 : -1, 1) // a narrow terminal: speed goes first
    const width = Math.min(24, room())
    const { dim, cyan } = this.paint
    const line = width >= 4 ? `${dim('▕')}${cyan(bar(share, width))}${dim('▏')} ${after.join('  ')}` : after.join('  ')
    this.out.write(`\r\x1b[2K${width >= 4 ? before + line : (before + line).slice(0, columns - 1)}`)
    this.shown++
  }
}
