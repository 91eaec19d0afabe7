import { AppError } from '../errors.ts'
import { parseSourceUrl } from './source-url.ts'

/**
 * The URL that the raw path of a web-proxy request names, in the spelling of the URL standard. Encoded as a whole
 * (`/https%3A%2F%2Fhost%2Fa.jpg%3Fv%3D1`) it is decoded once and has its own query; plain (`/https://host/a.jpg`, also
 * `/https:/host` as proxies collapse it) it is taken as it stands. Throws `source_url_invalid`.
 */
export function decodeWebPath(rawPath: string): string {
  const text = rawPath.replace(/^\/+/, '')
  if (/^https?%3a/i.test(text)) return parseSourceUrl(decodeOnce(text)).href
  if (/^https?:/i.test(text)) return parseSourceUrl(text).href
  throw invalid('the path must be an absolute http or https URL, best encoded as a whole')
}

/** The raw path below a prefix, compared segment by segment after decoding; undefined when it lies elsewhere. */
export function rawPathBelow(prefix: string, rawPath: string): string | undefined {
  const wanted = prefix.split('/').filter((segment) => segment !== '')
  const segments = rawPath.slice(1).split('/')
  const isBelow = wanted.every((segment, at) => segment === decodeSegment(segments[at] ?? ''))
  return isBelow ? `/${segments.slice(wanted.length).join('/')}` : undefined
}

function decodeOnce(text: string): string {
  const decoded = decodeSegment(text)
  if (decoded === undefined) throw invalid('its encoding is broken')
  return decoded
}

function decodeSegment(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

function invalid(reason: string): AppError {
  return new AppError('source_url_invalid', { detail: `The URL of the original is not valid: ${reason}.` })
}
