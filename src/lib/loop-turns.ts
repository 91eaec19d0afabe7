export interface LoopTurns {
  /** Resolves at once, or in a later turn of the event loop when somebody has gone on in this one. */
  next(): Promise<void> | undefined
}

/** Lets one caller go on in each turn of the event loop, first come first served, so that a burst of them holds up nothing else that has arrived. */
export function createLoopTurns(): LoopTurns {
  const line = new Set<() => void>()
  let isTaken = false
  const turn = () => {
    const [goOn] = line
    isTaken = goOn !== undefined
    if (!goOn) return
    line.delete(goOn)
    setImmediate(turn)
    goOn()
  }
  return {
    next() {
      if (isTaken) return new Promise((resolve) => void line.add(resolve))
      isTaken = true
      setImmediate(turn)
      return undefined
    },
  }
}
