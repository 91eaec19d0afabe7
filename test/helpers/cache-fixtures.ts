import { mkdtempSync, rmSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { CacheLog } from '../../src/cache/cache-tier.ts'
import { createDiskTier, type DiskTierOptions } from '../../src/cache/disk-tier.ts'
import { openDiskIndex } from '../../src/db/disk-index.ts'

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export function recordingLog(): CacheLog & { readonly events: string[] } {
  const events: string[] = []
  return { events, warn: (event) => void events.push(event), info: (event) => void events.push(event) }
}

/** A disk tier with its real index, both below `folder`; closed when the test ends, if not before. */
export function openDiskTier(folder: string, options: Partial<DiskTierOptions> = {}) {
  const log = recordingLog()
  const index = options.index ?? openDiskIndex({ file: join(folder, 'index.sqlite'), log })
  const tier = createDiskTier({
    directory: join(folder, 'entries'),
    maxBytes: 64 * 1024 * 1024,
    log,
    ...options,
    index,
  })
  onTestFinished(() => tier.close())
  return { tier, index, log }
}

/** Every entry file of a disk tier made by `openDiskTier`, with what it takes on disk. */
export async function entryFilesIn(folder: string): Promise<{ key: string; path: string; bytes: number }[]> {
  const directory = join(folder, 'entries')
  const names = await readdir(directory, { recursive: true }).catch(() => [])
  const files: { key: string; path: string; bytes: number }[] = []
  for (const name of names) {
    const path = join(directory, name)
    const file = await stat(path)
    const key = name.split('/').at(-1) ?? ''
    if (file.isFile() && !name.startsWith('tmp')) files.push({ key, path, bytes: Math.ceil(file.size / 4096) * 4096 })
  }
  return files
}

export const patient = () => new AbortController().signal
