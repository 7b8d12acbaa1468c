/*
 * The three charts: uPlot, its colours from style.css (both schemes), its width from the page. Each has a legend in HTML, which says the
 * last values, and so has what is drawn in words for who cannot see it.
 */
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

export interface Line {
  readonly label: string
  /** A variable of style.css. */
  readonly colour: '--main' | '--second' | '--naive' | '--ideal'
  readonly dashed?: boolean
  readonly points?: boolean
}

export interface ChartOptions {
  readonly lines: readonly Line[]
  readonly format: (value: number) => string
  readonly x: (value: number) => string
  /** The whole of x, where it is known; y from what there is to see. */
  readonly xRange?: readonly [number, number]
  readonly yRange: (least: number, most: number) => [number, number]
  readonly logarithmic?: boolean
  /** Of x, shaded. */
  readonly band?: readonly [number, number]
}

export interface Chart {
  /** Rows of [x, y of each line]; null where a line has none. The legend says each line's last, or what is given instead. */
  show(rows: readonly (readonly (number | null)[])[], instead?: readonly string[]): void
}

const every = new Set<uPlot>()
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
  for (const chart of every) chart.redraw(false, true)
})

export function makeChart(id: string, { lines, format, x, xRange, yRange, logarithmic = false, band }: ChartOptions): Chart {
  const box = document.getElementById(id)!
  const values = lines.map(legend(document.getElementById(`${id}-legend`)!))
  const colour = (name: string) => getComputedStyle(box).getPropertyValue(name)
  const axis = {
    stroke: () => colour('--quiet'),
    grid: { stroke: () => colour('--grid'), width: 1 },
    ticks: { show: false },
    font: '12px system-ui',
  }

  /** Every decade, or every second, third … where they are many: uPlot's own ten lines a decade would cover what is drawn. */
  const decades = (_: uPlot, __: number, least: number, most: number) => {
    const [from, to] = [Math.round(Math.log10(least)), Math.round(Math.log10(most))]
    const by = Math.ceil((to - from) / 7)
    return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, n) => 10 ** (to - n * by)).reverse()
  }

  const chart = new uPlot(
    {
      width: box.clientWidth,
      height: box.clientHeight,
      legend: { show: false },
      cursor: { show: false },
      padding: [8, 12, 0, 0],
      scales: {
        x: { time: false, ...(xRange && { range: [...xRange] as [number, number] }) },
        y: { distr: logarithmic ? 3 : 1, range: (_, least, most) => yRange(least ?? 0, most ?? 1) },
      },
      axes: [
        { ...axis, size: 28, values: (_, splits) => splits.map(x) },
        {
          ...axis,
          size: 56,
          ...(logarithmic && { splits: decades, filter: (_: uPlot, splits: number[]) => splits }),
          values: (_, splits) => splits.map(format),
        },
      ],
      series: [
        {},
        ...lines.map(({ label, colour: name, dashed, points = false }) => ({
          label,
          stroke: () => colour(name),
          width: 2,
          points: { show: points, size: 6, fill: () => colour(name) },
          spanGaps: true,
          ...(dashed && { dash: [6, 5] }),
        })),
      ],
      hooks: {
        drawClear: [
          ({ ctx, bbox, valToPos }) => {
            if (!band) return
            const [from, to] = band.map((value) => valToPos(value, 'x', true)) as [number, number]
            ctx.fillStyle = colour('--band')
            ctx.fillRect(from, bbox.top, to - from, bbox.height)
          },
        ],
      },
    },
    [[0], ...lines.map(() => [null])] as uPlot.AlignedData,
    box,
  )
  every.add(chart)
  new ResizeObserver(() => chart.setSize({ width: box.clientWidth, height: box.clientHeight })).observe(box)

  let waiting = false
  let rows: readonly (readonly (number | null)[])[] = []
  let words: readonly string[] | undefined
  const draw = () => {
    waiting = false
    chart.setData([rows.map(([at]) => at), ...lines.map((_, k) => rows.map((row) => row[k + 1] ?? null))] as uPlot.AlignedData)
    lines.forEach((_, k) => {
      const last = rows.findLast((row) => row[k + 1] != null)?.[k + 1]
      values[k]!.textContent = words?.[k] ?? (last == null ? '' : format(last))
    })
    box.setAttribute('aria-label', lines.map(({ label }, k) => `${label}: ${values[k]!.textContent || 'nothing yet'}`).join('; '))
  }
  return {
    show(all, instead) {
      rows = all
      words = instead
      if (!waiting) requestAnimationFrame(draw)
      waiting = true
    },
  }
}

/** An entry for a line; returns where its last value goes. */
const legend =
  (list: HTMLElement) =>
  ({ label, colour, dashed }: Line) => {
    const entry = document.createElement('li')
    const value = document.createElement('b')
    entry.style.setProperty('--colour', `var(${colour})`)
    entry.classList.toggle('dashed', dashed === true)
    entry.append(`${label} `, value)
    list.append(entry)
    return value
  }
