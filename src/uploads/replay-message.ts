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

/** Sends a dead or delivered message of this project again, under its old id. Throws `not_found`, `wrong_state`. */
export async function replayMessage(
  project: string,
  id: string,
  { outbox, now }: { readonly outbox: OutboxStore; readonly now: () => number },
): Promise<OutboxRecord> {
  const message = isId('msg', id) ? await outbox.find(id) : undefined
  if (message?.project !== project) throw new AppError('not_found', { detail: 'There is no such message.' })
  if (!(await outbox.replay(id, now())))
    throw new AppError('wrong_state', { detail: 'The message is waiting to be delivered already.' })
  return (await outbox.find(id)) ?? message
}
