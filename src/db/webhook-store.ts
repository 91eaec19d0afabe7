import type { Selectable } from 'kysely'
import type { DisabledWebhook } from './records.ts'
import type { DisabledWebhooksTable, StoreContext } from './schema.ts'
import type { WebhookStore } from './stores.ts'

export function createWebhookStore({ db }: StoreContext): WebhookStore {
  return {
    async disabled(project) {
      const row = await db.selectFrom('disabled_webhooks').selectAll().where('project', '=', project).executeTakeFirst()
      return row && toDisabled(row)
    },
    async disable({ project, endpoint, reason, atMs }) {
      const change = { endpoint, reason, at_ms: atMs }
      const row = await db
        .insertInto('disabled_webhooks')
        .values({ project, ...change })
        .onConflict((conflict) =>
          conflict.column('project').doUpdateSet(change).where('disabled_webhooks.endpoint', '<>', endpoint),
        )
        .returning('project')
        .executeTakeFirst()
      return row !== undefined
    },
    async enable(project) {
      const row = await db
        .deleteFrom('disabled_webhooks')
        .where('project', '=', project)
        .returning('project')
        .executeTakeFirst()
      return row !== undefined
    },
    async list() {
      return (await db.selectFrom('disabled_webhooks').selectAll().orderBy('project').execute()).map(toDisabled)
    },
  }
}

function toDisabled({ at_ms: atMs, ...row }: Selectable<DisabledWebhooksTable>): DisabledWebhook {
  return { ...row, atMs: Number(atMs) }
}
