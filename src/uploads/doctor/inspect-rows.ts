import { withDeadline } from '../../lib/deadline.ts'
import { enqueue } from '../confirm-upload.ts'
import { deleteAbandoned } from '../delete-abandoned.ts'
import { endOverdue } from '../end-overdue.ts'
import { isBare, oldUntilMs } from '../forget-old.ts'
import type { UploadDeps } from '../upload-deps.ts'
import type { Findings } from './checks.ts'
import { areForsaken } from './judge-parts.ts'

// So many of each are told and mended in one run; whoever has more runs it again.
const maxRows = 10_000

type Inspect = (findings: Findings, deps: UploadDeps, signal: AbortSignal) => Promise<void>

/** What the rows alone tell, and the parts that wait in the store. */
export const inspectRows: Inspect = async (findings, deps, signal) => {
  for (const inspect of [
    inspectPending,
    inspectStranded,
    inspectParts,
    inspectObjects,
    inspectImages,
    inspectUsage,
    inspectFailed,
    inspectJobs,
    inspectOld,
  ]) {
    signal.throwIfAborted()
    await inspect(findings, deps, signal)
  }
}

const inspectPending: Inspect = async (findings, deps, signal) => {
  const overdue = await deps.stores.uploads.stale({ states: ['pending'], expiredAtMs: pastGrace(deps), limit: maxRows })
  for (const upload of overdue) {
    await findings.add('expired_pending', upload.id, async () => (await endOverdue(upload, deps, signal)) !== 'left')
  }
}

const inspectStranded: Inspect = async (findings, deps) => {
  for (const upload of await deps.stores.survey.stranded(pastGrace(deps), maxRows)) {
    await findings.add('stranded', `${upload.id} (${upload.state})`, async () => {
      await enqueue(upload, deps)
      return true
    })
  }
}

const inspectParts: Inspect = async (findings, deps, signal) => {
  const within = () => withDeadline(signal, deps.config.targetTimeoutMs)
  for (const open of await deps.target.listOpenParts(within())) {
    if (!(await areForsaken(open, deps))) continue
    await findings.add('open_parts', `${open.key} ${open.multipartId}`, async () => {
      await deps.target.abortParts(open, within())
      return true
    })
  }
}

const inspectObjects: Inspect = async (findings, deps, signal) => {
  const { stores, target, config } = deps
  const objects = await stores.objects.abandoned(pastGrace(deps), maxRows, { isDryRun: true, isDeep: true })
  for (const { key, state } of objects) {
    const isStored = state === 'stored'
    // Without bytes it is told by the comparison with the store.
    if (isStored && !(await target.head(key, withDeadline(signal, config.targetTimeoutMs)))) continue
    const name = isStored ? 'object_without_version' : 'unfinished_object'
    await findings.add(name, `${key} (${state})`, () => deleteAbandoned(key, deps, signal))
  }
}

const inspectImages: Inspect = async (findings, { stores }) => {
  const lost = await stores.survey.lostVersions(maxRows)
  findings.count('lost_version', {
    count: lost.count,
    examples: lost.examples.map((one) => `${one.imageId}/${one.version}: no stored object ${one.objectKey}`),
  })
  for (const image of (await stores.survey.hollowImages(maxRows)).examples) {
    await findings.add('hollow_image', image.id, async () => {
      await stores.survey.settleImage(image.id)
      return true
    })
  }
}

const inspectUsage: Inspect = async (findings, { stores }) => {
  for (const { owner, was, is } of await stores.uploads.recount(false)) {
    const told = `${owner.project}/${owner.owner}: ${JSON.stringify(was)} should be ${JSON.stringify(is)}`
    await findings.add('usage_differs', told, async () => {
      await stores.uploads.recount(true)
      return true
    })
  }
}

const inspectFailed: Inspect = async (findings, { stores, target, config, now }, signal) => {
  const failed = await stores.uploads.stale({ states: ['failed'], untouchedSinceMs: now(), limit: maxRows })
  for (const { id, project, stagingKey, reason } of failed) {
    // Without bytes there is nothing that a person could bring back.
    if (!(await target.head(stagingKey, withDeadline(signal, config.targetTimeoutMs)))) continue
    await findings.add('failed_uploads', `${id} (${project}): ${reason?.detail ?? reason?.code ?? 'no reason'}`)
  }
}

const inspectJobs: Inspect = async (findings, { stores }) => {
  const [{ dead }, latest] = [await stores.jobs.stats(), await stores.jobs.dead(5)]
  const examples = latest.map((job) => `${job.id} ${job.kind} ${job.payload}: ${job.lastError}`)
  findings.count('dead_jobs', { count: dead, examples })
}

const inspectOld: Inspect = async (findings, deps, signal) => {
  const { history } = deps.stores
  const untilMs = oldUntilMs(deps)
  for (const upload of await history.uploads(untilMs, maxRows)) {
    if (!(await isBare(upload, deps, signal))) continue
    await findings.add('old_records', `${upload.id} (${upload.state})`, () => history.forgetUpload(upload.id, untilMs))
  }
  for (const id of await history.messages(untilMs, maxRows))
    await findings.add('old_records', id, () => history.forget('message', id))
  for (const id of await history.jobs(untilMs, maxRows))
    await findings.add('old_records', id, () => history.forget('job', id))
}

/** Whatever is older than this is old enough to be touched. */
function pastGrace({ config, now }: Pick<UploadDeps, 'config' | 'now'>): number {
  return now() - config.graceSeconds * 1000
}
