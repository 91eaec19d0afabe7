import type { ImageRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { projectOf } from './access.ts'
import type { UploadDeps } from './upload-deps.ts'
import { rulesOfRecord } from './upload-policy.ts'

/**
 * A private picture may have been let through while no moderator could be asked; before everybody sees it, it is judged as a public
 * one. Throws `moderation_rejected`, and `wrong_state` where a reviewer would have to look at it.
 */
export async function judgeAgain(image: ImageRecord, deps: UploadDeps, signal: AbortSignal): Promise<void> {
  const { stores, target, config, examiner, maxFrames } = deps
  if (config.moderation.whenUnreachable !== 'allow-private' || image.version === undefined) return
  const version = await stores.images.version(image.id, image.version)
  if (!version) return
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
  const { id: imageId, project, kind } = image
  const { perceptualHash } = facts
  const verdict = await deps.moderate(
    { imageId, project, kind, visibility: 'public', sha256, perceptualHash, preview, bytes },
    signal,
  )
  if (verdict.tier === 'reject')
    throw new AppError('moderation_rejected', verdict.reason === undefined ? {} : { detail: verdict.reason })
  if (verdict.tier === 'quarantine') {
    throw new AppError('wrong_state', { detail: 'Moderation does not let it become public now; it stays private.' })
  }
}
