import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { blobFile, keyOfFile, keySpaces } from './blob-key.ts'
import { errorCodeOf } from './target-failure.ts'
import type { StoredObject } from './upload-target.ts'

/** A page in key order: the keys with the prefix that come after the cursor, and the cursor of the next page. */
export async function listBlobs(
  folder: string,
  wanted: { readonly prefix: string; readonly cursor: string | undefined; readonly pageSize: number },
): Promise<{ objects: readonly StoredObject[]; cursor: string | undefined }> {
  const objects: StoredObject[] = []
  for (const space of keySpaces) {
    for (const shards of groupShards(await entriesOf(join(folder, space)))) {
      if (!mayHold(`${space}/${shards[0]}`, wanted)) continue
      for (const key of await keysOf(folder, space, shards)) {
        if (!key.startsWith(wanted.prefix) || (wanted.cursor !== undefined && key <= wanted.cursor)) continue
        if (objects.length === wanted.pageSize) return { objects, cursor: objects.at(-1)?.key }
        const found = await statBlob(folder, key)
        if (found) objects.push(found)
      }
    }
  }
  return { objects, cursor: undefined }
}

/** undefined when there is nothing under the key. */
export async function statBlob(folder: string, key: string): Promise<StoredObject | undefined> {
  const facts = await stat(blobFile(folder, key).file).catch(undefinedWhenAbsent)
  return facts && { key, byteLength: facts.size, contentType: undefined, lastModifiedMs: facts.mtimeMs }
}

/** Shards in order; those whose name continues another's are read together with it, as their keys lie between each other. */
function groupShards(shards: readonly string[]): readonly (readonly [string, ...string[]])[] {
  const groups: [string, ...string[]][] = []
  for (const shard of shards) {
    const last = groups.at(-1)
    if (last && shard.startsWith(last[0])) last.push(shard)
    else groups.push([shard])
  }
  return groups
}

function mayHold(start: string, { prefix, cursor }: { readonly prefix: string; readonly cursor: string | undefined }) {
  const isInPrefix = start.startsWith(prefix) || prefix.startsWith(start)
  const isBehindCursor = cursor === undefined || start > cursor || cursor.startsWith(start)
  return isInPrefix && isBehindCursor
}

async function keysOf(folder: string, space: string, shards: readonly string[]): Promise<string[]> {
  const names = await Promise.all(shards.map((shard) => entriesOf(join(folder, space, shard))))
  const keys = names.flat().map((name) => keyOfFile(space, name))
  return keys.filter((key) => key !== undefined).sort()
}

async function entriesOf(folder: string): Promise<string[]> {
  return ((await readdir(folder).catch(undefinedWhenAbsent)) ?? []).sort()
}

export function undefinedWhenAbsent(error: unknown): undefined {
  if (errorCodeOf(error) === 'ENOENT' || errorCodeOf(error) === 'ENOTDIR') return undefined
  throw error
}
