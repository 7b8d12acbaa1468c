/*
 * A JSON reader for bytes that nobody vouches for: the subset that model files need. Objects become Maps (no prototypes), numbers are
 * safe integers written plainly, names are distinct and none of JavaScript's own, depth and numbers of members are bounded. One pass,
 * linear time. The header of a model file and the description of its network are read with it.
 */

export type Json = string | number | boolean | null | Json[] | JsonObject
export type JsonObject = Map<string, Json>

const DEPTH = 6
const MEMBERS = 4_100
/** `__proto__`, `constructor`, `toString` …: never a name of ours, and a trap wherever such a name meets a plain object. */
const FORBIDDEN: ReadonlySet<string> = new Set([...Object.getOwnPropertyNames(Object.prototype), 'prototype'])
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['/', '/'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
])

/** @param refuse makes the error to throw, from what is wrong and where (a position in the text). */
export function parseJson(text: string, refuse: (what: string, position: number) => Error): Json {
  let i = 0

  const space = () => {
    while (text[i] === ' ' || text[i] === '\n' || text[i] === '\r' || text[i] === '\t') i++
  }
  const take = (token: string) => {
    if (!text.startsWith(token, i)) throw refuse(`expected ${token}`, i)
    i += token.length
  }
  /** True while another element follows; steps over the comma. */
  const another = (close: string, first: boolean): boolean => {
    space()
    if (text[i] === close) {
      i++
      return false
    }
    if (!first) take(',')
    space()
    return true
  }

  function string(): string {
    const start = i
    take('"')
    let value = ''
    for (;;) {
      const from = i
      while (i < text.length && text[i] !== '"' && text[i] !== '\\' && text[i]! >= ' ') i++
      value += text.slice(from, i)
      const c = text[i++]
      if (c === '"') break
      if (c !== '\\') throw refuse(c === undefined ? 'a string does not end' : 'a control character', i - 1)
      const escape = text[i++]
      if (escape === 'u') {
        const code = text.slice(i, i + 4)
        if (!/^[0-9a-fA-F]{4}$/.test(code)) throw refuse('a bad escape', i)
        value += String.fromCharCode(Number.parseInt(code, 16))
        i += 4
      } else {
        const plain = escape === undefined ? undefined : ESCAPES.get(escape)
        if (plain === undefined) throw refuse('a bad escape', i - 1)
        value += plain
      }
    }
    if (/\p{Surrogate}/u.test(value)) throw refuse('half a surrogate pair', start)
    return value
  }

  function integer(): number {
    const written = /^(?:0|-?[1-9][0-9]{0,15})(?![0-9.eE])/.exec(text.slice(i, i + 20))?.[0]
    if (written === undefined || !Number.isSafeInteger(Number(written))) throw refuse('not an integer', i)
    i += written.length
    return Number(written)
  }

  function object(depth: number): JsonObject {
    const members: JsonObject = new Map()
    take('{')
    while (another('}', members.size === 0)) {
      const start = i
      const name = string()
      if (FORBIDDEN.has(name)) throw refuse('a forbidden name', start)
      if (members.has(name)) throw refuse('a name twice', start)
      if (members.size === MEMBERS) throw refuse('too many members', start)
      space()
      take(':')
      space()
      members.set(name, value(depth))
    }
    return members
  }

  function array(depth: number): Json[] {
    const list: Json[] = []
    take('[')
    while (another(']', list.length === 0)) list.push(value(depth))
    return list
  }

  function value(depth: number): Json {
    if (depth === 0) throw refuse('nested too deeply', i)
    switch (text[i]) {
      case '{':
        return object(depth - 1)
      case '[':
        return array(depth - 1)
      case '"':
        return string()
      case 't':
        take('true')
        return true
      case 'f':
        take('false')
        return false
      case 'n':
        take('null')
        return null
      default:
        return integer()
    }
  }

  space()
  const result = value(DEPTH)
  space()
  if (i !== text.length) throw refuse('more than one value', i)
  return result
}
