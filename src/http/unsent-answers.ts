/** Bounds the memory of answers that clients are slow to take. */
export interface UnsentAnswers {
  /** Counts what an answer holds in memory until it is `taken` or its connection closes. May close connections, this one among them. */
  add(connection: Connection, answer: object, memory: HeldMemory): void
  /** The client has taken all of it. */
  taken(connection: Connection, answer: object): void
}

/** `byteLength` bytes, which are the same for all answers with this object. */
export type HeldMemory = { readonly byteLength: number }

export type Connection = {
  readonly destroyed: boolean
  destroy(): unknown
  once(event: 'close', listener: () => void): unknown
}

export type UnsentAnswersOptions = {
  readonly maxBytes: number
  readonly onCut: () => void
  readonly nowMs?: () => number
}

type Behind = { readonly sinceMs: number; readonly answers: Map<object, HeldMemory> }

/** A burst of new slow clients, whose bodies are large, must not push out those that are halfway through a smaller one. */
const headStartMs = 10_000

/**
 * `maxBytes` for all; a body that several clients are sent, whole or in ranges, is in memory once and counts once. Beyond that, those
 * connections are closed that cost most: memory, of which clients of one body have a share each, times the time that they have been
 * behind. So who keeps a trickle going is found out, and who is new, reads, or waits for what others wait for, too, is spared. A single
 * body is always let through when there is no other.
 */
export function createUnsentAnswers(options: UnsentAnswersOptions): UnsentAnswers {
  const { maxBytes, onCut, nowMs = () => performance.now() } = options
  const behind = new Map<Connection, Behind>()
  const watched = new WeakSet<Connection>()
  const holders = new Map<HeldMemory, number>()
  let bytes = 0

  const release = (memory: HeldMemory) => {
    const left = (holders.get(memory) ?? 0) - 1
    if (left > 0) holders.set(memory, left)
    else if (holders.delete(memory)) bytes -= memory.byteLength
  }
  const forget = (connection: Connection) => {
    const answers = behind.get(connection)?.answers
    behind.delete(connection)
    for (const memory of answers?.values() ?? []) release(memory)
  }
  const answersOn = (connection: Connection) => {
    const known = behind.get(connection)
    if (known) return known.answers
    const answers = new Map<object, HeldMemory>()
    behind.set(connection, { sinceMs: nowMs(), answers })
    if (!watched.has(connection)) {
      watched.add(connection)
      connection.once('close', () => forget(connection))
    }
    return answers
  }
  const costOf = ({ sinceMs, answers }: Behind) => {
    let share = 0
    for (const memory of answers.values()) share += memory.byteLength / (holders.get(memory) ?? 1)
    return share * (nowMs() - sinceMs + headStartMs)
  }
  const dearest = () => {
    let found: Connection | undefined
    let highest = -1
    for (const [connection, lag] of behind) {
      const cost = costOf(lag)
      if (cost > highest) [found, highest] = [connection, cost]
    }
    return found
  }
  const makeRoom = () => {
    while (bytes > maxBytes && holders.size > 1) {
      const connection = dearest()
      if (!connection) return
      forget(connection)
      connection.destroy()
      onCut()
    }
  }

  return {
    add(connection, answer, memory) {
      if (connection.destroyed) return
      answersOn(connection).set(answer, memory)
      const count = holders.get(memory) ?? 0
      holders.set(memory, count + 1)
      if (count > 0) return
      bytes += memory.byteLength
      makeRoom()
    },
    taken(connection, answer) {
      const answers = behind.get(connection)?.answers
      const memory = answers?.get(answer)
      if (!answers || !memory) return
      answers.delete(answer)
      release(memory)
      if (answers.size === 0) behind.delete(connection)
    },
  }
}
