import { newId } from '../lib/new-id.ts'
import type { Tx } from './schema.ts'
import type { NewMessage } from './stores.ts'

/** Writes messages in the transaction of what they tell. */
export async function insertMessages(
  tx: Tx,
  project: string,
  messages: readonly NewMessage[],
  atMs: number,
): Promise<void> {
  if (messages.length === 0) return
  await tx
    .insertInto('outbox')
    .values(
      messages.map(({ type, payload }) => ({
        id: newId('msg'),
        project,
        type,
        payload: JSON.stringify(payload),
        state: 'waiting' as const,
        attempts: 0,
        next_attempt_at_ms: atMs,
        last_error: null,
        created_at_ms: atMs,
        updated_at_ms: atMs,
      })),
    )
    .execute()
}
