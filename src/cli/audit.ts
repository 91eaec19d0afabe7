import { InvalidArgumentError, type Command } from 'commander'
import type { Config } from '../config/config.ts'
import { openStores } from '../db/open-stores.ts'
import { AppError, toAppError } from '../errors.ts'
import type { RendererPool } from '../transform/executor/renderer-pool.ts'
import { createRendererPool } from '../transform/executor/renderer-pool.ts'
import { parseParams } from '../transform/params/parse-params.ts'
import { planTransform } from '../transform/planner/plan-transform.ts'
import type { AuditedAnswer, AuditReport } from '../uploads/audit-uploads.ts'
import { auditUploads } from '../uploads/audit-uploads.ts'
import { createUploadTarget } from '../uploads/targets/create-upload-target.ts'
import { existingDatabase } from './existing-database.ts'
import { prepareDataDirectory } from './prepare-data-directory.ts'
import { readConfig } from './read-config.ts'

/** One answer in every format that is served. */
const servedAs = ['', 'w=320&fm=jpg', 'w=320&fm=webp', 'w=320&fm=avif', 'w=320&fm=png']
const usualSample = 100

/** `halftone audit`: fails when a stored or served picture carries what was to be taken from it. */
export function addAuditCommand(program: Command): void {
  program
    .command('audit')
    .description('look for GPS, serial numbers, names and thumbnails in uploaded pictures, as stored and as served')
    .option('--sample <number>', 'how many of them, evenly chosen', parseSample, usualSample)
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nSafe beside a running server; changes nothing.' +
        '\nExits with 0 when all of the sample was read and nothing was found, 1 when something was found, 2 when some or all could not be read.',
    )
    .action(async (options: { sample: number; json?: boolean }) => {
      const config = readConfig()
      try {
        const report = await audit(config, options.sample)
        process.stdout.write(options.json ? `${JSON.stringify(report)}\n` : describe(report))
        process.exitCode = report.findings.length > 0 ? 1 : report.missing.length > 0 ? 2 : 0
      } catch (error) {
        const { detail, cause, message } = toAppError(error)
        const reason = detail ?? (cause instanceof Error ? cause.message : message)
        process.stderr.write(`The audit could not look: ${reason}\n`)
        process.exitCode = 2
      }
    })
}

async function audit(config: Config, sample: number): Promise<AuditReport> {
  if (!config.uploads) throw new AppError('bad_request', { detail: 'Uploads are switched off (HALFTONE_UPLOADS).' })
  const { target: settings, targetTimeoutMs } = config.uploads
  const database = existingDatabase(config)
  prepareDataDirectory(config.dataDir)
  const stores = await openStores(database)
  const { target } = createUploadTarget(settings, {
    // Nothing is signed here.
    ...{ publicOrigin: () => '', secret: '', now: Date.now },
    timeoutMs: targetTimeoutMs,
  })
  const rendererPool = createRendererPool({ config: config.render, log: () => undefined })
  try {
    const read = (key: string, maxBytes: number) => target.read(key, { maxBytes }, AbortSignal.timeout(targetTimeoutMs))
    const answersOf = (key: string, bytes: Buffer) => renderAnswers(rendererPool, config, key, bytes)
    const deps = { objects: stores.objects, read, answersOf, random: Math.random }
    return await auditUploads(deps, sample, new AbortController().signal)
  } finally {
    await rendererPool.close()
    await target.close()
    await stores.close()
  }
}

/** By the plans that a request for it would get. */
function renderAnswers(pool: RendererPool, config: Config, key: string, bytes: Buffer): Promise<AuditedAnswer[]> {
  return Promise.all(
    servedAs.map(async (query) => {
      const { params } = parseParams(query, { strict: false, defaults: '', presets: {} })
      const rendered = await pool.render(
        {
          ...{ original: bytes, sourceKey: `audit ${key}`, sourceName: 'audit' },
          planFor: (metadata) =>
            planTransform({ params, metadata, capabilities: { avif: true, webp: true }, limits: config.render }),
        },
        AbortSignal.timeout(config.render.deadlineMs),
      )
      return { name: query === '' ? 'served' : query, bytes: rendered.body }
    }),
  )
}

function describe({ objects, answers, missing, findings }: AuditReport): string {
  const lines = [
    ...findings.map(({ key, answer, kind, where }) => `${key}  ${answer}  ${kind}  ${where}`),
    ...missing.map((key) => `${key}  has no bytes (see halftone doctor)`),
    `${objects - missing.length} of ${objects} objects in ${answers} answers: ${findings.length === 0 ? 'nothing found' : `${findings.length} findings`}`,
    ...(missing.length === 0
      ? []
      : [`${missing.length} of ${objects} objects could not be read, so nothing is known of them.`]),
  ]
  return lines.map((line) => `${line}\n`).join('')
}

function parseSample(text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1) throw new InvalidArgumentError('expected a whole number from 1')
  return value
}
