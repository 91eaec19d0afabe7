export interface Slots {
  /** Resolves with the function that gives the slot back, or undefined when too many wait already or the signal aborts, where there is one. */
  take(signal?: AbortSignal): Promise<(() => void) | undefined>
  /** The same without waiting: undefined when no slot is free this moment. */
  takeNow(): (() => void) | undefined
}

/** At most `active` holders at once and `waiting` in line, first come first served. */
export function createSlots(limits: { readonly active: number; readonly waiting: number }): Slots {
  const line = new Set<() => void>()
  let taken = 0

  const release = () => {
    taken -= 1
    const [next] = line
    next?.()
  }
  const holdOne = () => {
    taken += 1
    let held = true
    return () => {
      if (held) release()
      held = false
    }
  }

  return {
    takeNow: () => (taken < limits.active ? holdOne() : undefined),
    take(signal) {
      if (signal?.aborted) return Promise.resolve(undefined)
      if (taken < limits.active) return Promise.resolve(holdOne())
      if (line.size >= limits.waiting) return Promise.resolve(undefined)
      return new Promise((resolve) => {
        const leave = () => {
          line.delete(enter)
          resolve(undefined)
        }
        const enter = () => {
          line.delete(enter)
          signal?.removeEventListener('abort', leave)
          resolve(holdOne())
        }
        line.add(enter)
        signal?.addEventListener('abort', leave, { once: true })
      })
    },
  }
}
