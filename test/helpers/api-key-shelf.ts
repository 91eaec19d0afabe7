import type { ApiKeyRecord } from '../../src/db/records.ts'
import type { ApiKeyStore } from '../../src/db/stores.ts'

/** An `ApiKeyStore` in memory, whose rows (by the hash of their secret) and touches can be looked at. */
export function createApiKeyShelf(): ApiKeyStore & {
  readonly rows: Map<string, ApiKeyRecord>
  readonly touches: number[]
} {
  const rows = new Map<string, ApiKeyRecord>()
  const touches: number[] = []
  function change(id: string, by: Partial<ApiKeyRecord>): boolean {
    const [hash, record] = [...rows].find(([, row]) => row.id === id) ?? []
    if (hash === undefined || record === undefined) return false
    rows.set(hash, { ...record, ...by })
    return true
  }
  return {
    rows,
    touches,
    create(key, secretHash) {
      const record = { ...key, lastUsedAtMs: undefined, revokedAtMs: undefined }
      rows.set(secretHash, record)
      return Promise.resolve(record)
    },
    findByHash: (hash) => Promise.resolve(rows.get(hash)),
    list: () => Promise.resolve([...rows.values()]),
    revoke(id, nowMs) {
      const isLive = [...rows.values()].some((row) => row.id === id && row.revokedAtMs === undefined)
      return Promise.resolve(isLive && change(id, { revokedAtMs: nowMs }))
    },
    touch(id, nowMs) {
      touches.push(nowMs)
      change(id, { lastUsedAtMs: nowMs })
      return Promise.resolve()
    },
  }
}
