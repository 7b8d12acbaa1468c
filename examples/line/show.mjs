/* What line.mjs shows. Every figure is measured in the run that prints it; bars, colours and the progress line are the command line's own. */
import { statSync } from 'node:fs'
import { backend, bar, duration, ProgressLine, paint, percent, plural, size, whole } from '#lib/cli/screen.js'
import { answers, ceiling, machines, readings, STEPS, SYMPTOM } from './factory.mjs'

const started = performance.now()
process.stdout.on('error', ({ code, message }) => {
  if (code !== 'EPIPE') console.error(message)
  process.exit(code === 'EPIPE' ? 0 : 1) // whoever reads has had enough: npm start | head
})
const { bold, dim, red, green, yellow, cyan } = paint()
const colours = { orthogonal: green, pytorch: red }
const WIDTH = 22
const say = (...lines) => console.log(lines.map((line) => (line ? `  ${line}` : '')).join('\n'))

export function task(train, test, model) {
  say(
    '',
    bold('Which machine of the line is about to fail?'),
    dim('─'.repeat(76)),
    `A shift is ${STEPS.from} to ${STEPS.to} steps of ${readings} noisy readings from ${machines.length} machines. The only`,
    `symptom, a short shudder, comes ${SYMPTOM.from} to ${SYMPTOM.to} steps before the end; noise follows.`,
    '',
    `${dim('answers ')}  ${answers.join(', ')}`,
    `${dim('data    ')}  ${plural(train.x.length, 'shift')} to learn from, ${whole(test.x.length)} others to be judged by`,
    `${dim('network ')}  ${readings} readings → state of ${model.config.state} → ${answers.length} answers, ${plural(model.parameterCount, 'parameter')}`,
    `${dim('runs on ')}  ${backend(model.backend)}`,
    '',
  )
}

/** Mean ‖dL/ds‖ of the shifts, by steps before the end, as a share of what it is at the end. */
export function gradients(nets, test) {
  for (const net of nets) {
    const [count, slots] = net.flow.shape
    const mean = (back) => test.x.reduce((sum, shift, n) => sum + net.flow.data[n * slots + shift.length - back], 0) / count
    net.share = (back) => mean(back) / mean(0)
  }
  const backs = Array.from({ length: SYMPTOM.to / 5 + 1 }, (_, i) => 5 * i)
  const decades = Math.ceil(Math.max(...nets.map((net) => -Math.log10(net.share(SYMPTOM.to)))))
  const row = (back) => {
    const cells = nets.map((net) => {
      const share = net.share(back)
      return `${colours[net.name](bar(1 + Math.log10(share) / decades, WIDTH))} ${dim(power(share).padEnd(9))}`
    })
    return `${String(back).padStart(6)}${back >= SYMPTOM.from ? yellow(' ◆ ') : '   '}${cells.join('  ')}`
  }
  say(
    `${bold('How much of the error reaches the state so many steps back')}, before training`,
    dim(`‖dL/ds‖ relative to the end, on a logarithmic scale: no bar is 10⁻${superscript(decades)}`),
    '',
    dim(`${'steps'.padStart(6)}   ${nets.map(({ name, start }) => `init: '${name}'${start}`.padEnd(WIDTH + 10)).join('  ')}`),
    ...backs.map(row),
    `${' '.repeat(6)} ${yellow('◆')} ${dim('the symptom lies here')}`,
    '',
    bold('Training the two side by side: the same data, order and settings'),
  )
}

const superscript = (n) => [...String(n)].map((digit) => '⁰¹²³⁴⁵⁶⁷⁸⁹'[digit]).join('')
function power(share) {
  if (share >= 0.00995) return share.toFixed(2)
  const [digit, exponent] = share.toExponential(0).split('e-')
  return `${digit}·10⁻${superscript(exponent)}`
}

export function progress(net) {
  const line = new ProgressLine(`  ${net.name.padEnd(11)} `)
  return (p) => {
    line.show(p)
    net.speed = p.sequencesPerSecond
    if (p.step === p.steps) line.end()
  }
}

export function scores(nets, test) {
  const rows = [
    ['always the commonest answer', nets[0].scores.metrics.accuracy.baseline, dim],
    ...nets.toReversed().map(({ name, scores }) => [`init: '${name}'`, scores.metrics.accuracy.value, colours[name]]),
    ['ceiling: the ideal detector', ceiling(test), cyan],
  ]
  say(
    '',
    bold(`Right answers on the ${whole(test.x.length)} others`),
    ...rows.map(([what, share, colour]) => `${what.padEnd(29)}${colour(bar(share, 34))} ${percent(share).padStart(7)}`),
    '',
    dim('The ideal detector is told the noise and the shape and time of each shudder.'),
    dim(`Learnt from ${nets.map(({ speed }) => whole(speed)).join(' and ')} shifts a second.`),
  )
}

export function saved(file, before, after) {
  const equal = before.filter(({ label, probability }, n) => label === after[n].label && probability === after[n].probability).length
  say(
    '',
    `Saved as ${file} (${size(statSync(file).size)}) and loaded again:`,
    `${whole(equal)} of ${plural(before.length, 'answer')} equal to the last bit.`,
    `${duration((performance.now() - started) / 1000)} in all.`,
    '',
  )
  if (equal < before.length) process.exitCode = 1
}
