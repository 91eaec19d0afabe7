import { AppError } from '../errors.ts'
import type { SourceConfig, UploadSourceConfig } from '../config/config.ts'
import type { OriginalGrant, OriginalRules, Source } from '../sources/source.ts'
import type { Verdict } from '../signing/url-signer.ts'
import type { Capabilities } from '../transform/negotiation/capabilities.ts'
import { detectCapabilities } from '../transform/negotiation/detect-capabilities.ts'
import { narrowCapabilities } from '../transform/negotiation/narrow-capabilities.ts'
import { canonicalParams } from '../transform/params/canonicalize.ts'
import { parseParams, type IgnoredParam } from '../transform/params/parse-params.ts'
import type { Params } from '../transform/params/params.ts'
import { applyVariantPolicy } from '../transform/params/variant-policy.ts'

/** What delivery needs of an HTTP request; header values as sent. */
export type RawRequest = {
  readonly id: string
  /** As sent; delivery answers GET and HEAD. */
  readonly method: string
  /** Raw request target, exactly as sent. */
  readonly target: string
  readonly host: string | undefined
  readonly accept: string | undefined
  readonly ifNoneMatch: string | undefined
  readonly ifModifiedSince: string | undefined
  readonly range: string | undefined
  readonly ifRange: string | undefined
}

type ServedConfig = SourceConfig | UploadSourceConfig

/** A request that is allowed and understood: which original, which params, for which kind of client. */
export type ImageRequest = {
  readonly source: Source
  readonly sourceConfig: ServedConfig
  /** Decoded path inside the source; of a web source the URL of the original. */
  readonly path: string
  readonly params: Params
  readonly ignored: readonly IgnoredParam[]
  readonly canonical: string
  /** Narrowed: `Vary`, cache key and planner all see this. */
  readonly capabilities: Capabilities
  readonly capabilitiesKey: string
  readonly negotiated: boolean
  readonly isPrivate: boolean
  readonly rules: OriginalRules | undefined
  /** Opened by a token whose uses count: nobody may keep the answer. */
  readonly isCounted: boolean
  /** Unix seconds after which this URL is worthless; no cache may keep the answer longer. */
  readonly expiresAtSeconds: number | undefined
}

export type ImageRequestDeps = {
  readonly resolveSource: (
    host: string | undefined,
    rawPath: string,
  ) => { source: Source; config: ServedConfig; path: string } | undefined
  readonly verifyTarget: (target: string, nowMs: number) => Verdict
  readonly presets: Readonly<Record<string, string>>
  readonly maxTargetLength: number
}

/** Which source a request is for; known before anything else can be refused, so that refusals keep its rules. */
export type Route = {
  readonly source: Source
  /** With what the original says of itself, once `applyRules` has asked it. */
  readonly config: ServedConfig
  readonly path: string
  readonly query: string
  readonly rules: OriginalRules | undefined
}

// A name or an IPv6 address, with a port (RFC 9110 7.2): what is neither must not fall through to another host's source.
const hostForm = /^(?:[\w-]+(?:\.[\w-]+)*\.?|\[[\da-f:.]+\])?(?::\d{0,5})?$/i

/** Finds the source. Throws AppErrors: bad_request, uri_too_long, path_invalid, not_found. */
export function routeRequest(raw: RawRequest, deps: ImageRequestDeps): Route {
  if (raw.target.length > deps.maxTargetLength) {
    throw new AppError('uri_too_long', {
      detail: `The request target has ${raw.target.length} characters; at most ${deps.maxTargetLength} are accepted.`,
    })
  }
  if (raw.host !== undefined && !hostForm.test(raw.host)) {
    throw new AppError('bad_request', { detail: 'The Host header is not a host name with an optional port.' })
  }
  const { rawPath, query } = splitTarget(raw.target)
  const resolved = deps.resolveSource(raw.host, rawPath)
  if (!resolved) throw new AppError('not_found', { detail: 'No source is configured for this host and path.' })
  return { ...resolved, query, rules: undefined }
}

/** Asks the originals that have rules of their own, on every request. Throws `not_found`, `signature_*` (of a token). */
export async function applyRules(route: Route): Promise<Route> {
  const { source, config, path, query } = route
  if (source.rules === undefined) return route
  const rules = await source.rules(path, query)
  if (!rules) throw new AppError('not_found', { detail: 'There is no such image.' })
  const { visibility, immutable } = rules
  return { ...route, path: rules.path, config: { ...config, visibility, immutable }, rules }
}

/** Reads a routed request. Throws AppErrors: signature_*, expired, param_invalid, preset_required. */
export function readImageRequest(raw: RawRequest, route: Route, deps: ImageRequestDeps, nowMs: number): ImageRequest {
  const { config, rules } = route
  const grant = rules?.grant
  const signature = grant ? opened(grant, nowMs) : checkSignature(raw.target, config, deps, nowMs)
  const parsed = parseParams(grant?.params ?? route.query, {
    strict: config.strict,
    defaults: config.defaultParams,
    presets: deps.presets,
  })
  // A signed URL says exactly what its maker wants, so it is never moved to a ladder or held to presets.
  const params = signature.isSigned ? parsed.params : applyVariantPolicy(parsed, config.variants)
  const narrowed = narrowCapabilities(params, detectCapabilities(raw.accept))
  return {
    source: route.source,
    sourceConfig: config,
    path: route.path,
    params,
    ignored: parsed.ignored,
    canonical: canonicalParams(params),
    capabilities: narrowed.capabilities,
    capabilitiesKey: narrowed.key,
    negotiated: narrowed.negotiated,
    isPrivate: config.visibility === 'private',
    isCounted: grant?.isCounted === true,
    rules,
    expiresAtSeconds: earliest(signature.expiresAtSeconds, unexpired(params.expires, nowMs)),
  }
}

export function splitTarget(target: string): { rawPath: string; query: string } {
  const questionMark = target.indexOf('?')
  if (questionMark === -1) return { rawPath: target, query: '' }
  return { rawPath: target.slice(0, questionMark), query: target.slice(questionMark + 1) }
}

const askForOne = 'The picture is shown by signed URLs alone.'
const askForAnother = 'Whoever publishes the picture can sign a new URL.'

/** A token says what it opens, as a signature does. */
function opened({ expiresAtSeconds }: OriginalGrant, nowMs: number): { isSigned: boolean; expiresAtSeconds: number } {
  if (expiresAtSeconds * 1000 <= nowMs) throw new AppError('signature_expired', { detail: askForAnother })
  return { isSigned: true, expiresAtSeconds }
}

function checkSignature(
  target: string,
  config: ServedConfig,
  deps: ImageRequestDeps,
  nowMs: number,
): { isSigned: boolean; expiresAtSeconds: number | undefined } {
  const verdict = deps.verifyTarget(target, nowMs)
  // Whoever may name any URL of the web makes this server fetch it, so that is never open to all.
  const isRequired = config.signed === 'always' || config.visibility === 'private' || config.kind === 'web'
  switch (verdict.kind) {
    case 'valid':
      return { isSigned: true, expiresAtSeconds: verdict.expiresAtSeconds }
    case 'expired':
      throw new AppError(verdict.scheme === 'native' ? 'signature_expired' : 'url_expired', { detail: askForAnother })
    case 'invalid':
      // On public pictures a stale `s=` is common (clients copy signed URLs and change params) and guards nothing.
      if (isRequired)
        throw new AppError('signature_invalid', {
          detail: 'Use the signed URL as it was made: each character of path and query is signed.',
        })
      return { isSigned: false, expiresAtSeconds: undefined }
    case 'none':
      if (isRequired) throw new AppError('signature_required', { detail: `${askForOne} ${askForAnother}` })
      return { isSigned: false, expiresAtSeconds: undefined }
  }
}

function unexpired(expires: number | undefined, nowMs: number): number | undefined {
  if (expires !== undefined && expires * 1000 <= nowMs) throw new AppError('url_expired')
  return expires
}

function earliest(a: number | undefined, b: number | undefined): number | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return Math.min(a, b)
}
