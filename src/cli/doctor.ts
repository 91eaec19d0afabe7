import type { Command } from 'commander'
import type { Config, UploadsConfig } from '../config/config.ts'
import { databaseNameOf } from '../config/database-name.ts'
import { openStores } from '../db/open-stores.ts'
import { AppError, toAppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import { createJobQueue } from '../jobs/create-job-queue.ts'
import type { Finding } from '../uploads/doctor/checks.ts'
import { inspectUploads, type InspectOptions } from '../uploads/doctor/inspect-uploads.ts'
import { depsForDoctor } from '../uploads/doctor/open-deps.ts'
import { corsJson, corsRuleFor } from '../uploads/targets/bucket-cors.ts'
import { createUploadTarget, type CreatedTarget } from '../uploads/targets/create-upload-target.ts'
import type { UploadTarget } from '../uploads/targets/upload-target.ts'
import { existingDatabase } from './existing-database.ts'
import { prepareDataDirectory } from './prepare-data-directory.ts'
import { readConfig } from './read-config.ts'

type DoctorOptions = { fix?: boolean; deep?: boolean; force?: boolean; json?: boolean }

type Report = {
  readonly database: string
  readonly target: string
  /** The folder or bucket. */
  readonly place: string
  /** Nothing at all is there of what the database knows: rather the wrong place than a loss. */
  readonly isBare: boolean
  readonly graceSeconds: number
  readonly isFixing: boolean
  readonly findings: readonly Finding[]
  /** What `aws s3api put-bucket-cors` takes, where pages upload into a bucket. */
  readonly corsRule: string | undefined
}

/** `halftone doctor`: proves that database and storage agree, and puts right what can be. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('compare the database with the stored bytes, and say what --fix would do')
    .option('--fix', 'put right what can be; without it nothing is changed')
    .option('--deep', 'read every stored object and compare its SHA-256')
    .option('--force', 'with --fix: delete unknown bytes also where they are more than the known ones')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nSafe beside a running server: nothing younger than HALFTONE_UPLOAD_GRACE_SECONDS is touched.' +
        '\nExits with 0 when all is well, 1 when something is left, 2 when it could not look.',
    )
    .action(async (options: DoctorOptions) => {
      const config = readConfig()
      try {
        const report = await examine(config, options)
        process.stdout.write(options.json ? `${JSON.stringify(shown(report))}\n` : describe(report))
        if (!isWell(report)) process.exitCode = 1
      } catch (error) {
        const { code, detail, cause, message } = toAppError(error)
        const said = detail ?? (cause instanceof Error ? cause.message : message)
        const reason = code.startsWith('target_') ? targetReason(said, config) : said
        if (options.json) process.stdout.write(`${JSON.stringify({ ok: false, error: { code, detail: reason } })}\n`)
        process.stderr.write(`The doctor could not look: ${reason}\n`)
        process.exitCode = 2
      }
    })
}

/** What the store said rarely names the settings that it came by. */
function targetReason(said: string, { uploads }: Config): string {
  if (uploads?.target.kind !== 's3') return said
  const { bucket, endpoint, region } = uploads.target
  const asked = `S3_REGION (${region ?? 'not set'}), S3_ENDPOINT (${endpoint ?? 'not set: Amazon'})`
  return `bucket ${bucket} of HALFTONE_UPLOADS: ${said.replace(/\.$/, '')}. It was asked with ${asked} and the credentials of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role.`
}

async function examine(config: Config, options: DoctorOptions): Promise<Report> {
  const { uploads } = config
  if (!uploads) throw new AppError('bad_request', { detail: 'Uploads are switched off (HALFTONE_UPLOADS).' })
  const database = existingDatabase(config)
  prepareDataDirectory(config.dataDir)
  const stores = await openStores(database)
  const created = createUploadTarget(uploads.target, {
    // Nothing is signed here.
    ...{ publicOrigin: () => '', secret: '', now: Date.now },
    timeoutMs: uploads.targetTimeoutMs,
  })
  const log = (event: string, fields: object = {}) => void process.stderr.write(`${event} ${JSON.stringify(fields)}\n`)
  const queue = createJobQueue({ table: stores.jobs, config: uploads, drainMs: 0, log: { warn: log } })
  const deps = depsForDoctor({
    ...{ config: uploads, stores, queue, target: created.target, now: Date.now },
    log: (_, event, fields) => log(event, fields),
  })
  try {
    const asked = inspectOptions(options, created, uploads)
    const signal = new AbortController().signal
    const findings = await inspectUploads(asked, deps, signal)
    const isLacking = findings.some(({ name, count }) => count > 0 && lacks.has(name))
    const corsRule = asked.checkCors && corsJson(corsRuleFor(created.target, uploads.apiOrigins))
    const { graceSeconds } = uploads
    return {
      database: databaseNameOf(database),
      target: created.kind,
      place: uploads.target.kind === 's3' ? `bucket ${uploads.target.bucket}` : uploads.target.folder,
      isBare: isLacking && (await isEmpty(created.target, withDeadline(signal, uploads.targetTimeoutMs))),
      graceSeconds,
      isFixing: asked.isFixing,
      findings,
      corsRule,
    }
  } finally {
    await queue.close()
    await created.target.close()
    await stores.close()
  }
}

const lacks: ReadonlySet<Finding['name']> = new Set(['lost_version', 'object_without_bytes'])

async function isEmpty(target: UploadTarget, signal: AbortSignal): Promise<boolean> {
  let cursor: string | undefined
  do {
    const page = await target.list('objects/', cursor, signal)
    if (page.objects.length > 0) return false
    cursor = page.cursor
  } while (cursor !== undefined)
  return true
}

function inspectOptions(
  { fix, deep, force }: DoctorOptions,
  created: CreatedTarget,
  { apiOrigins }: UploadsConfig,
): InspectOptions {
  return {
    ...{ isFixing: fix === true, isDeep: deep === true, isForced: force === true },
    // Without origins no page uploads, and no rule is needed.
    ...(created.kind === 's3' &&
      apiOrigins.length > 0 && { checkCors: (signal) => created.target.checkCors(apiOrigins, signal) }),
  }
}

function leftOf({ count, mended }: Finding): number {
  return count - mended
}

function isWell({ findings }: Report): boolean {
  return findings.every((finding) => finding.severity === 'note' || leftOf(finding) === 0)
}

function shown({ isFixing, corsRule, ...report }: Report) {
  return {
    ok: isWell({ ...report, isFixing, corsRule }),
    ...report,
    fixed: isFixing,
    ...(corsRule === undefined ? {} : { corsRule: JSON.parse(corsRule) as unknown }),
  }
}

function describe(report: Report): string {
  const { database, target, place, isBare, graceSeconds, findings, isFixing, corsRule } = report
  const found = findings.filter(({ count }) => count > 0)
  const lines = [
    isBare
      ? `EVERY object of ${database} is missing in ${place}, the ${target} target. Is this the right HALFTONE_DATA_DIR / HALFTONE_UPLOADS?`
      : `${database} and ${place}, the ${target} target, but for what is younger than ${graceSeconds} s:`,
    ...found.flatMap((finding) => linesOf(finding, isFixing)),
    ...(found.some(({ name }) => name === 'bucket_cors') ? ['The rule that the bucket needs:', corsRule ?? ''] : []),
    isWell(report) ? `All is well: ${findings.length} checks.` : adviceFor(report),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function adviceFor({ isFixing, isBare, findings }: Report): string {
  if (isFixing) return 'What is left needs a person.'
  // To mend by the wrong place would make the database forget what is in the right one.
  if (isBare) return 'Nothing was changed. Look at the settings first.'
  const isFixable = findings.some(({ severity, count, mend }) => severity !== 'note' && count > 0 && mend !== undefined)
  return isFixable
    ? 'Nothing was changed; put right what can be with --fix.'
    : 'Nothing was changed, and all of it needs a person.'
}

function linesOf(finding: Finding, isFixing: boolean): string[] {
  const { name, severity, meaning, count, examples, mend, mended } = finding
  const done = isFixing ? `${mended} of ${count} mended` : mend === undefined ? 'needs a person' : `--fix ${mend}`
  const more = count > examples.length ? [`    … and ${count - examples.length} more`] : []
  return [
    `  ${severity === 'loss' ? 'LOSS ' : ''}${name}: ${count} ${meaning}`,
    ...examples.map((example) => `    ${example}`),
    ...more,
    ...(severity === 'note' && mend === undefined ? [] : [`    ${done}`]),
  ]
}
