import type { ObjectRecord } from '../db/records.ts'
import type { ObjectStore } from '../db/stores.ts'
import type { AuditFinding } from './audit-image.ts'
import { auditBytes } from './audit-image.ts'

/** One answer that a stored object can be given as. */
export type AuditedAnswer = { readonly name: string; readonly bytes: Buffer }

export type AuditReport = {
  readonly objects: number
  readonly answers: number
  /** Objects in the database without bytes in the store. */
  readonly missing: readonly string[]
  readonly findings: readonly (AuditFinding & { readonly key: string; readonly answer: string })[]
}

export type AuditDeps = {
  readonly objects: Pick<ObjectStore, 'page'>
  readonly read: (key: string, byteLength: number) => Promise<Buffer | undefined>
  /** What is rendered of it. */
  readonly answersOf: (key: string, bytes: Buffer) => Promise<readonly AuditedAnswer[]>
  /** 0 to below 1. */
  readonly random: () => number
}

const pageLength = 500

/** Audits stored objects, as they are and as they are served; `sample` of them, evenly chosen, or all when there are fewer. */
export async function auditUploads(deps: AuditDeps, sample: number, signal: AbortSignal): Promise<AuditReport> {
  const missing: string[] = []
  const findings: AuditReport['findings'][number][] = []
  let answers = 0
  const chosen = await chooseObjects(deps, sample)
  for (const { key, byteLength } of chosen) {
    signal.throwIfAborted()
    const bytes = await deps.read(key, byteLength)
    if (!bytes) {
      missing.push(key)
      continue
    }
    const all = [{ name: 'stored', bytes }, ...(await deps.answersOf(key, bytes))]
    answers += all.length
    for (const answer of all) {
      findings.push(...auditBytes(answer.bytes).map((finding) => ({ key, answer: answer.name, ...finding })))
    }
  }
  return { objects: chosen.length, answers, missing, findings }
}

/** Reservoir sampling: one pass, every object with the same chance. */
async function chooseObjects({ objects, random }: AuditDeps, sample: number): Promise<readonly ObjectRecord[]> {
  const chosen: ObjectRecord[] = []
  let seen = 0
  let after: string | undefined
  for (;;) {
    const page = await objects.page(after, pageLength)
    for (const object of page.filter(({ state }) => state === 'stored')) {
      seen++
      const place = Math.floor(random() * seen)
      if (chosen.length < sample) chosen.push(object)
      else if (place < sample) chosen[place] = object
    }
    after = page.at(-1)?.key
    if (after === undefined || page.length < pageLength) return chosen
  }
}
