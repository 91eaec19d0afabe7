import { existsSync } from 'node:fs'
import type { Config } from '../config/config.ts'
import { databaseFileOf } from '../config/database-file.ts'
import { AppError } from '../errors.ts'

/** The file of the database. Throws `not_found` where there is none: a new one in a wrong place would know nothing, and say so with confidence. */
export function existingDatabase(config: Config): string {
  const file = databaseFileOf(config)
  if (existsSync(file)) return file
  const detail = `There is no database at ${file} (HALFTONE_DATA_DIR). It is made when the server starts, or by halftone migrate.`
  throw new AppError('not_found', { detail })
}
