/* One shift as pictures: a machine a row, its two sensors as lines, the steps of the symptom shaded; and the network's answer as bars. */
import { answers, machines, STEPS, SYMPTOM } from '../line/factory.mjs'
import type { Answer } from './network.js'
import { percent } from './words.js'

const SVG = 'http://www.w3.org/2000/svg'
const HEIGHT = 40
/** A reading of this size reaches the edge. */
const MOST = 1.3

function svg(name: string, attributes: Record<string, string | number>): SVGElement {
  const element = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value))
  return element
}

/** Every shift ends at the right edge. @param truth the answer that is right */
export function drawChain(figure: HTMLElement, shift: readonly Float32Array[], truth: string): void {
  const right = STEPS.to
  const at = (i: number) => right - shift.length + i + 0.5
  const height = (value: number) => HEIGHT / 2 - (HEIGHT / 2) * Math.max(-1, Math.min(1, value / MOST))
  const rows = machines.map((machine, m) => {
    const row = document.createElement('div')
    row.className = 'machine'
    row.classList.toggle('failed', machine === truth)
    const name = document.createElement('b')
    name.textContent = machine
    const picture = svg('svg', { viewBox: `0 0 ${right} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' })
    picture.append(svg('rect', { x: right - SYMPTOM.to, y: 0, width: SYMPTOM.to - SYMPTOM.from + 1, height: HEIGHT }))
    for (const sensor of [0, 1]) {
      const points = shift.map((step, i) => `${at(i)} ${height(step[2 * m + sensor]!).toFixed(2)}`)
      picture.append(svg('path', { d: `M${points.join('L')}` }))
    }
    row.append(name, picture)
    return row
  })
  const caption = document.createElement('figcaption')
  caption.className = 'quiet'
  const legend = document.createElement('ul')
  legend.className = 'legend'
  for (const [text, colour] of [
    ['vibration', '--main'],
    ['current', '--second'],
  ] as const) {
    const entry = document.createElement('li')
    entry.style.setProperty('--colour', `var(${colour})`)
    entry.textContent = text
    legend.append(entry)
  }
  caption.append(legend, `${shift.length} steps, the end at the right. A shudder can only lie in the shaded ones.`)
  figure.replaceChildren(...rows, caption)
  figure.setAttribute(
    'aria-label',
    `A shift of ${shift.length} steps, after which ${truth === 'none' ? 'no machine' : `the ${truth}`} failed`,
  )
}

export function showAnswer(list: HTMLElement, verdict: HTMLElement, answer: Answer, truth: string, learnt: boolean): void {
  const right = answer.label === truth
  list.replaceChildren(
    ...answers.map((name: string, k: number) => {
      const entry = document.createElement('li')
      entry.classList.toggle('chosen', name === answer.label)
      entry.classList.toggle('wrong', !right)
      const bar = document.createElement('span')
      bar.className = 'bar'
      bar.style.setProperty('--p', String(answer.probabilities[k]))
      const [label, value] = [name, percent(answer.probabilities[k]!)].map((text) => {
        const span = document.createElement('span')
        span.textContent = text
        return span
      })
      entry.append(label!, bar, value!)
      return entry
    }),
  )
  const said = answer.label === 'none' ? 'nothing will fail' : `the ${answer.label} will fail`
  const was = truth === 'none' ? 'nothing failed' : `the ${truth} failed`
  verdict.textContent = `${learnt ? 'The network says' : 'The network, which has learnt nothing yet, says'}: ${said}. ${right ? 'Right' : 'Wrong'}: ${was}.`
}
