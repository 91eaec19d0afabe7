import { DatabaseError } from 'pg'
import { AppError } from '../errors.ts'

/** Undone for the sake of others: a serialization failure, a deadlock. */
const passing: ReadonlySet<string> = new Set(['40001', '40P01'])

/** Somebody was quicker: the row is there by now, or is referred to by now. Another look sees it, and does something else. */
const overtaken: ReadonlySet<string> = new Set(['23505', '23503'])

/**
 * SQLSTATE classes and codes that say something of the moment, and nothing of the statement: connections, resources, shutdown, waiting
 * for too long, a standby that only reads, credentials and databases that are being exchanged.
 */
const outages = /^(08|28|53|57|58|55P03|25006|25P0[234]|3D000)/

/** What no column can take: a NUL in a text, a number that is too large. Only what a client said can be so. */
const unsuited: ReadonlySet<string> = new Set(['22021', '22P05', '22003'])

export function isConflict(error: unknown): boolean {
  const code = codeOf(error) ?? ''
  return passing.has(code) || overtaken.has(code)
}

/** One that goes on after another look is a fault of ours. */
export function isPassingConflict(error: unknown): boolean {
  return passing.has(codeOf(error) ?? '')
}

/** What the stores throw in place of what the driver did. Conflicts and faults of ours stay what they are. */
export function toStoreFailure(error: unknown): unknown {
  if (error instanceof AppError || error instanceof TypeError) return error
  const code = codeOf(error)
  if (code === undefined || outages.test(code)) return databaseOut(error)
  if (!unsuited.has(code)) return error
  return new AppError('bad_request', { cause: error, detail: 'A text or a number is not one that can be stored.' })
}

export function databaseOut(cause: unknown): AppError {
  return new AppError('overloaded', { cause, detail: 'The database cannot be reached, or does not answer in time.' })
}

/** SQLSTATE of what the server said; undefined for what happened on the way. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof DatabaseError ? error.code : undefined
}
