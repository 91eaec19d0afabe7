import { createHash } from 'node:crypto'
import type { CachedResult } from '../../src/cache/cached-result.ts'

/** A key as delivery makes them; the same text gives the same key. */
export function keyOf(text: string | number): string {
  return createHash('sha256').update(String(text)).digest('base64url')
}

/** A result whose body follows from the key, so that anybody can tell a right answer from a wrong one. */
export function resultFor(key: string, bodyBytes = 2000): CachedResult {
  const body = Buffer.alloc(bodyBytes)
  const seed = createHash('sha256').update(key).digest()
  for (let at = 0; at < bodyBytes; at += seed.length) seed.copy(body, at)
  return {
    body,
    contentType: 'image/webp',
    etag: `"${key}"`,
    createdAtMs: 1_700_000_000_000,
    facts: { width: 10, format: 'webp', cut: true },
  }
}

/** The same, of a size that follows from the key too: 1 kB to 66 kB. */
export function bodyFor(key: string): CachedResult {
  return resultFor(key, 1000 + createHash('sha256').update(key).digest().readUInt16LE(0))
}
