/* Numbers and findings in words. */
const superscript = (n: number) => [...String(n)].map((digit) => (digit === '-' ? '⁻' : '⁰¹²³⁴⁵⁶⁷⁸⁹'[Number(digit)])).join('')

export const percent = (share: number) => `${(100 * share).toFixed(1)} %`
export const whole = (n: number) => Math.round(n).toLocaleString('en')

/** 0.43, or 3·10⁻⁶ */
export function power(x: number): string {
  if (x === 0) return '0'
  if (x >= 0.00995 && x < 9999.5) return x >= 99.5 ? whole(x) : x.toPrecision(2)
  const [digit, exponent] = x.toExponential(0).split('e')
  return `${digit}·10${superscript(Number(exponent))}`
}

/** 0.01, 1, 10, and powers of ten beyond: for an axis. */
export const decade = (x: number) =>
  x >= 0.0099 && x < 10001 ? String(Number(x.toPrecision(2))) : `10${superscript(Math.round(Math.log10(x)))}`

export interface Finding {
  readonly kind: 'arrives' | 'fades' | 'vanishes' | 'explodes'
  readonly text: string
}

/** What the gradient is so many steps back, by what it is at the end. */
export const shareAt = (norms: readonly number[], back: number) => (norms[0]! > 0 ? norms[back]! / norms[0]! : 0)

/** @param norms ‖dL/ds‖ by steps before the end; @param back the step that matters */
export function finding(norms: readonly number[], back: number): Finding {
  const share = shareAt(norms, back)
  const steps = `${back} steps back, where the shudder can be,`
  const times = `${steps} it is ${power(share)} times what it is at the end.`
  if (share < 0.001) return { kind: 'vanishes', text: `The gradient vanishes: ${times} The weights hardly hear of the shudder.` }
  if (share < 0.02) return { kind: 'fades', text: `The gradient fades: ${times} Learning will be slow.` }
  if (share <= 100) return { kind: 'arrives', text: `The gradient arrives: ${times}` }
  return { kind: 'explodes', text: `The gradient explodes: ${times} Clipping keeps the steps small, and learning slow.` }
}
