import type { ImageRecord, VersionRecord } from '../db/records.ts'
import type { ImageStore } from '../db/stores.ts'
import { contentTypeOf } from '../transform/image/formats.ts'
import type { ImageFacts } from '../transform/image/image-facts.ts'
import { projectOf } from './access.ts'
import { judgeAgain } from './judge-again.ts'
import type { UploadDeps } from './upload-deps.ts'
import { assertFacts, assertStored, rulesFor } from './upload-policy.ts'

/** What the pictures were judged by; the change is only made while that is still so. */
export type Judged = Exclude<Parameters<ImageStore['update']>[3], undefined>

/**
 * Judges the versions that are there by what the image is to become; those on their way are judged by what it is when they come.
 * Undefined where the change asks for no judgement. Throws what a picture is refused for, and `bad_request` (no such kind).
 */
export async function checkChange(
  image: ImageRecord,
  said: { readonly kind?: string | undefined; readonly visibility?: 'public' | 'private' | undefined },
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<Judged | undefined> {
  const { kind, visibility } = said
  if (kind === undefined && visibility === undefined) return undefined
  const versions = await deps.stores.images.versions(image.id)
  if (kind !== undefined) assertKind(image, { kind, versions }, deps)
  const shown = { ...image, kind: kind ?? image.kind, visibility: visibility ?? image.visibility }
  if (asksForJudgement(image, shown)) await judgeAgain(shown, versions, deps, signal)
  return { visibility: image.visibility, kind: image.kind, lastVersion: versions[0]?.version ?? 0 }
}

/** Seen by more people, or shown as something else, for which a moderator may have another measure. */
function asksForJudgement(was: ImageRecord, shown: ImageRecord): boolean {
  return shown.kind !== was.kind || (shown.visibility === 'public' && was.visibility === 'private')
}

/** A picture that has become an avatar keeps the rules of avatars, in every version that may yet be shown. */
function assertKind(
  image: ImageRecord,
  { kind, versions }: { readonly kind: string; readonly versions: readonly VersionRecord[] },
  deps: UploadDeps,
): void {
  const rules = rulesFor(projectOf(deps.config, image.project), { kind })
  for (const { state, facts, byteLength } of versions) {
    if (state !== 'ready' && state !== 'quarantined') continue
    assertStored(rules, { contentType: contentTypeOf(facts.format as ImageFacts['format']), byteLength })
    assertFacts(rules, facts)
  }
}
