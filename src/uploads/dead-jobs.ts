import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import type { DeadJobRow } from '../db/stores.ts'
import type { JobQueue } from '../jobs/job-queue.ts'
import { projectOf } from './access.ts'
import { enqueue } from './confirm-upload.ts'
import type { UploadDeps } from './upload-deps.ts'

export type DeadJobsDeps = Pick<UploadDeps, 'stores' | 'config' | 'queue' | 'changes' | 'count'> & {
  readonly deadJobs: Pick<JobQueue, 'retryDead'>
}

export type DeadUploadJob = { readonly job: DeadJobRow; readonly upload: UploadRecord }

/** Jobs on uploads of this project that were given up, newest first. */
export function listDeadJobs(
  project: string,
  limit: number,
  { stores }: Pick<DeadJobsDeps, 'stores'>,
): Promise<readonly DeadUploadJob[]> {
  return stores.jobs.deadOf({ project, first: 'newest', limit })
}

/** Processes an upload once more from the start. Throws `not_found`, `wrong_state`, `quota_exceeded`. */
export async function retryDeadJob(project: string, jobId: string, deps: DeadJobsDeps): Promise<UploadRecord> {
  const [found] = await deps.stores.jobs.deadOf({ project, id: jobId, first: 'newest', limit: 1 })
  if (!found) throw new AppError('not_found', { detail: 'There is no such dead job.' })
  return retry(found, deps)
}

// A transaction and more for each, while somebody waits for the answer.
const maxAtOnce = 1000

/**
 * The same for all of a project that died since then; those that died first, first. `refused` are those that cannot be tried again now
 * (the quota is full, say), and stay. `more`: there are others, later ones.
 */
export async function retryDeadJobs(
  project: string,
  { since }: { readonly since?: string | undefined },
  deps: DeadJobsDeps,
): Promise<{ readonly retried: number; readonly refused: number; readonly more: boolean }> {
  const asked = since === undefined ? {} : { sinceMs: Date.parse(since) }
  const found = await deps.stores.jobs.deadOf({ project, ...asked, first: 'oldest', limit: maxAtOnce })
  let retried = 0
  for (const dead of found) {
    try {
      await retry(dead, deps)
      retried += 1
    } catch (error) {
      if (!(error instanceof AppError) || error.status >= 500) throw error
    }
  }
  return { retried, refused: found.length - retried, more: found.length === maxAtOnce }
}

async function retry({ job, upload: failed }: DeadUploadJob, deps: DeadJobsDeps): Promise<UploadRecord> {
  // The upload first: a job that finds it failed has nothing to do. Killed in between, the sweeper brings the job.
  const upload = await reviveUpload(failed, deps)
  if (!(await deps.deadJobs.retryDead(job.id))) await enqueue(upload, deps)
  deps.count('job_retried')
  deps.changes.announce(upload.id)
  return upload
}

async function reviveUpload(upload: UploadRecord, { stores, config }: DeadJobsDeps): Promise<UploadRecord> {
  const revived = await stores.uploads.revive(upload.id, projectOf(config, upload.project).quota)
  if (revived) return revived
  const latest = await stores.uploads.find(upload.id)
  // Its process was killed too often: the job is dead, and the upload never heard of it.
  if (latest && (latest.state === 'uploaded' || latest.state === 'processing')) return latest
  throw new AppError('wrong_state', { detail: `Only failed uploads are tried again; this one is ${latest?.state}.` })
}
