/*
 * Coefficients of the float32 functions that all backends share (docs/numerics.md gives formulas and errors). src/build.mjs writes them
 * into native/ and assembly/. Every number is a float32 value; scripts in bench/derive show where those of tanh come from.
 */

/** tanh x = x·P(x²) ÷ Q(x²) for |x| ≤ bound, both by Horner's rule, highest power first. From bench/derive/tanh.mjs, fitted up to 8.5. */
export const TANH = {
  bound: 7.90531110763549805,
  P: [1.43271626e-8, 2.12971809e-5, 3.53702228e-3, 0.134158358, 1],
  Q: [8.17010857e-7, 3.3536274e-4, 2.60343514e-2, 0.467491627, 1],
} as const

/** exp x = 2ⁿ·(1 + f + f²·P(f)), n = round(x·log2e), f = x − n·ln2 in two parts, for low ≤ x ≤ high. */
export const EXP = {
  low: -87,
  high: 88,
  log2e: 1.44269504088896341,
  ln2High: 0.693359375,
  ln2Low: -2.1219444e-4,
  P: [1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1],
} as const

/**
 * ln x in float64 (fdlibm's e_log.c, Sun Microsystems 1993): x = 2ᵏ·(1 + f) with √½ ≤ 1 + f < √2, s = f ÷ (2 + f), z = s·s, w = z·z,
 * t1 = w·(L₂ + w·(L₄ + w·L₆)), t2 = z·(L₁ + w·(L₃ + w·(L₅ + w·L₇))), h = (0.5·f)·f,
 * ln x = k·ln2High − ((h − (s·(h + (t2 + t1)) + k·ln2Low)) − f). k and f: add SHIFT to the high word h of x with its exponent cleared;
 * bit 20 of the sum says whether 1 + f would reach √2 and must be halved.
 */
export const LN = {
  ln2High: 6.9314718036912381649e-1,
  ln2Low: 1.90821492927058770002e-10,
  shift: 0x95f64,
  L: [
    6.66666666666673513e-1, 3.999999999940941908e-1, 2.857142874366239149e-1, 2.222219843214978396e-1, 1.818357216161805012e-1,
    1.531383769920937332e-1, 1.479819860511658591e-1,
  ],
} as const

/** Adding and subtracting 1.5·2²³ rounds a float32 to the nearest integer. */
export const ROUND = 12582912
/** Elements of δ below 2⁻¹⁰⁰ become 0 (vanished gradients must not become subnormal numbers). */
export const TINY = 2 ** -100
/** Elements that one partial sum of NORM covers. */
export const NORM_BLOCK = 4096
