import { sql, type CreateTableBuilder, type Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'
import type { TableDialect } from '../table-dialect.ts'

type Builder = CreateTableBuilder<string, string>
type Columns = Readonly<Record<string, 'text' | 'text?' | 'integer' | 'integer?' | 'big' | 'big?'>>
type Indices = Readonly<
  Record<string, { readonly on: readonly string[]; readonly unique?: true; readonly where?: string }>
>
type Table = {
  readonly columns: Columns
  readonly key: readonly string[]
  readonly references?: Readonly<Record<string, string>>
  readonly indices?: Indices
}

const owner = { project: 'text', owner: 'text' } as const

/** In the order in which they refer to each other. A key that ends in `?` may be null. */
const tables: Readonly<Record<string, Table>> = {
  images: {
    columns: {
      id: 'text',
      ...owner,
      state: 'text',
      visibility: 'text',
      kind: 'text?',
      subject: 'text?',
      filename: 'text',
      metadata: 'text',
      version: 'integer?',
      last_version: 'integer',
      epoch: 'integer',
      created_at_ms: 'big',
      updated_at_ms: 'big',
    },
    key: ['id'],
    indices: {
      images_by_project: { on: ['project', 'created_at_ms', 'id'] },
      images_by_owner: { on: ['project', 'owner', 'created_at_ms', 'id'] },
      images_by_subject: { on: ['project', 'subject', 'created_at_ms', 'id'], where: 'subject is not null' },
    },
  },
  uploads: {
    columns: {
      id: 'text',
      ...owner,
      image_id: 'text',
      state: 'text',
      way: 'text',
      filename: 'text',
      byte_length: 'big?',
      content_type: 'text',
      sha256: 'text?',
      visibility: 'text',
      kind: 'text?',
      subject: 'text?',
      metadata: 'text',
      staging_key: 'text',
      multipart_id: 'text?',
      reserved_bytes: 'big',
      reason_code: 'text?',
      reason_detail: 'text?',
      version: 'integer?',
      event_count: 'integer',
      expires_at_ms: 'big',
      created_at_ms: 'big',
      updated_at_ms: 'big',
    },
    key: ['id'],
    references: { image_id: 'images.id' },
    indices: {
      uploads_by_image: { on: ['image_id'] },
      uploads_by_staging_key: { on: ['staging_key'], unique: true },
      uploads_by_touch: { on: ['state', 'updated_at_ms'] },
      uploads_by_expiry: { on: ['state', 'expires_at_ms'] },
    },
  },
  upload_events: {
    columns: {
      upload_id: 'text',
      number: 'integer',
      at_ms: 'big',
      from_state: 'text?',
      to_state: 'text',
      fact: 'text',
    },
    key: ['upload_id', 'number'],
    references: { upload_id: 'uploads.id' },
  },
  versions: {
    columns: {
      image_id: 'text',
      version: 'integer',
      upload_id: 'text',
      state: 'text',
      // No reference: the row of an object goes when its bytes go, that of its versions stays.
      object_key: 'text',
      byte_length: 'big',
      sha256: 'text',
      facts: 'text',
      created_at_ms: 'big',
    },
    key: ['image_id', 'version'],
    references: { image_id: 'images.id', upload_id: 'uploads.id' },
    indices: {
      versions_by_object: { on: ['object_key', 'state'] },
      versions_by_upload: { on: ['upload_id'] },
    },
  },
  objects: {
    columns: {
      key: 'text',
      ...owner,
      sha256: 'text',
      stored_sha256: 'text',
      byte_length: 'big',
      state: 'text',
      created_at_ms: 'big',
      updated_at_ms: 'big',
    },
    key: ['key'],
    indices: {
      objects_by_bytes: { on: ['project', 'owner', 'stored_sha256'], unique: true, where: "state = 'stored'" },
      objects_by_touch: { on: ['state', 'updated_at_ms'] },
    },
  },
  usages: {
    columns: { ...owner, stored_bytes: 'big', reserved_bytes: 'big', objects: 'big', open_uploads: 'big' },
    key: ['project', 'owner'],
  },
  idempotency_keys: {
    columns: { principal: 'text', key: 'text', body_hash: 'text', upload_id: 'text', until_ms: 'big' },
    key: ['principal', 'key'],
    indices: { idempotency_keys_by_end: { on: ['until_ms'] } },
  },
  shares: {
    columns: {
      id: 'text',
      image_id: 'text',
      created_by: 'text',
      expires_at_ms: 'big',
      max_uses: 'integer?',
      uses: 'integer',
      params: 'text?',
      revoked_at_ms: 'big?',
      created_at_ms: 'big',
    },
    key: ['id'],
    references: { image_id: 'images.id' },
    indices: { shares_by_image: { on: ['image_id', 'created_at_ms'] } },
  },
  api_keys: {
    columns: {
      id: 'text',
      name: 'text',
      project: 'text',
      scopes: 'text',
      secret_hash: 'text',
      created_at_ms: 'big',
      last_used_at_ms: 'big?',
      revoked_at_ms: 'big?',
    },
    key: ['id'],
    indices: { api_keys_by_secret: { on: ['secret_hash'], unique: true } },
  },
  outbox: {
    columns: {
      id: 'text',
      project: 'text',
      type: 'text',
      payload: 'text',
      state: 'text',
      attempts: 'integer',
      next_attempt_at_ms: 'big',
      last_error: 'text?',
      created_at_ms: 'big',
      updated_at_ms: 'big',
    },
    key: ['id'],
    indices: {
      outbox_by_time: { on: ['state', 'next_attempt_at_ms'] },
      outbox_by_age: { on: ['created_at_ms', 'id'] },
      outbox_by_project: { on: ['project', 'created_at_ms', 'id'] },
      outbox_by_touch: { on: ['state', 'updated_at_ms'] },
    },
  },
  jobs: {
    columns: {
      id: 'text',
      kind: 'text',
      payload: 'text',
      dedupe_key: 'text',
      state: 'text',
      attempts: 'integer',
      lease: 'integer',
      due_at_ms: 'big',
      last_error: 'text?',
      created_at_ms: 'big',
      died_at_ms: 'big?',
    },
    key: ['id'],
    indices: {
      jobs_by_time: { on: ['due_at_ms'], where: "state <> 'dead'" },
      jobs_by_dedupe_key: { on: ['dedupe_key'], unique: true, where: "state <> 'dead'" },
      jobs_by_state: { on: ['state', 'died_at_ms'] },
    },
  },
  secrets: { columns: { name: 'text', value: 'text', created_at_ms: 'big' }, key: ['name'] },
}

export function uploadsMigration(dialect: TableDialect): Migration {
  return {
    async up(db: Kysely<unknown>) {
      for (const [name, table] of Object.entries(tables)) {
        await createTable(db, name, table, dialect)
        for (const [index, { on, unique, where }] of Object.entries(table.indices ?? {})) {
          const made = db.schema
            .createIndex(index)
            .on(name)
            .columns([...on])
          const bounded = where === undefined ? made : made.where(sql<boolean>`${sql.raw(where)}`)
          await (unique ? bounded.unique() : bounded).execute()
        }
      }
      // What `findServed` reads. A new image has no version yet, and is not served.
      await dialect.announceChanges(db, 'images', ['update', 'delete'])
      await dialect.announceChanges(db, 'versions', ['insert', 'update', 'delete'])
    },
  }
}

async function createTable(db: Kysely<unknown>, name: string, table: Table, dialect: TableDialect): Promise<void> {
  let builder: Builder = db.schema.createTable(name).modifyEnd(sql.raw(dialect.tableEnd))
  for (const [column, kind] of Object.entries(table.columns)) {
    const type = kind.startsWith('big')
      ? dialect.bigInteger
      : kind.startsWith('text')
        ? sql.raw(dialect.text)
        : 'integer'
    const target = table.references?.[column]
    builder = builder.addColumn(column, type, (one) => {
      const checked = kind.endsWith('?') ? one : one.notNull()
      return target === undefined ? checked : checked.references(target)
    })
  }
  await builder.addPrimaryKeyConstraint(`${name}_key`, [...table.key]).execute()
}
