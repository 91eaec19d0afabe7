import type { ImageRecord, VersionRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { projectOf } from './access.ts'
import type { UploadDeps } from './upload-deps.ts'
import { rulesOfRecord } from './upload-policy.ts'

/**
 * A moderator may allow in private what it would not show to all, as a photo what it would not as a banner, and may not have been asked at all:
 * every version that can be asked for is judged as what it is to be shown as. Throws `moderation_rejected`, and `wrong_state` where a reviewer
 * would have to look at it.
 */
export async function judgeAgain(
  image: ImageRecord,
  versions: readonly VersionRecord[],
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  const { webhook, banListFile, clamav } = deps.config.moderation
  if (!webhook && banListFile === undefined && !clamav) return
  const ready = versions.filter(({ state }) => state === 'ready')
  const pictures = new Map(ready.map((version) => [version.sha256, version]))
  for (const version of pictures.values()) await judgeVersion(image, version, deps, signal)
}

async function judgeVersion(
  image: ImageRecord,
  version: VersionRecord,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  const { target, config, examiner, maxFrames } = deps
  const rules = rulesOfRecord(projectOf(config, image.project), image)
  const within = withDeadline(signal, config.targetTimeoutMs)
  const bytes = await target.read(version.objectKey, { maxBytes: version.byteLength }, within)
  if (!bytes) throw new AppError('target_failed')
  const { sha256 } = version
  const allowSvg = version.facts.format === 'svg'
  const { facts, preview } = await examiner.examine(
    { key: sha256, bytes, maxPixels: rules.maxPixels, maxFrames, allowSvg },
    signal,
  )
  const { id: imageId, project, kind, visibility } = image
  const { perceptualHash } = facts
  const verdict = await deps.moderate(
    { imageId, project, kind, visibility, sha256, perceptualHash, preview, bytes },
    signal,
  )
  if (verdict.tier === 'reject')
    throw new AppError('moderation_rejected', verdict.reason === undefined ? {} : { detail: verdict.reason })
  if (verdict.tier === 'quarantine') {
    throw new AppError('wrong_state', {
      detail: `Moderation does not let it become ${shownAs(image)} now; it stays what it is.`,
    })
  }
}

function shownAs({ visibility, kind }: ImageRecord): string {
  return kind === undefined ? `a ${visibility} image` : `a ${visibility} image of the kind ${JSON.stringify(kind)}`
}
