import { randomUUID } from 'node:crypto'
import { mkdir, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { keySpaces } from './blob-key.ts'
import { syncFolder } from './durable-file.ts'

export interface TemporaryFiles {
  /** A path on the same file system as the rest, for a file that is still growing or a folder that is going. */
  next(): Promise<string>
  readonly partsFolder: string
}

/** An upload may take an hour; what has not grown for longer was left by a process that died. */
const leftOverAfterMs = 3_600_000

/** Lays out the folder with the first use, and removes what a crash has left. */
export function createTemporaryFiles(folder: string, now: () => number): TemporaryFiles {
  const own = randomUUID().slice(0, 8)
  const [temporaryFolder, partsFolder] = [join(folder, 'tmp'), join(folder, 'parts')]
  let preparing: Promise<void> | undefined
  const prepare = async () => {
    for (const part of [temporaryFolder, partsFolder, ...keySpaces.map((space) => join(folder, space))]) {
      await mkdir(part, { recursive: true })
    }
    await syncFolder(folder)
    await removeLeftOvers(temporaryFolder, own, now())
  }
  return {
    partsFolder,
    async next() {
      preparing ??= prepare()
      // A disk that could not be written to may be mended meanwhile.
      await preparing.catch((error: unknown) => {
        preparing = undefined
        throw error
      })
      return join(temporaryFolder, `${own}-${randomUUID()}`)
    },
  }
}

async function removeLeftOvers(folder: string, own: string, nowMs: number): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name.startsWith(`${own}-`)) continue
    const file = join(folder, name)
    const facts = await stat(file).catch(() => undefined)
    if (facts && nowMs - facts.mtimeMs > leftOverAfterMs) await rm(file, { recursive: true, force: true })
  }
}
