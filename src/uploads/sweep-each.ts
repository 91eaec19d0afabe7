import type { UploadDeps } from './upload-deps.ts'

/** What one round of the sweeper did, by event; every one is a metric, too. */
export type Tally = Record<string, number>

export type Round = {
  readonly deps: UploadDeps
  readonly signal: AbortSignal
  readonly tally: Tally
}

// Then it is the store and not the row, and each further try costs a whole timeout.
const failuresInARow = 5

export function note({ deps, tally }: Pick<Round, 'deps' | 'tally'>, event: string): void {
  tally[event] = (tally[event] ?? 0) + 1
  deps.count(`sweep_${event}`)
}

/** One after the other; a bad one is told and counted, and does not stop the round. `work` names what it did, if anything. */
export async function sweepEach<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<string | undefined>,
  round: Round,
): Promise<void> {
  let failures = 0
  for (const item of items) {
    if (round.signal.aborted) return
    try {
      const event = await work(item)
      failures = 0
      if (event !== undefined) note(round, event)
    } catch (error) {
      if (round.signal.aborted) return
      failures += 1
      note(round, 'error')
      round.deps.log('warn', 'sweep_error', { error: String(error) })
      if (failures === failuresInARow) return
    }
  }
}
