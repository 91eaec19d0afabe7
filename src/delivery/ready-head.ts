import { validateHeaderName, validateHeaderValue } from '../lib/node-http.ts'

// Whether the connection lives on is told once for each answer, by whoever writes it.
const connectionNames = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'date',
  'expect',
  'upgrade',
])

/**
 * The fields of an answer that is sent many times, checked and joined once: `Name: value\r\n` each. Throws on what could not stand in
 * a head, as Node itself would.
 */
export function joinHead(fields: readonly (readonly [name: string, value: string])[]): string {
  let lines = ''
  for (const [name, value] of fields) {
    validateHeaderName(name)
    validateHeaderValue(name, value)
    if (connectionNames.has(name.toLowerCase())) throw new TypeError(`${name} belongs to the connection`)
    lines += `${name}: ${value}\r\n`
  }
  // Laid out flat, which a string joined of many is not.
  return Buffer.from(lines, 'latin1').toString('latin1')
}

/** The way back: a flat name, value list, as Node takes it. */
export function splitHead(lines: string): string[] {
  return lines.split('\r\n').flatMap((line) => {
    const colon = line.indexOf(': ')
    return colon === -1 ? [] : [line.slice(0, colon), line.slice(colon + 2)]
  })
}
