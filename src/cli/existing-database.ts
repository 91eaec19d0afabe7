import { existsSync } from 'node:fs'
import type { Config, DatabaseConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'

/** The database, for `openStores`. Throws `not_found` where there is none: a new one in a wrong place would know nothing, and say so with confidence. */
export function existingDatabase({ database }: Pick<Config, 'database'>): DatabaseConfig & { mustExist: true } {
  if (!('file' in database) || existsSync(database.file)) return { ...database, mustExist: true }
  const detail = `There is no database at ${database.file} (HALFTONE_DATA_DIR). It is made when the server starts, or by halftone migrate.`
  throw new AppError('not_found', { detail })
}
