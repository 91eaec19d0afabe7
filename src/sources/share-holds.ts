import type { HeldOriginal, HoldingSource, OriginalState } from './source.ts'
import { untilAborted } from './until-aborted.ts'

type Held = {
  readonly opened: Promise<HeldOriginal | undefined>
  /** Ends the opening when the last one who wants it has gone. */
  readonly opening: AbortController
  holders: number
}

/**
 * Variants of one original that are wanted at once hold one open file: opening it anew for each takes six turns of a thread
 * (docs/decisions/shared-decode.md says what that costs). Only who has seen the same version shares, so a file that was put in its place is opened for itself.
 */
export function shareHolds(
  hold: (path: string, signal: AbortSignal) => Promise<HeldOriginal | undefined>,
): HoldingSource['hold'] {
  const all = new Map<string, Held>()

  const begin = (key: string, path: string): Held => {
    const opening = new AbortController()
    const held = { opened: hold(path, opening.signal), opening, holders: 0 }
    all.set(key, held)
    return held
  }
  const leave = (key: string, held: Held) => {
    held.holders -= 1
    if (held.holders > 0) return
    if (all.get(key) === held) all.delete(key)
    held.opening.abort()
    void held.opened.then(
      (original) => original?.close(),
      () => undefined,
    )
  }

  return async (path, signal, known) => {
    const key = keyOf(path, known)
    const held = all.get(key) ?? begin(key, path)
    held.holders += 1
    let isHolding = true
    const release = () => {
      if (isHolding) leave(key, held)
      isHolding = false
    }
    try {
      const original = await untilAborted(held.opened, signal)
      if (original)
        return {
          ...original,
          isUnchanged: async (signal) => isHolding && (await original.isUnchanged(signal)),
          close: release,
        }
    } catch (error) {
      release()
      throw error
    }
    release()
    return undefined
  }
}

const keyOf = (path: string, { version }: OriginalState) => JSON.stringify([version, path])
