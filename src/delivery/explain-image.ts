import { AppError } from '../errors.ts'
import type { OriginalState } from '../sources/source.ts'
import type { Verdict } from '../signing/url-signer.ts'
import type { RenderedImage } from '../transform/executor/renderer-pool.ts'
import { detectCapabilities } from '../transform/negotiation/detect-capabilities.ts'
import { planTransform } from '../transform/planner/plan-transform.ts'
import {
  applyRules,
  readImageRequest,
  routeRequest,
  type ImageRequest,
  type ImageRequestDeps,
  type RawRequest,
  type Route,
} from './image-request.ts'
import type { RenderDeps } from './render-image.ts'

/** What became of a URL, step by step; plain JSON, and the data of `halftone explain`. */
export type Explanation = {
  readonly target: string
  readonly signature: Verdict['kind'] | 'required but missing' | 'required but invalid'
  readonly source: { readonly name: string; readonly path: string; readonly state: OriginalState }
  readonly params: ImageRequest['params']
  readonly ignored: ImageRequest['ignored']
  readonly canonical: string
  readonly capabilities: { readonly accepted: object; readonly narrowed: object; readonly varyAccept: boolean }
  readonly metadata: RenderedImage['metadata']
  readonly plan: RenderedImage['plan']
  readonly result: {
    readonly format: string
    readonly width: number
    readonly height: number
    readonly bytes: number
    readonly renderMs: number
  }
}

export type ExplainDeps = ImageRequestDeps & Pick<RenderDeps, 'rendererPool' | 'planLimits'>

/** Walks one URL through every step without any cache. An operator may look at private pictures, so signatures are told, not enforced. */
export async function explainImage(
  raw: RawRequest,
  deps: ExplainDeps,
  nowMs: number,
  signal: AbortSignal,
): Promise<Explanation> {
  const { request, signature } = readUnenforced(raw, await applyRules(routeRequest(raw, deps)), deps, nowMs)
  const original = await request.source.read(request.path, signal)
  if (!original)
    throw new AppError('not_found', { detail: `Source ${request.source.name} has no original at ${request.path}.` })
  const { params, capabilities } = request
  const rendered = await deps.rendererPool.render(
    {
      original: original.bytes,
      sourceKey: 'explain',
      sourceName: request.source.name,
      planFor: (metadata) => planTransform({ params, metadata, capabilities, limits: deps.planLimits }),
    },
    signal,
  )
  const { version, byteLength, lastModifiedMs } = original
  return {
    target: raw.target,
    signature,
    source: { name: request.source.name, path: request.path, state: { version, byteLength, lastModifiedMs } },
    params,
    ignored: request.ignored,
    canonical: request.canonical,
    capabilities: { accepted: detectCapabilities(raw.accept), narrowed: capabilities, varyAccept: request.negotiated },
    metadata: rendered.metadata,
    plan: rendered.plan,
    result: {
      format: rendered.format,
      width: rendered.width,
      height: rendered.height,
      bytes: rendered.body.length,
      renderMs: Math.round(rendered.timings.renderMs),
    },
  }
}

/** What a signature or an expiry would have refused; an operator is told and sees the rest all the same. */
const toldNotEnforced: Readonly<Record<string, Explanation['signature']>> = {
  signature_required: 'required but missing',
  signature_invalid: 'required but invalid',
  signature_expired: 'expired',
  url_expired: 'expired',
}

function readUnenforced(
  raw: RawRequest,
  route: Route,
  deps: ExplainDeps,
  nowMs: number,
): { request: ImageRequest; signature: Explanation['signature'] } {
  try {
    return { request: readImageRequest(raw, route, deps, nowMs), signature: deps.verifyTarget(raw.target, nowMs).kind }
  } catch (error) {
    const signature = error instanceof AppError ? toldNotEnforced[error.code] : undefined
    if (signature === undefined) throw error
    const asIfSigned: Verdict = { kind: 'valid', target: raw.target, expiresAtSeconds: undefined }
    // At the beginning of time no `expires` has passed.
    const request = readImageRequest(raw, route, { ...deps, verifyTarget: () => asIfSigned }, 0)
    return { request, signature }
  }
}
