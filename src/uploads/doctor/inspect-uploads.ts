import type { UploadDeps } from '../upload-deps.ts'
import { createFindings, type Finding, type Findings } from './checks.ts'
import { inspectRows } from './inspect-rows.ts'
import { mendVerdict } from './mend-verdict.ts'
import { probeTarget } from './probe-target.ts'
import { scanGhosts, spaces, type Scanned, type Space } from './scan-ghosts.ts'

export type InspectOptions = {
  readonly isFixing: boolean
  /** Reads every stored object and compares its SHA-256. */
  readonly isDeep: boolean
  /** Deletes unknown bytes also where they outnumber the known ones. */
  readonly isForced: boolean
  /** What keeps pages from uploading into the bucket; undefined where there is none. */
  readonly checkCors?: ((signal: AbortSignal) => Promise<readonly string[]>) | undefined
}

const stretch = 1000

/** Leftovers of crashes are few beside what is known; more than these, and more than the known, are something else. */
const plausibleUnknown = 10

/**
 * Whether database and store agree; a dry run unless it is to fix. Safe beside running servers: nothing younger than the grace is
 * touched, and what looks wrong is looked at again. Throws when database or store cannot be looked at.
 */
export async function inspectUploads(
  options: InspectOptions,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings = createFindings(options.isFixing, (name, error) =>
    deps.log('warn', 'not_mended', { check: name, error: String(error) }),
  )
  await probeTarget(deps, signal)
  await compareStore(options, findings, deps, signal)
  await inspectRows(findings, deps, signal)
  const faults = (await options.checkCors?.(signal).catch(unreadable)) ?? []
  findings.count('bucket_cors', { count: faults.length, examples: faults })
  return findings.list()
}

/** Reading the rules takes a permission that uploading does not. */
function unreadable(error: unknown): readonly string[] {
  return [`The rules cannot be read: ${String(error)}`]
}

async function compareStore(
  options: InspectOptions,
  findings: Findings,
  deps: UploadDeps,
  signal: AbortSignal,
): Promise<void> {
  for (const space of spaces) {
    let afterKey: string | undefined
    do {
      const from = { afterKey, maxKeys: stretch, isDeep: options.isDeep }
      const scanned = await scanGhosts(space, from, deps, signal)
      await tell(space, scanned, { options, findings, deps, signal })
      afterKey = scanned.afterKey
    } while (afterKey !== undefined)
  }
}

async function tell(
  space: Space,
  { verdicts, unknown, known }: Scanned,
  to: {
    readonly options: InspectOptions
    readonly findings: Findings
    readonly deps: UploadDeps
    readonly signal: AbortSignal
  },
): Promise<void> {
  const { options, findings, deps, signal } = to
  const isImplausible = unknown > plausibleUnknown && unknown > known
  if (isImplausible) {
    await findings.add('implausible', `${space}/: ${unknown} unknown beside ${known} known`, () =>
      Promise.resolve(options.isForced),
    )
  }
  const isHeldBack = isImplausible && !options.isForced
  for (const verdict of verdicts) {
    const mend = verdict.isUnknown && isHeldBack ? undefined : () => mendVerdict(verdict, deps, signal)
    await findings.add(verdict.name, verdict.example, mend)
  }
}
