import { randomBytes } from 'node:crypto'
import { AppError } from '../../errors.ts'
import { withDeadline } from '../../lib/deadline.ts'
import type { UploadDeps } from '../upload-deps.ts'

/** Writes, reads, lists and deletes a key of its own. Throws what the store says, or that it does not keep what it is given. */
export async function probeTarget({ target, config }: Pick<UploadDeps, 'target' | 'config'>, signal: AbortSignal) {
  const within = withDeadline(signal, config.targetTimeoutMs)
  const key = `staging/probe-${randomBytes(8).toString('hex')}`
  const written = randomBytes(32)
  await target.write(key, written, 'application/octet-stream', within)
  try {
    const read = await target.read(key, { maxBytes: written.length }, within)
    const isListed = (await target.list(key, undefined, within)).objects.some((object) => object.key === key)
    if (!read?.equals(written) || !isListed) throw doesNotKeep(`${key} was written, and is not there as written.`)
  } finally {
    await target.delete(key, within)
  }
  if (await target.head(key, within)) throw doesNotKeep(`${key} was deleted, and is still there.`)
}

function doesNotKeep(detail: string): AppError {
  return new AppError('target_failed', { detail })
}
