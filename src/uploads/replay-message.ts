import type { OutboxRecord } from '../db/records.ts'
import type { OutboxStore, WebhookStore } from '../db/stores.ts'
import { AppError } from '../errors.ts'
import { isId } from '../lib/new-id.ts'

/** What became of a message, for those who wait for it. Times are ISO 8601. */
export type MessageDocument = {
  readonly id: string
  readonly type: string
  readonly state: OutboxRecord['state']
  readonly attempts: number
  readonly nextAttemptAt: string | undefined
  readonly lastError: string | undefined
  readonly createdAt: string
  readonly data: unknown
}

export function describeMessage(message: OutboxRecord): MessageDocument {
  const { id, type, state, attempts, nextAttemptAtMs, lastError, createdAtMs, payload } = message
  return {
    ...{ id, type, state, attempts, lastError },
    nextAttemptAt: state === 'waiting' ? new Date(nextAttemptAtMs).toISOString() : undefined,
    createdAt: new Date(createdAtMs).toISOString(),
    data: JSON.parse(payload) as unknown,
  }
}

export type ReplayDeps = {
  readonly outbox: OutboxStore
  readonly webhooks: WebhookStore
  readonly now: () => number
}

/** Sends dead messages of a project again, those that were written first, first. `more`: there are others. */
export async function replayMessages(
  project: string,
  { type, since }: { readonly type?: string | undefined; readonly since?: string | undefined },
  { outbox, webhooks, now }: ReplayDeps,
): Promise<{ readonly replayed: number; readonly more: boolean }> {
  await webhooks.enable(project)
  const asked = {
    ...(type === undefined ? {} : { type }),
    ...(since === undefined ? {} : { sinceMs: Date.parse(since) }),
  }
  const replayed = await outbox.replayDead({ project, ...asked, limit: maxAtOnce }, now())
  return { replayed, more: replayed === maxAtOnce }
}

// One statement of a moment.
const maxAtOnce = 1000

/** Sends a message of this project now, under its old id: again, or before its next attempt is due. Throws `not_found`. */
export async function replayMessage(
  project: string,
  id: string,
  { outbox, webhooks, now }: ReplayDeps,
): Promise<OutboxRecord> {
  const message = isId('msg', id) ? await outbox.find(id) : undefined
  // Whoever replays expects somebody to be there again.
  if (message?.project === project) await webhooks.enable(project)
  const isReplayed = message?.project === project && (await outbox.replay(id, now()))
  if (!isReplayed) throw new AppError('not_found', { detail: 'There is no such message.' })
  return (await outbox.find(id)) ?? message
}
