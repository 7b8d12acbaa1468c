/*
 * node bench/roofline.mjs result.json > docs/roofline.svg: one-thread runs of bench:peers as a roofline. Up: useful GFLOP/s. To the right: how often
 * a time step uses each byte of W, 2·B·s² flop on 4·s² bytes. The roofs are what the machine did in the same runs: reading W from each level of
 * the memory, and multiply-adds in registers. With `--grid single` among the runs, single sequences show which level W lies in.
 */
import { readFileSync } from 'node:fs'
import { median } from './clock.mjs'

const [WIDTH, HEIGHT] = [860, 520]
const PLOT = { left: 64, right: 840, top: 24, bottom: 440 }
const X = [0.25, 128]
const Y = [2, 400]

const runs = process.argv
  .slice(2)
  .flatMap((file) => JSON.parse(readFileSync(file, 'utf8')).runs)
  .filter(({ threads }) => threads === 1)
const records = runs.flatMap((run) => run.records)
if (records.length === 0) throw new Error('usage: node bench/roofline.mjs RESULT.json…, with runs of one thread')

const log = (value, [from, to], [a, b]) => a + ((b - a) * Math.log(value / from)) / Math.log(to / from)
const x = (flopPerByte) => Number(log(flopPerByte, X, [PLOT.left, PLOT.right]).toFixed(1))
const y = (gflops) => Number(log(gflops, Y, [PLOT.bottom, PLOT.top]).toFixed(1))
const middle = (values) => (values.length ? median(values) : undefined)

const text = (at, up, words, style = '', anchor = 'start') =>
  `<text x="${at}" y="${up}" class="${style}" text-anchor="${anchor}">${words}</text>`
const line = (from, to, style) => `<line x1="${from[0]}" y1="${from[1]}" x2="${to[0]}" y2="${to[1]}" class="${style}"/>`

function axes() {
  const parts = []
  for (const tick of [0.25, 0.5, 1, 2, 4, 8, 16, 32, 64, 128])
    parts.push(line([x(tick), PLOT.top], [x(tick), PLOT.bottom], 'grid'), text(x(tick), PLOT.bottom + 18, tick, 'small', 'middle'))
  for (const tick of [2, 5, 10, 20, 50, 100, 200, 400])
    parts.push(line([PLOT.left, y(tick)], [PLOT.right, y(tick)], 'grid'), text(PLOT.left - 8, y(tick) + 4, tick, 'small', 'end'))
  const [across, up] = [(PLOT.left + PLOT.right) / 2, (PLOT.top + PLOT.bottom) / 2]
  parts.push(text(across, PLOT.bottom + 40, 'flop for each byte of W that a time step reads (half the batch)', '', 'middle'))
  parts.push(`<text transform="translate(18 ${up}) rotate(-90)" text-anchor="middle">useful GFLOP/s, one thread</text>`)
  return parts
}

/** Level roofs rise until they meet the highest ceiling; their names end there, but clear of the cells to the right. */
function roofs() {
  const names = [...new Set(runs.flatMap(({ peaks }) => Object.keys(peaks)))]
  const peaks = Object.fromEntries(names.map((name) => [name, middle(runs.map((run) => run.peaks[name]).filter(Boolean))]))
  const widest = names.reduce((best, name) => (peaks[name] > (peaks[best] ?? 0) ? name : best), names[0])
  const parts = []
  for (const name of [widest, '128-bit mul-add']) {
    if (!peaks[name]) continue
    parts.push(line([PLOT.left, y(peaks[name])], [PLOT.right, y(peaks[name])], 'roof'))
    parts.push(text(PLOT.right - 6, y(peaks[name]) - 6, `${name}, ${peaks[name].toFixed(0)} GFLOP/s`, 'small', 'end'))
  }
  for (const level of ['L1', 'L2', 'L3', 'DRAM']) {
    const rate = middle(runs.map(({ bandwidths }) => bandwidths[level]?.rate).filter(Boolean))
    if (!rate || !peaks[widest]) continue
    const [from, to] = [Math.max(X[0], Y[0] / rate), Math.min(X[1], peaks[widest] / rate)]
    parts.push(line([x(from), y(rate * from)], [x(to), y(rate * to)], 'roof'))
    const at = Math.min(to, 4)
    const turn = (Math.atan2(y(rate * to) - y(rate * from), x(to) - x(from)) * 180) / Math.PI
    parts.push(
      `<text transform="translate(${x(at) - 20} ${y(rate * at) + 7}) rotate(${turn.toFixed(1)})" class="small" text-anchor="end">${level}, ${rate.toFixed(0)} GB/s</text>`,
    )
  }
  return parts
}

/**
 * Beside their points: to the left (of single sequences, at the left edge, to the right), else on the other side, else a little lower or
 * higher, wherever no other label or point is.
 */
function labels(points) {
  const parts = []
  const placed = points.map(({ at, up }) => ({ from: at - 6, to: at + 6, up }))
  for (const { at, up, name } of points.sort((a, b) => a.up - b.up)) {
    const width = 7 * name.length + 12
    const sides = at < x(2) ? ['start', 'end'] : ['end', 'start']
    const places = [0, 13, -13, 26, -26].flatMap((lower) =>
      sides.map((side) => ({ side, up: up + lower, from: side === 'end' ? at - width : at + 7, to: side === 'end' ? at - 7 : at + width })),
    )
    const free = ({ from, to, up }) => placed.every((other) => other.to <= from || other.from >= to || Math.abs(other.up - up) >= 12)
    const place = places.find(free) ?? places[0]
    placed.push(place)
    parts.push(text(at + (place.side === 'start' ? 8 : -8), place.up + 4, name, 'small', place.side))
  }
  return parts
}

function points() {
  const parts = []
  const named = []
  for (const cell of new Map(records.map(({ sizes }) => [sizes.id, sizes])).values()) {
    const single = cell.id.startsWith('single')
    const here = records.filter((record) => record.cell === cell.id && record.kind === (single ? 'inference' : 'training'))
    const of = (contestant) =>
      here.find((record) => record.contestant === contestant && record.pass === (single ? 'forward' : 'step'))?.gflops
    const at = x(cell.B / 2)
    const best = Math.max(...here.filter(({ own }) => !own).map(({ gflops }) => gflops))
    const [native, wasm] = [of('native'), of('wasm')]
    if (!single && native && best > Y[0])
      parts.push(line([at, y(native)], [at, y(best)], 'link'), `<circle cx="${at}" cy="${y(best)}" r="4.5" class="rival"/>`)
    if (wasm) parts.push(`<rect x="${at - 4}" y="${y(wasm) - 4}" width="8" height="8" class="wasm"/>`)
    if (!native) continue
    parts.push(`<circle cx="${at}" cy="${y(native)}" r="${single ? 4 : 5}" class="${single ? 'single' : 'native'}"/>`)
    named.push({ at, up: y(native), name: single ? `s = ${cell.s}` : cell.id })
  }
  return [...labels(named), ...parts]
}

function legend() {
  const rows = [
    ['<circle cx="6" cy="-4" r="5" class="native"/>', 'native, training'],
    ['<circle cx="6" cy="-4" r="4" class="single"/>', 'native, one sequence forward'],
    ['<rect x="2" y="-8" width="8" height="8" class="wasm"/>', 'wasm, training'],
    ['<circle cx="6" cy="-4" r="4.5" class="rival"/>', 'best other library, training'],
  ]
  return rows.map(
    ([mark, words], i) =>
      `<g transform="translate(${PLOT.right - 214} ${PLOT.bottom - 84 + 20 * i})">${mark}${text(20, 0, words, 'small')}</g>`,
  )
}

console.log(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="Roofline of training and of single sequences">
<style>
  svg { font: 14px system-ui, sans-serif; color: #1f2328; --blue: #0969da; --green: #1a7f37; --red: #cf222e; --page: #ffffff; background: var(--page) }
  @media (prefers-color-scheme: dark) { svg { color: #e6edf3; --blue: #58a6ff; --green: #3fb950; --red: #ff7b72; --page: #0d1117 } }
  text { fill: currentColor; stroke: var(--page); stroke-width: 3; paint-order: stroke } .small { font-size: 12px }
  .grid { stroke: currentColor; opacity: 0.12 } .roof { stroke: currentColor; stroke-width: 1.5; opacity: 0.7 }
  .link { stroke: var(--red); stroke-width: 1; stroke-dasharray: 2 3 }
  .native { fill: var(--blue) } .single { fill: none; stroke: var(--blue); stroke-width: 2 } .wasm { fill: var(--green) }
  .rival { fill: none; stroke: var(--red); stroke-width: 2 }
</style>
${[...axes(), ...roofs(), ...points(), ...legend()].join('\n')}
</svg>`)
