import { setTimeout as sleep } from 'node:timers/promises'

/** Parts by name; those of one stage are closed at the same time. */
export type ClosingStage = Readonly<Record<string, () => Promise<void> | undefined>>

/** What a stage has at least, however late it is: enough for what only has to write a file. */
const leastMs = 300

/** Closes stage after stage until then. Never throws: a part that fails, or does not end in time, keeps no other open. */
export async function closeParts(
  stages: readonly ClosingStage[],
  { withinMs, onFailed }: { readonly withinMs: number; readonly onFailed: (part: string, error: unknown) => void },
): Promise<void> {
  const untilMs = performance.now() + withinMs
  for (const stage of stages) {
    const stageMs = Math.max(leastMs, untilMs - performance.now())
    await Promise.all(
      Object.entries(stage).map(([name, close]) =>
        closeWithin(close, stageMs).catch((error: unknown) => onFailed(name, error)),
      ),
    )
  }
}

async function closeWithin(close: () => Promise<void> | undefined, timeoutMs: number): Promise<void> {
  const over = new AbortController()
  const tooLong = sleep(timeoutMs, undefined, { signal: over.signal }).then(
    () => Promise.reject(new Error('did not end in time')),
    () => undefined,
  )
  try {
    await Promise.race([close(), tooLong])
  } finally {
    over.abort()
  }
}
