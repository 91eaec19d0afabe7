import type { OutboxRecord } from '../db/records.ts'
import type { OutboxStore } from '../db/stores.ts'
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

/** Sends a message of this project now, under its old id: again, or before its next attempt is due. Throws `not_found`. */
export async function replayMessage(
  project: string,
  id: string,
  { outbox, now }: { readonly outbox: OutboxStore; readonly now: () => number },
): Promise<OutboxRecord> {
  const message = isId('msg', id) ? await outbox.find(id) : undefined
  const isReplayed = message?.project === project && (await outbox.replay(id, now()))
  if (!isReplayed) throw new AppError('not_found', { detail: 'There is no such message.' })
  return (await outbox.find(id)) ?? message
}
