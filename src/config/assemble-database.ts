import { join } from 'node:path'
import type { Config, DatabaseConfig } from './config.ts'
import type { ConfigFault } from './config-fault.ts'
import { postgresParameterFaults } from './postgres-parameters.ts'
import type { SettingValues } from './settings.ts'

type DatabaseValues = Pick<SettingValues, 'databaseUrl'> & {
  readonly databaseConnections: number
  readonly databaseSeconds: number
}

export function assembleDatabase(values: DatabaseValues, dataDir: string): DatabaseConfig {
  const { databaseUrl: url, databaseConnections, databaseSeconds } = values
  if (url === undefined) return { file: join(dataDir, 'halftone.sqlite') }
  return { postgres: { url, connections: databaseConnections, statementTimeoutMs: Math.round(databaseSeconds * 1000) } }
}

/** What the driver would silently ignore. */
export function databaseFaults({ databaseUrl: url }: SettingValues): ConfigFault[] {
  if (url === undefined) return []
  return postgresParameterFaults(url).map((message) => ({ name: 'DATABASE_URL', message }))
}

/** A shared database that knows of bytes on one machine serves them there only. */
export function databaseNotices({ database, uploads }: Pick<Config, 'database' | 'uploads'>): string[] {
  if (!('postgres' in database) || uploads?.target.kind !== 'disk') return []
  return [
    'DATABASE_URL is shared by several servers as a rule, but HALFTONE_UPLOADS=disk keeps the bytes on this machine: name a bucket (s3://…), or share HALFTONE_DATA_DIR',
  ]
}
