import type { StoreContext } from './schema.ts'
import type { SecretStore } from './stores.ts'

export function createSecretStore({ db, now }: StoreContext): SecretStore {
  return {
    async getOrCreate(name, fresh) {
      const find = () => db.selectFrom('secrets').select('value').where('name', '=', name).executeTakeFirst()
      const found = await find()
      if (found !== undefined) return found.value
      await db
        .insertInto('secrets')
        .values({ name, value: fresh, created_at_ms: now() })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .execute()
      return (await find())?.value ?? fresh
    },
  }
}
