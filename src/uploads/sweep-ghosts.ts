import { withDeadline } from '../lib/deadline.ts'
import { areForsaken } from './doctor/judge-parts.ts'
import { mendVerdict } from './doctor/mend-verdict.ts'
import { checks } from './doctor/checks.ts'
import { scanGhosts, spaces, type Space } from './doctor/scan-ghosts.ts'
import { note, sweepEach, type Round } from './sweep-each.ts'

/** How far the comparison with the store has come; it goes on there in the next round. */
export type GhostPlaces = { [space in Space]?: string | undefined }

// One page of a bucket's listing.
const keysAtOnce = 1000

/**
 * Bytes that were served, and that the database does not know: after the restore of an older copy that is every newer picture. Deleting
 * them is for people, too.
 */
function isServed({ name }: { readonly name: string }): boolean {
  return name === 'object_without_row'
}

/** Compares the next page of each half of the store with the rows, and does the safe part of what `halftone doctor` would. */
export async function sweepGhosts(places: GhostPlaces, round: Round): Promise<void> {
  const { deps, signal } = round
  for (const space of spaces) {
    const from = { afterKey: places[space], maxKeys: keysAtOnce, isDeep: false }
    const { verdicts, unknown, known, afterKey } = await scanGhosts(space, from, deps, signal)
    places[space] = afterKey
    // Where more is unknown than known this may be an old copy of the database: people decide, by `halftone doctor`.
    const isHeldBack = unknown > known
    if (isHeldBack) {
      note(round, 'unknown_left')
      deps.log('error', 'unknown_bytes_left', { space, unknown, known, mend: 'halftone doctor' })
    }
    const safe = verdicts.filter((verdict) => !verdict.isUnknown || !(isHeldBack || isServed(verdict)))
    await sweepEach(
      safe,
      async (verdict) => {
        if (await mendVerdict(verdict, deps, signal)) return verdict.name
        if (checks[verdict.name].severity !== 'loss') return undefined
        deps.log('error', 'bytes_lost', { check: verdict.name, example: verdict.example })
        return verdict.name
      },
      round,
    )
  }
}

/** Aborts uploads in parts that nobody waits for. */
export async function sweepParts(round: Round): Promise<void> {
  const { deps, signal } = round
  const within = () => withDeadline(signal, deps.config.targetTimeoutMs)
  await sweepEach(
    await deps.target.listOpenParts(within()),
    async (open) => {
      if (!(await areForsaken(open, deps))) return undefined
      await deps.target.abortParts(open, within())
      return 'open_parts'
    },
    round,
  )
}
