import type { UploadRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import type { DeadJob, JobQueue } from '../jobs/job-queue.ts'
import { projectOf } from './access.ts'
import { enqueue } from './confirm-upload.ts'
import type { UploadDeps } from './upload-deps.ts'

export type DeadJobsDeps = Pick<UploadDeps, 'stores' | 'config' | 'queue' | 'changes' | 'count'> & {
  readonly deadJobs: Pick<JobQueue, 'dead' | 'retryDead'>
}

export type DeadUploadJob = { readonly job: DeadJob; readonly upload: UploadRecord }

// The queue knows no projects: so many are looked through for those of one.
const maxLookedThrough = 1000

/** Jobs on uploads of this project that were given up, newest first. */
export async function listDeadJobs(project: string, limit: number, deps: DeadJobsDeps): Promise<DeadUploadJob[]> {
  const found: DeadUploadJob[] = []
  for (const job of await deps.deadJobs.dead(maxLookedThrough)) {
    const upload = await deps.stores.uploads.find(job.payload['uploadId'] ?? '')
    if (upload?.project === project) found.push({ job, upload })
    if (found.length >= limit) break
  }
  return found
}

/** Processes an upload once more from the start. Throws `not_found`, `wrong_state`, `quota_exceeded`. */
export async function retryDeadJob(project: string, jobId: string, deps: DeadJobsDeps): Promise<UploadRecord> {
  const all = await listDeadJobs(project, maxLookedThrough, deps)
  const found = all.find(({ job }) => job.id === jobId)
  if (!found) throw new AppError('not_found', { detail: 'There is no such dead job.' })
  return retry(found, deps)
}

/** The same for all of a project that died since then. `refused` are those that cannot be tried again now: the quota is full, say. */
export async function retryDeadJobs(
  project: string,
  { since }: { readonly since?: string | undefined },
  deps: DeadJobsDeps,
): Promise<{ readonly retried: number; readonly refused: number }> {
  const sinceMs = since === undefined ? 0 : Date.parse(since)
  const found = (await listDeadJobs(project, maxLookedThrough, deps)).filter(({ job }) => job.diedAtMs >= sinceMs)
  let retried = 0
  for (const dead of found.toReversed()) {
    try {
      await retry(dead, deps)
      retried += 1
    } catch (error) {
      if (!(error instanceof AppError) || error.status >= 500) throw error
    }
  }
  return { retried, refused: found.length - retried }
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
