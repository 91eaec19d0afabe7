export interface LoopTurns {
  /** Undefined to go on at once; where somebody has gone on in this turn of the event loop, resolves in a later one, or when the signal aborts. */
  next(signal: AbortSignal): Promise<void> | undefined
}

/** Lets one caller go on in each turn of the event loop, first come first served, so that a burst of them holds up nothing else that has arrived. */
export function createLoopTurns(): LoopTurns {
  const line = new Set<() => void>()
  let isTaken = false
  const turn = () => {
    const [goOn] = line
    isTaken = goOn !== undefined
    if (!goOn) return
    setImmediate(turn)
    goOn()
  }
  return {
    next(signal) {
      if (!isTaken) {
        isTaken = true
        setImmediate(turn)
        return undefined
      }
      return new Promise((resolve) => {
        const goOn = () => {
          line.delete(goOn)
          signal.removeEventListener('abort', goOn)
          resolve()
        }
        line.add(goOn)
        signal.addEventListener('abort', goOn, { once: true })
      })
    },
  }
}
