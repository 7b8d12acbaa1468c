/*
 * Writes the facts that all three implementations share, from their one definition in this folder, as native/plan.gen.h and
 * assembly/plan.gen.ts. Called by src/build.mjs with the compiled modules of this folder.
 */
import { readFileSync, writeFileSync } from 'node:fs'

const HEAD = 'Generated from src/plan by src/plan/generate.mjs; do not edit.'
const snake = (name) => name.replace(/([a-z0-9])([A-Z])/g, '$1_$2').toUpperCase()

/** Writes only what changed, so that a build without changes compiles nothing. */
function write(path, text) {
  let old
  try {
    old = readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code !== 'ENOENT') throw error
  }
  if (old !== text) writeFileSync(path, text)
}

/** @returns [group, name, integer] of every integer constant, and [name, value, argument count] of every opcode. */
function integers({ operations: op, memory, frame, optimizers, functions }) {
  const rows = []
  for (const group of ['Rows', 'Cell', 'Head', 'Above', 'Pack', 'By', 'Optimizer', 'UpdateFlag', 'Result', 'Status'])
    for (const [name, value] of Object.entries(op[group])) rows.push([snake(group), snake(name), value])
  for (const [name, value] of Object.entries(memory.Region)) rows.push(['REGION', name, value])
  for (const [name, value] of Object.entries(frame.FrameField)) rows.push(['FRAME', name, value])
  for (const [name, value] of Object.entries(optimizers.Scalar)) rows.push(['SCALAR', name, value])
  for (const name of ['REGIONS', 'UNIT_BYTES', 'UNIT_FLOATS', 'REGION_SHIFT', 'NONE', 'WORKSPACE_BYTES'])
    rows.push(['', name, memory[name]])
  for (const name of ['SCALARS', 'SCALAR_COUNT', 'FRAME_HEADER']) rows.push(['', name, frame[name]])
  rows.push(
    ['', 'SEQUENCE_FIELD_COUNT', frame.SEQUENCE_FIELDS.length],
    ['', 'RESULT_FIELDS', op.RESULT_FIELDS],
    ['', 'NORM_BLOCK', functions.NORM_BLOCK],
    ['', 'LN_SHIFT', functions.LN.shift],
  )
  return rows
}

function opcodes({ operations: op }) {
  return op.operationNames.map((name) => ({ name, code: op.Opcode[name], args: op.OPERATIONS[name].map((a) => a.replace('@', '')) }))
}

/** A float32 value, written so that a C++ or AssemblyScript compiler reads back exactly it. */
const float = (x) => {
  const text = Math.fround(x).toPrecision(9)
  return /[.e]/.test(text) ? text : `${text}.0`
}

function floats({ functions: f }) {
  return [
    ['TANH_BOUND', f.TANH.bound],
    ['EXP_LOW', f.EXP.low],
    ['EXP_HIGH', f.EXP.high],
    ['EXP_LOG2E', f.EXP.log2e],
    ['EXP_LN2_HIGH', f.EXP.ln2High],
    ['EXP_LN2_LOW', f.EXP.ln2Low],
    ['ROUND', f.ROUND],
    ['TINY', f.TINY],
    ...f.TANH.P.map((c, i) => [`TANH_P${i}`, c]),
    ...f.TANH.Q.map((c, i) => [`TANH_Q${i}`, c]),
    ...f.EXP.P.map((c, i) => [`EXP_P${i}`, c]),
  ]
}

/** float64 constants: the shortest digits give the same value back. */
function doubles({ functions: f }) {
  return [['LN_LN2_HIGH', f.LN.ln2High], ['LN_LN2_LOW', f.LN.ln2Low], ...f.LN.L.map((c, i) => [`LN_L${i + 1}`, c])]
}

export function generate(modules, root) {
  const full = ([group, name]) => (group ? `${group}_${name}` : name)
  const cc = [`// ${HEAD}`, '#pragma once', '#include <cstdint>', '', 'namespace plan {']
  const as = [`// ${HEAD}`, '']
  for (const row of integers(modules)) {
    cc.push(`constexpr int32_t ${full(row)} = ${row[2]};`)
    as.push(`export const ${full(row)}: i32 = ${row[2]}`)
  }
  for (const [name, value] of floats(modules)) {
    cc.push(`constexpr float ${name} = ${float(value)}f;`)
    as.push(`export const ${name}: f32 = ${float(value)}`)
  }
  for (const [name, value] of doubles(modules)) {
    cc.push(`constexpr double ${name} = ${value};`)
    as.push(`export const ${name}: f64 = ${value}`)
  }
  const list = opcodes(modules)
  cc.push('', '// Opcodes, and the place of each argument behind its opcode.')
  as.push('', '// Opcodes, and the place of each argument behind its opcode.')
  for (const { name, code, args } of list) {
    cc.push(`constexpr int32_t OP_${name} = ${code};`, `namespace ${name.toLowerCase()} {`)
    as.push(`export const OP_${name}: i32 = ${code}`)
    args.forEach((arg, i) => {
      cc.push(`constexpr int32_t ${arg} = ${i};`)
      as.push(`export const ${name}_${arg}: i32 = ${i}`)
    })
    cc.push(`}  // namespace ${name.toLowerCase()}`)
  }
  const counts = [0, ...list.map(({ args }) => args.length)]
  cc.push(
    `constexpr int32_t OPERATIONS = ${list.length};`,
    `constexpr int32_t ARGUMENTS[] = {${counts.join(', ')}};`,
    '}  // namespace plan',
    '',
  )
  as.push(`export const OPERATIONS: i32 = ${list.length}`, '')
  write(`${root}/native/plan.gen.h`, cc.join('\n'))
  write(`${root}/assembly/plan.gen.ts`, as.join('\n'))
}
