import type { Migration } from 'kysely/migration'
import type { TableDialect } from '../table-dialect.ts'
import { uploadsMigration } from './0001-uploads.ts'
import { partSizeMigration } from './0002-part-size.ts'
import { imageCountsMigration } from './0003-image-counts.ts'
import { disabledWebhooksMigration } from './0004-disabled-webhooks.ts'

/** Every step that the database went through, in order; a released one is never changed, only followed by another. */
export function migrationsFor(dialect: TableDialect): Readonly<Record<string, Migration>> {
  return {
    '0001-uploads': uploadsMigration(dialect),
    '0002-part-size': partSizeMigration(dialect),
    '0003-image-counts': imageCountsMigration(dialect),
    '0004-disabled-webhooks': disabledWebhooksMigration(dialect),
  }
}
