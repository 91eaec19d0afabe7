import { isBusy, type LockWait } from './lock-wait.ts'

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
 * is for one holder alone: `run` is called by who has it. The lock of another process is waited for without it, as a WAL lets read meanwhile.
 */
export interface CommitGroups {
  /** One holder after another, in the order they came; call the function to give it back. */
  takeTurn(): Promise<() => void>
  /** The group that is open; what is read may be its, and become untrue with it. */
  open(): CommitGroup | undefined
  /** A turn in the open group, or in a new one: waits while another process writes, and throws `overloaded` when that takes too long. */
  enter(): Promise<{ readonly group: CommitGroup; readonly freeTurn: () => void }>
  /** What nobody has to wait for when no group is open: only what was committed is seen. */
  readCommitted<T>(work: () => T): T
  /** Statements that a group was ended by fail it for all. */
  run<T>(work: () => T): T
  close(): Promise<void>
}

export function createCommitGroups(database: GroupedDatabase, lock: LockWait): CommitGroups {
  const takeTurn = createTurns()
  const execute = (sql: string) => void database.prepare(sql).run([])
  let open: ReturnType<typeof createGroup> | undefined

  const end = (error?: unknown) => {
    const ended = open
    open = undefined
    ended?.end(error)
  }
  /** Throws when the disk refuses even that; the next who comes tries again. */
  const rollBack = () => {
    if (database.isInTransaction()) execute('rollback')
  }
  const commit = async () => {
    const freeTurn = await takeTurn()
    try {
      if (open) await lock.untilFree(() => execute('commit'))
      end()
    } catch (error) {
      try {
        rollBack()
      } finally {
        end(error)
      }
    } finally {
      freeTurn()
    }
  }
  const begin = (): boolean => {
    if (open) return true
    rollBack()
    try {
      execute('begin immediate')
    } catch (error) {
      if (isBusy(error)) return false
      throw error
    }
    open = createGroup()
    // Behind everything that has arrived by now.
    setImmediate(() => void commit().catch(() => undefined))
    return true
  }
  const locked = lock.share(begin)

  return {
    takeTurn,
    open: () => open,
    async enter() {
      const untilMs = lock.deadline()
      for (;;) {
        const freeTurn = await takeTurn()
        try {
          // One asks for all: each time it does, SQLite may block the process for a moment.
          if (!locked.isOn() && begin() && open) return { group: open, freeTurn }
        } catch (error) {
          freeTurn()
          throw error
        }
        freeTurn()
        await locked.join(untilMs)
      }
    },
    readCommitted(work) {
      rollBack()
      return work()
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
