export interface KeyLocks {
  /** Runs `work` when all earlier holders of these keys are done; later ones wait for it. */
  hold<T>(keys: readonly string[], work: () => Promise<T>): Promise<T>
  isHeld(key: string): boolean
}

/** Puts everything that changes one key's file and row in one order. Waits only ever go to earlier holders, so there is no deadlock. */
export function createKeyLocks(): KeyLocks {
  const tails = new Map<string, Promise<void>>()

  return {
    async hold(keys, work) {
      const earlier = keys.map((key) => tails.get(key) ?? Promise.resolve())
      const { promise: mine, resolve: release } = Promise.withResolvers<void>()
      for (const key of keys) tails.set(key, mine)
      try {
        await Promise.all(earlier)
        return await work()
      } finally {
        for (const key of keys) if (tails.get(key) === mine) tails.delete(key)
        release()
      }
    },
    isHeld: (key) => tails.has(key),
  }
}
