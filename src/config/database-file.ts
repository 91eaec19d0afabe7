import { join } from 'node:path'
import type { Config } from './config.ts'

/** The SQLite database of everything that must not be forgotten. */
export function databaseFileOf({ dataDir }: Pick<Config, 'dataDir'>): string {
  return join(dataDir, 'halftone.sqlite')
}
