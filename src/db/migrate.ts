import type { Kysely } from 'kysely'
import { Migrator, type Migration } from 'kysely/migration'
import { AppError } from '../errors.ts'
import { migrationsFor } from './migrations/migrations.ts'
import type { TableDialect } from './table-dialect.ts'

/** Names of migrations: those that ran just now, and all that this release knows. */
export type MigrationReport = { readonly applied: readonly string[]; readonly known: readonly string[] }

/** Brings the tables up to date, all or nothing. Throws when a newer release has been there before, or, where one must, none at all. */
export async function migrate<T>(
  db: Kysely<T>,
  dialect: TableDialect,
  { mustExist = false }: { readonly mustExist?: boolean } = {},
): Promise<MigrationReport> {
  const migrations = migrationsFor(dialect)
  const migrator = new Migrator({
    db,
    provider: { getMigrations: () => Promise.resolve<Record<string, Migration>>({ ...migrations }) },
  })
  const done = await findDone(db)
  if (mustExist && done.length === 0) throw new AppError('not_found', { detail: noTables })
  refuseNewer(done, Object.keys(migrations))
  const { error, results } = await migrator.migrateToLatest()
  if (error !== undefined) throw error instanceof Error ? error : new Error('the migration failed', { cause: error })
  return { applied: (results ?? []).map((result) => result.migrationName), known: Object.keys(migrations) }
}

const noTables =
  'There are no tables of Halftone in this database. They are made when the server starts, or by halftone migrate.'

async function findDone<T>(db: Kysely<T>): Promise<readonly string[]> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some((table) => table.name === 'kysely_migration')) return []
  const rows = await (db as unknown as Kysely<{ kysely_migration: { name: string } }>)
    .selectFrom('kysely_migration')
    .select('name')
    .execute()
  return rows.map(({ name }) => name)
}

function refuseNewer(done: readonly string[], known: readonly string[]): void {
  const unknown = done.filter((name) => !known.includes(name))
  if (unknown.length === 0) return
  const detail = `The database was made by a newer Halftone (it has ${unknown.toSorted().join(', ')}, this release knows up to ${known.at(-1) ?? 'nothing'}). Run that release again, or restore the database from before the upgrade.`
  throw new AppError('internal', { detail })
}
