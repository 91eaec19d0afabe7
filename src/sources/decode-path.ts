import { AppError } from '../errors.ts'

/** What every file system of the day takes for one name (NAME_MAX). */
const maxSegmentBytes = 255

/** Fatal: overlong forms, surrogates and stray bytes are refused, never replaced (Encoding standard, RFC 3629 section 3). */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The raw path of a request target, decoded once and absolute: `/a%20b/c.jpg` -> `/a b/c.jpg`.
 * A trailing slash stays (it names no file). Throws `path_invalid` for anything that could mean another place.
 */
export function decodePath(rawPath: string): string {
  if (!rawPath.startsWith('/')) refuse('it must start with /')
  const segments = rawPath.slice(1).split('/')
  const decoded = segments.map((segment, index) => {
    if (segment === '' && index < segments.length - 1) refuse('it has an empty segment (//)')
    return decodeSegment(segment)
  })
  return `/${decoded.join('/')}`
}

/** The same rules for a path that is decoded already; sources call it, so that no caller can forget to. */
export function assertDecodedPath(path: string): void {
  if (!path.startsWith('/')) refuse('it must start with /')
  const segments = path.slice(1).split('/')
  for (const [index, segment] of segments.entries()) {
    if (segment === '' && index < segments.length - 1) refuse('it has an empty segment (//)')
    assertSegment(segment)
  }
}

function decodeSegment(segment: string): string {
  let decoded = ''
  try {
    decoded = utf8.decode(segmentBytes(segment))
  } catch (error) {
    if (error instanceof AppError) throw error
    refuse('it is not UTF-8')
  }
  assertSegment(decoded)
  return decoded
}

/** The bytes as sent: Node hands raw bytes above 0x7f through as characters of the same number. */
function segmentBytes(segment: string): Buffer {
  if (/%(?![0-9A-Fa-f]{2})/.test(segment)) refuse('it has a % that encodes nothing')
  const unescaped = segment.replace(/%([0-9A-Fa-f]{2})/g, (_match, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  )
  if (/[^\0-\u00ff]/.test(unescaped)) refuse('it has characters that must be percent-encoded')
  return Buffer.from(unescaped, 'latin1')
}

function assertSegment(segment: string): void {
  // eslint-disable-next-line no-control-regex -- control characters are what is looked for
  if (/[\0-\x1f\x7f-\x9f]/.test(segment)) refuse('it has a control character')
  if (segment.includes('/')) refuse('it has an encoded slash')
  if (segment.includes('\\')) refuse('it has a backslash')
  // Covers . and .. too: no segment that begins with a dot is ever served.
  if (segment.startsWith('.')) refuse('it has a segment that begins with a dot')
  if (Buffer.byteLength(segment) > maxSegmentBytes)
    refuse(`it has a segment of more than ${String(maxSegmentBytes)} bytes`)
}

function refuse(reason: string): never {
  throw new AppError('path_invalid', { detail: `The path is not valid: ${reason}.` })
}
