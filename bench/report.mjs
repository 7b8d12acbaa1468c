/* Records as a table of at most 120 columns. What a record is, main.mjs says. */

export function duration(seconds) {
  const [unit, name] = seconds < 1e-6 ? [1e-9, 'ns'] : seconds < 1e-3 ? [1e-6, 'µs'] : seconds < 1 ? [1e-3, 'ms'] : [1, 's ']
  return `${(seconds / unit).toPrecision(seconds / unit < 1000 ? 3 : 4)} ${name}`
}

/** Three digits, and a letter for thousands. */
export function short(x) {
  const [unit, name] = x >= 1e6 ? [1e6, 'M'] : x >= 1e4 ? [1e3, 'k'] : [1, '']
  return (x / unit < 100 ? (x / unit).toPrecision(3) : (x / unit).toFixed(0)) + name
}

const percent = (share) => (share === undefined ? 'n/a' : `${(100 * share).toFixed(share < 0.1 ? 1 : 0)} %`)

/** Columns: [title, width, from a row to text]; a negative width aligns to the left. */
export function table(columns, rows) {
  const line = (cells) =>
    cells
      .map((text, i) => (columns[i][1] < 0 ? text.padEnd(-columns[i][1]) : text.padStart(columns[i][1])))
      .join('')
      .trimEnd()
  return [line(columns.map(([title]) => title)), ...rows.map((row) => line(columns.map(([, , text]) => text(row))))].join('\n')
}

export const resultTable = (records) =>
  table(
    [
      ['cell', -15, ({ cell }) => cell],
      ['case', -9, (record) => record.case],
      ['backend', -23, ({ backend }) => backend],
      ['median', 10, ({ seconds }) => duration(seconds.median)],
      ['best', 10, ({ seconds }) => duration(seconds.best)],
      ['a second', 10, ({ seconds }) => short(1 / seconds.median)],
      ['GFLOP/s', 9, ({ gflops, gelements }) => (gflops === undefined ? `${gelements.toFixed(2)} Ge` : short(gflops))],
      ['of peak', 9, ({ peakShare }) => percent(peakShare)],
      ['ran', 7, ({ ran }) => (ran === undefined ? 'n/a' : percent(ran))],
      ['error', 7, ({ error }) => error.toExponential(0)],
      ['/ bare', 8, ({ bareRatio }) => (bareRatio === undefined ? '' : bareRatio.toFixed(2))],
    ],
    records,
  )

export const profileTable = (rows) =>
  table(
    [
      ['operation', -14, ({ name }) => name],
      ['sizes', -26, ({ sizes }) => sizes],
      ['median', 10, ({ seconds }) => duration(seconds)],
      ['of step', 9, ({ share }) => percent(share)],
      ['GFLOP/s', 10, ({ gflops }) => (gflops === undefined ? '' : short(gflops))],
      ['of peak', 9, ({ gflops, peakShare }) => (gflops === undefined ? '' : percent(peakShare))],
    ],
    rows,
  )

const times = (ratio) => (ratio === null ? 'n/a' : `${ratio.toFixed(2)}×`)

export const scalingTable = (records) =>
  table(
    [
      ['cell', -16, ({ cell }) => cell],
      ['case', -9, (record) => record.case],
      ['backend', -9, ({ backend }) => backend],
      ['one thread', 12, ({ rates }) => short(rates.one)],
      ['threads', 10, ({ rates }) => short(rates.team)],
      ['processes', 11, ({ rates }) => (rates.apart === null ? 'n/a' : short(rates.apart))],
      ['threads / one', 15, ({ speedup }) => times(speedup)],
      ['processes / one', 17, ({ ceiling }) => times(ceiling)],
      ['threads / processes', 21, ({ share }) => (share === null ? 'n/a' : share.toFixed(2))],
    ],
    records,
  )

/** What was measured, on what machine. */
export const machineHead = (machine, threads) =>
  [
    `${machine.cpu}, processors ${machine.processors}, ${machine.system}; Node ${machine.node} (V8 ${machine.v8})`,
    `commit ${machine.commit}; ${machine.date}; load average ${machine.load.join(' ')}; ${threads} thread${threads === 1 ? '' : 's'}`,
  ].join('\n')

export function machineLines(machine, peaks, contenders, threads) {
  const rates = Object.entries(peaks).map(([name, rate]) => `${name} ${rate.toFixed(0)}`)
  return [
    machineHead(machine, threads),
    `peak of multiply-adds, GFLOP/s: ${rates.length ? rates.join(', ') : 'n/a (no C++ compiler here)'}`,
    `compared: ${contenders.map(({ id }) => id).join(', ')}`,
  ].join('\n')
}
