import type { Kysely, Selectable, Transaction } from 'kysely'
import type {
  ImageState,
  ObjectRecord,
  OutboxRecord,
  UploadState,
  UploadWay,
  VersionRecord,
  Visibility,
} from './records.ts'

/** Bytes and Unix ms: 64 bits wide in the database, and numbers here by either dialect. */
export type BigInteger = number
export type MaybeBigInteger = number | null

/** JSON is kept as text, written and parsed here: both databases then hand out the same. */
type Json = string

export type UploadsTable = {
  id: string
  project: string
  owner: string
  image_id: string
  state: UploadState
  way: UploadWay
  filename: string
  byte_length: MaybeBigInteger
  content_type: string
  sha256: string | null
  visibility: Visibility
  kind: string | null
  subject: string | null
  metadata: Json
  staging_key: string
  multipart_id: string | null
  /** Since 0002: null also where the parts were begun before. */
  part_bytes: MaybeBigInteger
  reserved_bytes: BigInteger
  reason_code: string | null
  reason_detail: string | null
  version: number | null
  /** Numbers the events without a sequence of the database's own. */
  event_count: number
  expires_at_ms: BigInteger
  created_at_ms: BigInteger
  updated_at_ms: BigInteger
}

export type UploadEventsTable = {
  upload_id: string
  number: number
  at_ms: BigInteger
  from_state: UploadState | null
  to_state: UploadState
  fact: Json
}

export type ImagesTable = {
  id: string
  project: string
  owner: string
  state: ImageState
  visibility: Visibility
  kind: string | null
  subject: string | null
  filename: string
  metadata: Json
  version: number | null
  /** The newest version of any state, from which the next is numbered. */
  last_version: number
  epoch: number
  created_at_ms: BigInteger
  updated_at_ms: BigInteger
}

export type VersionsTable = {
  image_id: string
  version: number
  upload_id: string
  state: VersionRecord['state']
  object_key: string
  byte_length: BigInteger
  sha256: string
  facts: Json
  created_at_ms: BigInteger
}

export type ObjectsTable = {
  key: string
  project: string
  owner: string
  sha256: string
  stored_sha256: string
  byte_length: BigInteger
  state: ObjectRecord['state']
  created_at_ms: BigInteger
  updated_at_ms: BigInteger
}

export type UsagesTable = {
  project: string
  owner: string
  stored_bytes: BigInteger
  reserved_bytes: BigInteger
  objects: BigInteger
  images: BigInteger
  open_uploads: BigInteger
}

export type IdempotencyKeysTable = {
  principal: string
  key: string
  body_hash: string
  upload_id: string
  until_ms: BigInteger
}

export type SharesTable = {
  id: string
  image_id: string
  created_by: string
  expires_at_ms: BigInteger
  max_uses: number | null
  uses: number
  params: string | null
  revoked_at_ms: MaybeBigInteger
  created_at_ms: BigInteger
}

export type ApiKeysTable = {
  id: string
  name: string
  project: string
  scopes: Json
  secret_hash: string
  created_at_ms: BigInteger
  last_used_at_ms: MaybeBigInteger
  revoked_at_ms: MaybeBigInteger
}

export type OutboxTable = {
  id: string
  project: string
  type: string
  payload: Json
  state: OutboxRecord['state']
  attempts: number
  next_attempt_at_ms: BigInteger
  last_error: string | null
  created_at_ms: BigInteger
  updated_at_ms: BigInteger
}

export type DisabledWebhooksTable = { project: string; endpoint: string; reason: string; at_ms: BigInteger }

export type JobsTable = {
  id: string
  kind: string
  payload: Json
  dedupe_key: string
  state: 'waiting' | 'running' | 'dead'
  attempts: number
  /** Counts every take and never starts again: tells a holder whose lease ran out from the one who has it now. */
  lease: number
  /** When it may be taken: its time, or the end of the lease while it runs. */
  due_at_ms: BigInteger
  last_error: string | null
  created_at_ms: BigInteger
  died_at_ms: MaybeBigInteger
}

export type SecretsTable = { name: string; value: string; created_at_ms: BigInteger }

export type Schema = {
  uploads: UploadsTable
  upload_events: UploadEventsTable
  images: ImagesTable
  versions: VersionsTable
  objects: ObjectsTable
  usages: UsagesTable
  idempotency_keys: IdempotencyKeysTable
  shares: SharesTable
  api_keys: ApiKeysTable
  outbox: OutboxTable
  disabled_webhooks: DisabledWebhooksTable
  jobs: JobsTable
  secrets: SecretsTable
}

/** A connection or a transaction in one. */
export type Connection = Kysely<Schema>
export type Tx = Transaction<Schema>

/** What every store is made from. */
export type StoreContext = { readonly db: Connection; readonly now: () => number }

export type UploadRow = Selectable<UploadsTable>
export type ImageRow = Selectable<ImagesTable>
export type VersionRow = Selectable<VersionsTable>
export type ObjectRow = Selectable<ObjectsTable>
