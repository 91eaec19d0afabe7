import { DummyDriver, Kysely, PostgresAdapter, PostgresIntrospector, PostgresQueryCompiler } from 'kysely'
import { expect, test } from 'vitest'
import { migrationsFor } from '../../../src/db/migrations/migrations.ts'
import { postgresTables } from '../../../src/db/postgres-tables.ts'

/** What the migrations would say to PostgreSQL, without one. */
async function compiledMigrations(): Promise<readonly string[]> {
  const statements: string[] = []
  const db = new Kysely<unknown>({
    dialect: {
      createAdapter: () => new PostgresAdapter(),
      createDriver: () => new DummyDriver(),
      createIntrospector: (one) => new PostgresIntrospector(one),
      createQueryCompiler: () => new PostgresQueryCompiler(),
    },
    log: ({ query }) => void statements.push(query.sql),
  })
  for (const migration of Object.values(migrationsFor(postgresTables))) await migration.up(db)
  return statements
}

const columnOfText = /"(\w+)" (text|varchar|character varying|char)\b(\([^)]*\))?(?! collate "C")/g

test('every text of PostgreSQL compares byte by byte: sql.raw(dialect.text), never a type of its own', async () => {
  const tables = (await compiledMigrations()).filter((sql) => /^(create|alter) table/.test(sql))
  expect(tables.join()).toMatch(/"disabled_webhooks" .*"reason" text collate "C" not null/)
  const byLanguage = tables.flatMap((sql) =>
    [...sql.matchAll(columnOfText)].map(([column]) => `${sql.slice(0, 40)}: ${column}`),
  )
  expect(byLanguage).toEqual([])
})

test('migrations are numbered without a gap, in the order in which they stand', () => {
  const numbers = Object.keys(migrationsFor(postgresTables)).map((name) => Number(name.slice(0, 4)))
  expect(numbers).toEqual(numbers.map((_, at) => at + 1))
})
