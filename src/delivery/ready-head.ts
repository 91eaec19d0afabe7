import { validateHeaderName, validateHeaderValue } from 'node:http'

/** The head of an answer that is sent many times, checked and joined once. */
export type ReadyHead = {
  /** As they are sent: `Name: value\r\n` each. */
  readonly lines: string
  /** What Node has to see itself, because it decides by it where the message ends: a flat name, value list. */
  readonly framing: string[]
}

const framingNames = new Set(['content-length'])
// Whether the connection lives on is for Node to say, once for each answer.
const connectionNames = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'trailer',
  'date',
  'expect',
  'upgrade',
])

/** From a flat name, value list. Throws on what could not stand in a head, as Node itself would. */
export function joinHead(fields: readonly string[]): ReadyHead {
  let lines = ''
  const framing: string[] = []
  for (let index = 0; index + 1 < fields.length; index += 2) {
    const [name = '', value = ''] = fields.slice(index, index + 2)
    validateHeaderName(name)
    validateHeaderValue(name, value)
    if (connectionNames.has(name.toLowerCase())) throw new TypeError(`${name} belongs to the connection`)
    if (framingNames.has(name.toLowerCase())) framing.push(name, value)
    else lines += `${name}: ${value}\r\n`
  }
  // Laid out flat, which a string joined of many is not.
  return { lines: Buffer.from(lines, 'latin1').toString('latin1'), framing }
}
