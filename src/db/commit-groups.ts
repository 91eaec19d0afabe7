/** What is asked of the database: prepared statements, and whether a transaction is open. */
export type GroupedDatabase = {
  prepare(sql: string): GroupedStatement
  isInTransaction(): boolean
  close(): void
}

export type GroupedStatement = {
  /** Whether it gives rows. */
  readonly reader: boolean
  readonly isWriting: boolean
  all(parameters: readonly unknown[]): unknown[]
  run(parameters: readonly unknown[]): { readonly changes: number | bigint }
}

/** Transactions that one COMMIT makes last: all of them, or none. */
export type CommitGroup = {
  /** Rejects when none of it became true. */
  readonly committed: Promise<void>
}

/**
 * A COMMIT waits for the disk, and all of this process with it, so that what becomes ready in one turn of the event loop shares one. A turn
 * is for one holder alone; all but `takeTurn` and `close` are called by who has it.
 */
export interface CommitGroups {
  /** One holder after another, in the order they came; call the function to give it back. */
  takeTurn(): Promise<() => void>
  /** The group that is open; what is read may be its, and become untrue with it. */
  open(): CommitGroup | undefined
  /** The open group, or a new one: waits while another process writes. */
  join(): Promise<CommitGroup>
  /** Statements that a group was ended by fail it for all. */
  run<T>(work: () => T): T
  close(): Promise<void>
}

export function createCommitGroups(
  database: GroupedDatabase,
  untilFree: (work: () => void) => Promise<void>,
): CommitGroups {
  const takeTurn = createTurns()
  const execute = (sql: string) => void database.prepare(sql).run([])
  let open: ReturnType<typeof createGroup> | undefined

  const end = (error?: unknown) => {
    const ended = open
    open = undefined
    ended?.end(error)
  }
  const commit = async () => {
    const freeTurn = await takeTurn()
    try {
      if (open) await untilFree(() => execute('commit'))
      end()
    } catch (error) {
      if (database.isInTransaction()) execute('rollback')
      end(error)
    } finally {
      freeTurn()
    }
  }

  return {
    takeTurn,
    open: () => open,
    async join() {
      if (open) return open
      await untilFree(() => execute('begin immediate'))
      open = createGroup()
      // Behind everything that has arrived by now.
      setImmediate(() => void commit())
      return open
    },
    run(work) {
      try {
        return work()
      } catch (error) {
        // A full disk, say, ends a transaction by itself.
        if (!database.isInTransaction()) end(error)
        throw error
      }
    },
    close: commit,
  }
}

function createGroup(): CommitGroup & { end(error: unknown): void } {
  const { promise: committed, resolve, reject } = Promise.withResolvers<void>()
  // Those who wait hear of it; there may be none.
  committed.catch(() => undefined)
  return { committed, end: (error) => (error === undefined ? resolve() : reject(error)) }
}

function createTurns(): CommitGroups['takeTurn'] {
  let last: Promise<void> = Promise.resolve()
  return async () => {
    const before = last
    const { promise, resolve } = Promise.withResolvers<void>()
    last = promise
    await before
    return resolve
  }
}
