import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, rm, stat, writeFile } from 'node:fs/promises'
import { undefinedWhenAbsent } from './list-blobs.ts'
import { chunksUntilAborted } from './target-failure.ts'

/** Of which bytes a sum was taken: of another file under the same name it says nothing. */
type Sum = { readonly sha256: string; readonly byteLength: number; readonly mtimeMs: number }

// No key has this character, so that no listing takes it for one.
const sumFile = (file: string) => `${file}~sum`

/**
 * Keeps what the bytes hashed to while they came. Written after the bytes, which may be gone again by then. Never throws: bytes without a
 * sum are hashed once more.
 */
export async function keepSum(file: string, sha256: string): Promise<void> {
  try {
    const { size: byteLength, mtimeMs } = await stat(file)
    const sum: Sum = { sha256, byteLength, mtimeMs }
    await writeFile(sumFile(file), JSON.stringify(sum))
  } catch {
    await dropSum(file).catch(() => undefined)
  }
}

/** The sum of exactly the bytes that lie there; undefined where none was kept, or they are others by now. */
export async function readSum(file: string): Promise<string | undefined> {
  const [text, facts] = await Promise.all([
    readFile(sumFile(file), 'utf8').catch(undefinedWhenAbsent),
    stat(file).catch(undefinedWhenAbsent),
  ])
  const sum = text === undefined ? undefined : parseSum(text)
  return sum?.byteLength === facts?.size && sum?.mtimeMs === facts?.mtimeMs ? sum?.sha256 : undefined
}

/** Before the bytes: a sum never outlives them. */
export async function dropSum(file: string): Promise<void> {
  await rm(sumFile(file), { force: true })
}

/** Read through once more, a piece at a time. */
export async function hashFile(file: string, signal: AbortSignal): Promise<string | undefined> {
  const hash = createHash('sha256')
  try {
    const chunks = createReadStream(file, { highWaterMark: 1 << 20 }) as AsyncIterable<Buffer>
    for await (const chunk of chunksUntilAborted(chunks, signal)) hash.update(chunk)
  } catch (error) {
    return undefinedWhenAbsent(error)
  }
  return hash.digest('hex')
}

/** undefined for what a crash has cut off. */
function parseSum(text: string): Sum | undefined {
  try {
    return JSON.parse(text) as Sum
  } catch {
    return undefined
  }
}
