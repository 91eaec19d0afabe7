import type { Command } from 'commander'
import { databaseNameOf } from '../config/database-name.ts'
import { migrateStores } from '../db/open-stores.ts'
import { prepareDataDirectory } from './prepare-data-directory.ts'
import { readConfig } from './read-config.ts'

/** `halftone migrate`: the database, brought up to date before the servers are. */
export function addMigrateCommand(program: Command): void {
  program
    .command('migrate')
    .description('bring the database up to date, and say what was done')
    .option('--json', 'print JSON')
    .addHelpText(
      'after',
      '\nEvery start does this by itself; run it alone to have it over before many servers start. A database of a newer release is refused.',
    )
    .action(async (options: { json?: boolean }) => {
      const { dataDir, database } = readConfig()
      prepareDataDirectory(dataDir)
      const { applied, known } = await migrateStores(database)
      const name = databaseNameOf(database)
      const report = { database: name, applied, version: known.at(-1) }
      const text =
        applied.length === 0
          ? `${name} is up to date (${known.at(-1)}).`
          : [`${name}: applied`, ...applied.map((name) => `  ${name}`)].join('\n')
      process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `${text}\n`)
    })
}
