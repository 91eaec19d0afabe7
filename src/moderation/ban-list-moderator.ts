import { open } from 'node:fs/promises'
import { AppError } from '../errors.ts'
import { readBanList, type BanList } from './ban-list.ts'
import type { Moderator } from './moderator.ts'

export type BanListModeratorOptions = {
  readonly file: string
  readonly maxDistance: number
  readonly now: () => number
  /** A file that became unreadable: the list that was read before stays in force. */
  readonly onUnreadable: (error: unknown) => void
}

// 600,000 perceptual hashes: read in 0.5 s when they change, compared in 8 ms.
const maxFileBytes = 16 * 1024 * 1024
const lookAgainMs = 2000

type Reading = { readonly list: BanList; readonly mark: string }

/** Refuses what is on a list of the operator's. The file is read at start, where a fault is fatal, and again when it changes. */
export async function createBanListModerator(options: BanListModeratorOptions): Promise<Moderator> {
  const { now } = options
  let latest = await readFile(options, undefined)
  let lookedAtMs = now()
  let looking: Promise<void> | undefined
  let reported = ''

  const look = async () => {
    lookedAtMs = now()
    try {
      latest = await readFile(options, latest)
      reported = ''
    } catch (error) {
      // Once for each fault, not every two seconds.
      if (reported !== String(error)) options.onUnreadable(error)
      reported = String(error)
    }
  }
  return {
    name: 'ban_list',
    async judge(subject) {
      if (now() - lookedAtMs >= lookAgainMs) looking ??= look().finally(() => (looking = undefined))
      await looking
      const ban = latest.list.find(subject)
      return ban ?? { tier: 'allow', reason: undefined }
    },
  }
}

/** `known` itself while the file is the same. Throws with the lines that are wrong. */
async function readFile({ file, maxDistance }: BanListModeratorOptions, known: Reading | undefined): Promise<Reading> {
  const handle = await open(file).catch((error: unknown) => {
    throw unusable(file, error instanceof Error ? error.message : String(error))
  })
  try {
    const { mtimeMs, size, ino } = await handle.stat()
    const mark = `${mtimeMs} ${size} ${ino}`
    if (known?.mark === mark) return known
    if (size > maxFileBytes) throw unusable(file, `expected at most ${maxFileBytes} bytes, got ${size}`)
    const reading = readBanList(await handle.readFile('utf8'), maxDistance)
    if (!reading.ok) throw unusable(file, reading.faults.join('; '))
    return { list: reading.list, mark }
  } finally {
    await handle.close()
  }
}

function unusable(file: string, why: string): AppError {
  return new AppError('internal', { detail: `HALFTONE_BAN_LIST_FILE ${file}: ${why}. Correct it.` })
}
