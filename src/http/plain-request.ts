/** What a repeat hit needs of a request. */
export type HitRequest = {
  readonly method: string
  readonly target: string
  readonly host: string | undefined
  readonly accept: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly requestId: string | undefined
  /** Asks for something that only the long way can answer. */
  readonly isSpecial: boolean
}

// Stricter than RFC 9112 on purpose. A message that could be read in two ways (a bare LF, a folded line, a space before the
// colon, an absolute target) is not plain, and Node's parser has the word.
const plainHead = /^(?:GET|HEAD) \/[!"$-~]* HTTP\/1\.1\r\n(?:[\w!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*\r\n)+\r\n$/

// By name: the field it fills, or what it makes of the request. Names in lower case.
const meanings = {
  host: 'host',
  accept: 'accept',
  'if-none-match': 'ifNoneMatch',
  'x-request-id': 'requestId',
  range: 'special',
  'if-modified-since': 'special',
  'content-length': 'body',
  'transfer-encoding': 'body',
  trailer: 'framing',
  connection: 'connection',
  'proxy-connection': 'framing',
  upgrade: 'framing',
  expect: 'framing',
} as const
type Meaning = (typeof meanings)[keyof typeof meanings]

const byName: ReadonlyMap<string, Meaning> = new Map(Object.entries(meanings))
const lengths = new Set([...byName.keys()].map((name) => name.length))

type Reading = { -readonly [Field in keyof HitRequest]: HitRequest[Field] } & {
  /** A body may follow, or the connection become something else: where the message ends is for Node to say. */
  isFramed: boolean
}

const startReading = (method: string, target: string): Reading => ({
  ...{ method, target, isSpecial: false, isFramed: false },
  ...{ host: undefined, accept: undefined, ifNoneMatch: undefined, requestId: undefined },
})

function readField(reading: Reading, name: string, text: string): void {
  const meaning = byName.get(name.toLowerCase())
  if (meaning === undefined) return
  const value = withoutOws(text)
  // A body on GET has no meaning here (RFC 9110 9.3.1), but somebody has to read it away.
  if (meaning === 'body') reading.isSpecial = reading.isFramed = true
  else if (meaning === 'framing') reading.isFramed = true
  else if (meaning === 'connection') reading.isFramed ||= value.toLowerCase() !== 'keep-alive'
  // A repeated header means the list of both (RFC 9110 5.3); the long way joins them.
  else if (meaning === 'special' || reading[meaning] !== undefined) reading.isSpecial = true
  else reading[meaning] = value
}

/** Optional white space (RFC 9110 5.6.3) is no part of a value; what else JavaScript takes for space is. */
function withoutOws(text: string): string {
  let start = 0
  let end = text.length
  while (isOws(text.charCodeAt(start))) start += 1
  while (end > start && isOws(text.charCodeAt(end - 1))) end -= 1
  return text.slice(start, end)
}

const isOws = (code: number) => code === 0x20 || code === 0x09

/**
 * A GET or HEAD that is all there is in `bytes`: one whole head in its plainest form, after which nothing can follow but the next
 * request. Undefined for everything else.
 */
export function readPlainRequest(bytes: Buffer, maxBytes: number): HitRequest | undefined {
  if (bytes.length > maxBytes) return undefined
  const text = bytes.toString('latin1')
  if (!plainHead.test(text)) return undefined
  const methodEnd = text.indexOf(' ')
  const targetEnd = text.indexOf(' ', methodEnd + 1)
  const reading = startReading(text.slice(0, methodEnd), text.slice(methodEnd + 1, targetEnd))
  let start = text.indexOf('\r\n', targetEnd) + 2
  while (start < text.length - 2) {
    const end = text.indexOf('\r\n', start)
    const colon = text.indexOf(':', start)
    if (lengths.has(colon - start)) readField(reading, text.slice(start, colon), text.slice(colon + 1, end))
    start = end + 2
  }
  return reading.isFramed || reading.host === undefined ? undefined : reading
}

/** The same from what Node has parsed: its raw list, as its header object costs more than all the rest of a hit. */
export function readHitRequest(request: {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly rawHeaders: readonly string[]
}): HitRequest {
  const { method = 'GET', url = '/', rawHeaders } = request
  const reading = startReading(method, url)
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? ''
    if (lengths.has(name.length)) readField(reading, name, rawHeaders[index + 1] ?? '')
  }
  return reading
}
