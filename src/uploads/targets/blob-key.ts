import { join } from 'node:path'
import { AppError } from '../../errors.ts'

/** The two places that keys live in; `staging/` is written by clients, `objects/` by this server only. */
export const keySpaces = ['objects', 'staging'] as const

// Lower case only, so that file systems that fold case keep keys apart; no segment begins with a dot.
const keyPattern = /^(?:staging|objects)\/[a-z0-9_-]{2}[a-z0-9_.-]*(?:\/[a-z0-9_-][a-z0-9_.-]*)*$/
/** With room for the slashes in the 255 bytes of a file name. */
const maxKeyLength = 200

export function isBlobKey(key: string): boolean {
  return key.length <= maxKeyLength && keyPattern.test(key)
}

/** Throws `bad_request` for what is no key. */
export function assertBlobKey(key: string): void {
  if (isBlobKey(key)) return
  throw new AppError('bad_request', {
    detail: 'Expected a key "staging/…" or "objects/…" of a-z, 0-9, "_", "-", "." and "/".',
  })
}

/**
 * Where a key's bytes are: `objects/obj_7h3…` is `<folder>/objects/obj_7h/obj_7h3…`. The shard is the beginning of the name,
 * so that a listing in key order reads the shards one after the other.
 */
export function blobFile(folder: string, key: string): { readonly folder: string; readonly file: string } {
  assertBlobKey(key)
  const slash = key.indexOf('/')
  const name = key.slice(slash + 1)
  const shard = join(folder, key.slice(0, slash), shardOf(name))
  return { folder: shard, file: join(shard, name.replaceAll('/', '%')) }
}

/** The key of a file in a shard of `space`; undefined when it is none of ours. */
export function keyOfFile(space: string, fileName: string): string | undefined {
  const key = `${space}/${fileName.replaceAll('%', '/')}`
  return isBlobKey(key) ? key : undefined
}

/** Two characters of chance: ids begin with their kind (`upl_`). */
function shardOf(name: string): string {
  return /^(?:[a-z]{2,4}_)?[a-z0-9_-]{2}/.exec(name)?.[0] ?? name.slice(0, 2)
}
