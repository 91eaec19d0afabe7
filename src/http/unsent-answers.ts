/** Bounds the memory of answers that clients are slow to take. */
export interface UnsentAnswers {
  /** Counts a body until it is `taken` or its connection closes. May close connections, this one among them. */
  add(connection: Connection, answer: object, body: Buffer): void
  /** The client has taken all of it. */
  taken(connection: Connection, answer: object): void
}

export type Connection = {
  readonly destroyed: boolean
  destroy(): unknown
  once(event: 'close', listener: () => void): unknown
}

/**
 * `maxBytes` for all bodies; one that several clients are sent is in memory once and counts once. Beyond that, the connections are closed
 * that have been behind for longest: who reads has caught up long before, who keeps a trickle going is among the first. A single body is
 * always let through when there is no other.
 */
export function createUnsentAnswers(maxBytes: number, onCut: () => void): UnsentAnswers {
  // In the order in which they fell behind.
  const behind = new Map<Connection, Map<object, Buffer>>()
  const watched = new WeakSet<Connection>()
  const holders = new Map<Buffer, number>()
  let bytes = 0

  const release = (body: Buffer) => {
    const left = (holders.get(body) ?? 0) - 1
    if (left > 0) holders.set(body, left)
    else if (holders.delete(body)) bytes -= body.length
  }
  const forget = (connection: Connection) => {
    const answers = behind.get(connection)
    behind.delete(connection)
    for (const body of answers?.values() ?? []) release(body)
  }
  const answersOn = (connection: Connection) => {
    const answers = behind.get(connection) ?? new Map<object, Buffer>()
    behind.set(connection, answers)
    if (watched.has(connection)) return answers
    watched.add(connection)
    connection.once('close', () => forget(connection))
    return answers
  }
  const makeRoom = () => {
    for (const connection of behind.keys()) {
      if (bytes <= maxBytes || holders.size === 1) return
      forget(connection)
      connection.destroy()
      onCut()
    }
  }

  return {
    add(connection, answer, body) {
      if (connection.destroyed) return
      answersOn(connection).set(answer, body)
      const count = holders.get(body) ?? 0
      holders.set(body, count + 1)
      if (count > 0) return
      bytes += body.length
      makeRoom()
    },
    taken(connection, answer) {
      const answers = behind.get(connection)
      const body = answers?.get(answer)
      if (!answers || !body) return
      answers.delete(answer)
      release(body)
      if (answers.size === 0) behind.delete(connection)
    },
  }
}
