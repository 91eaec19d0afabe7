import type {
  ApiKeyRecord,
  DisabledWebhook,
  ImageRecord,
  ImageState,
  ObjectRecord,
  OutboxRecord,
  Owner,
  ShareRecord,
  UploadEvent,
  UploadRecord,
  UploadState,
  Usage,
  VersionFacts,
  VersionRecord,
  Visibility,
} from './records.ts'

/** Everything the server must not forget, behind one connection. Every method that changes several rows is one transaction. */
export interface Stores {
  readonly uploads: UploadStore
  readonly images: ImageStore
  readonly objects: ObjectStore
  readonly shares: ShareStore
  readonly apiKeys: ApiKeyStore
  readonly outbox: OutboxStore
  readonly webhooks: WebhookStore
  readonly jobs: JobTable
  readonly secrets: SecretStore
  readonly survey: SurveyStore
  readonly history: HistoryStore
  close(): Promise<void>
}

/** Upper bounds of what an owner may hold; undefined is no bound. `objects` are images, also those that share their bytes. */
export type QuotaLimits = {
  readonly bytes: number | undefined
  readonly objects: number | undefined
  readonly openUploads: number | undefined
}

/** Filled in by `create`; an absent `replaces` makes a new image. */
export type NewUpload = Omit<UploadRecord, 'state' | 'reason' | 'version' | 'updatedAtMs' | 'multipartId'> & {
  readonly multipartId?: string
}

export type NewMessage = { readonly type: string; readonly payload: Readonly<Record<string, unknown>> }

/** What an image was when its picture was judged: other rules hold for another. */
export type JudgedAs = Pick<ImageRecord, 'visibility' | 'kind'>

export type Reason = { readonly code: string; readonly detail: string | undefined }

export interface UploadStore {
  /**
   * Inserts the upload and its first event, the image where there is none with that id, and holds the quota back. Throws
   * `quota_exceeded`; with `idempotency`, a key that was used returns the upload it made (`repeated`) or throws
   * `idempotency_mismatch`. An existing image must be of the same owner and not deleted: else `not_found`.
   */
  create(
    upload: NewUpload,
    options: {
      readonly quota: QuotaLimits
      readonly idempotency?: {
        readonly principal: string
        readonly key: string
        readonly bodyHash: string
        readonly untilMs: number
      }
    },
  ): Promise<{ readonly upload: UploadRecord; readonly repeated: boolean }>
  /** The key is as if it had never been used, unless it stands for another upload by now. */
  freeIdempotency(claim: { readonly principal: string; readonly key: string; readonly uploadId: string }): Promise<void>
  find(id: string): Promise<UploadRecord | undefined>
  /** The first one stays; resolves to the one that it has. */
  setMultipart(id: string, multipartId: string): Promise<string | undefined>
  /**
   * Compare-and-set with an event, among `pending`, `uploaded` and `processing`; undefined when the state is no longer one of
   * `from`.
   */
  move(
    id: string,
    from: readonly UploadState[],
    to: UploadState,
    change?: {
      readonly byteLength?: number
      readonly contentType?: string
      readonly sha256?: string
      readonly fact?: UploadEvent['fact']
    },
  ): Promise<UploadRecord | undefined>
  /**
   * The end of a good upload, in one transaction: version and image (the newest ready version is served), object `stored`,
   * quota settled, event, messages. `state` is what moderation said. Undefined when the upload is no longer `processing`, and, with
   * nothing done, when the image is no longer what it was `judgedAs`.
   * Throws `internal` when the object was condemned meanwhile: begin anew. The version's object may be another than the one
   * given, where the same bytes were stored at the same time; that one is then `deleting`.
   */
  finish(
    id: string,
    result: {
      readonly state: 'ready' | 'quarantined'
      readonly objectKey: string
      readonly byteLength: number
      readonly sha256: string
      readonly facts: VersionFacts
      readonly reason?: Reason
      readonly judgedAs?: JudgedAs
      readonly messages: (version: number) => readonly NewMessage[]
    },
  ): Promise<
    { readonly upload: UploadRecord; readonly image: ImageRecord; readonly version: VersionRecord } | undefined
  >
  /** The other ends: releases what was held back; an image that never had a version goes the same way. */
  end(
    id: string,
    from: readonly UploadState[],
    to: 'rejected' | 'failed' | 'expired' | 'deleted',
    why: { readonly reason?: Reason; readonly messages?: readonly NewMessage[] },
  ): Promise<UploadRecord | undefined>
  /**
   * A failed one is `uploaded` again, and its image, where it is new, `pending`. Undefined when it is not failed, or the image was
   * deleted. Throws `quota_exceeded`.
   */
  revive(id: string, quota: QuotaLimits): Promise<UploadRecord | undefined>
  events(id: string): Promise<readonly UploadEvent[]>
  /** In one of the states for longer than the time given, or past `expiresAt`; oldest first. */
  stale(asked: {
    readonly states: readonly UploadState[]
    readonly untouchedSinceMs?: number
    readonly expiredAtMs?: number
    /** The last one of the page before. */
    readonly after?: Pick<UploadRecord, 'updatedAtMs' | 'id'>
    readonly limit: number
  }): Promise<readonly UploadRecord[]>
  /** Whether any unsettled upload uses this staging key. */
  findByStagingKey(key: string): Promise<UploadRecord | undefined>
  usage(owner: Owner): Promise<Usage>
  /** Counts afresh from the rows, and says whether it was right; `fix` corrects it. */
  recount(fix: boolean): Promise<readonly { readonly owner: Owner; readonly was: Usage; readonly is: Usage }[]>
  forgetIdempotency(untilMs: number): Promise<number>
}

/** What a read needs to know of an image, all in one row. */
export type ServedImage = {
  readonly image: ImageRecord
  /** The version asked for, or the newest; only `ready` ones. */
  readonly version: VersionRecord
}

export interface ImageStore {
  find(id: string): Promise<ImageRecord | undefined>
  /** Only what may be served now: image and version `ready`, nothing deleted. */
  findServed(id: string, version: number | undefined): Promise<ServedImage | undefined>
  /**
   * A number that differs from the last one whenever any row may have changed, by this process or another; cheap enough
   * for every hit. What was read under the same number is still true.
   */
  changeMark(): number
  version(imageId: string, version: number): Promise<VersionRecord | undefined>
  /** Newest first. */
  versions(imageId: string): Promise<readonly VersionRecord[]>
  /** Newest first; `cursor` is what the last page returned. */
  list(asked: {
    readonly project: string
    readonly owner?: string
    readonly states: readonly ImageState[]
    readonly kind?: string
    readonly subject?: string
    readonly cursor?: string
    readonly limit: number
  }): Promise<{ readonly images: readonly ImageRecord[]; readonly cursor: string | undefined }>
  /** With `judged`, undefined and nothing done when the image is no longer that, or has got a version since. */
  update(
    id: string,
    change: {
      readonly visibility?: Visibility
      readonly metadata?: Readonly<Record<string, string>>
      readonly filename?: string
      readonly kind?: string
      readonly subject?: string
    },
    messages: readonly NewMessage[],
    judged?: JudgedAs & { readonly lastVersion: number },
  ): Promise<ImageRecord | undefined>
  /**
   * Review of the newest quarantined version: serves it, or throws it out, and its object becomes `deleting`. Undefined when
   * none is.
   */
  review(id: string, verdict: 'ready' | 'rejected', messages: readonly NewMessage[]): Promise<ImageRecord | undefined>
  /** Invisible from here on; objects nobody else refers to become `deleting` and are returned for deletion; quota released. */
  remove(id: string, messages: readonly NewMessage[]): Promise<{ readonly objectKeys: readonly string[] } | undefined>
  bumpEpoch(id: string): Promise<ImageRecord | undefined>
}

export interface ObjectStore {
  /**
   * Before bytes are written: the object that this owner already has with these bytes (`stored`), or a new row in state
   * `writing` under `key`, so that a crash leaves nothing unexplained.
   */
  begin(
    object: Owner & {
      readonly key: string
      readonly sha256: string
      readonly storedSha256: string
      readonly byteLength: number
    },
  ): Promise<ObjectRecord>
  find(key: string): Promise<ObjectRecord | undefined>
  /** Drops the row of an object that is `deleting`; any other stays. */
  forget(key: string): Promise<void>
  /**
   * `deleting` ones, and `writing` ones that nothing refers to, untouched since then; oldest first. They are `deleting` when this
   * resolves, so that no upload takes them up again: their bytes may go, and then `forget`. `isDryRun` changes nothing. `isDeep`
   * reads every row, for stored ones without a version, which no crash leaves behind. `key` looks at that one only.
   */
  abandoned(
    untouchedSinceMs: number,
    limit: number,
    options?: { readonly isDryRun?: boolean; readonly isDeep?: boolean; readonly key?: string },
  ): Promise<readonly ObjectRecord[]>
  /** Every row in key order, a page at a time. */
  page(afterKey: string | undefined, limit: number): Promise<readonly ObjectRecord[]>
}

export interface ShareStore {
  create(share: Omit<ShareRecord, 'uses' | 'revokedAtMs'>): Promise<ShareRecord>
  find(id: string): Promise<ShareRecord | undefined>
  list(imageId: string): Promise<readonly ShareRecord[]>
  revoke(imageId: string, id: string, nowMs: number): Promise<boolean>
  /** Counts a use; false when it is revoked, expired or used up. */
  use(id: string, nowMs: number): Promise<boolean>
}

export interface ApiKeyStore {
  /** Only a SHA-256 of the secret is kept: the secrets are 256 random bits. */
  create(
    key: Pick<ApiKeyRecord, 'id' | 'name' | 'project' | 'scopes' | 'createdAtMs'>,
    secretHash: string,
  ): Promise<ApiKeyRecord>
  findByHash(secretHash: string): Promise<ApiKeyRecord | undefined>
  list(): Promise<readonly ApiKeyRecord[]>
  revoke(id: string, nowMs: number): Promise<boolean>
  touch(id: string, nowMs: number): Promise<void>
}

export interface OutboxStore {
  /** Takes messages whose time has come for `leaseMs`, so that two processes do not send the same; none of the projects in `except`. */
  take(limit: number, nowMs: number, leaseMs: number, except?: readonly string[]): Promise<readonly OutboxRecord[]>
  delivered(id: string, nowMs: number): Promise<void>
  /** `nextAttemptAtMs` undefined: given up, kept as dead. */
  failed(id: string, error: string, nextAttemptAtMs: number | undefined): Promise<void>
  find(id: string): Promise<OutboxRecord | undefined>
  list(asked: {
    readonly project?: string
    readonly state?: OutboxRecord['state']
    readonly limit: number
  }): Promise<readonly OutboxRecord[]>
  /** From the start, and at once. False where there is none. */
  replay(id: string, nowMs: number): Promise<boolean>
  /** Dead ones of a project, from the start and at once; those that were written first, first. Resolves to how many. */
  replayDead(
    asked: { readonly project: string; readonly type?: string; readonly sinceMs?: number; readonly limit: number },
    nowMs: number,
  ): Promise<number>
  /** Forgets what was delivered until then; dead ones stay. */
  forgetDelivered(untilMs: number): Promise<number>
  stats(): Promise<{ readonly waiting: number; readonly dead: number }>
}

/** Webhooks that are not to be called, by project. */
export interface WebhookStore {
  disabled(project: string): Promise<DisabledWebhook | undefined>
  /** False when this endpoint is disabled already. */
  disable(webhook: DisabledWebhook): Promise<boolean>
  /** False when it was not disabled. */
  enable(project: string): Promise<boolean>
  list(): Promise<readonly DisabledWebhook[]>
}

/** Names one holding of a job: who lost it to another process (its lease ran out) changes nothing any more. */
export type JobHold = { readonly id: string; readonly lease: number }

export type DeadJobRow = {
  readonly id: string
  readonly kind: string
  readonly payload: string
  readonly attempts: number
  readonly lastError: string
  readonly diedAtMs: number
}

export type DeadOf = {
  readonly project: string
  /** That one only. */
  readonly id?: string
  /** Those that died then or later. */
  readonly sinceMs?: number
  readonly first: 'oldest' | 'newest'
  readonly limit: number
}

/** The embedded queue's table; structurally what `jobs/` asks for. */
export interface JobTable {
  /** False, and nothing happens, when a waiting or running job has this dedupe key. */
  add(job: {
    readonly id: string
    readonly kind: string
    readonly payload: string
    readonly dedupeKey: string
    readonly runAtMs: number
  }): Promise<boolean>
  /** The job whose time has come first, or whose lease ran out; leased until then. */
  take(
    kinds: readonly string[],
    nowMs: number,
    leaseUntilMs: number,
  ): Promise<
    | (JobHold & {
        readonly kind: string
        readonly payload: string
        readonly attempt: number
        /** When it was added, or taken up again by hand. */
        readonly addedAtMs: number
      })
    | undefined
  >
  /** Each of these is false when the job is no longer held so. */
  extend(hold: JobHold, leaseUntilMs: number): Promise<boolean>
  done(hold: JobHold): Promise<boolean>
  /** Runs again at `runAtMs`, with the try given back unless it counts; without, it is kept as dead. */
  failed(
    hold: JobHold,
    error: string,
    next: { readonly runAtMs: number; readonly counts: boolean } | { readonly diedAtMs: number },
  ): Promise<boolean>
  /** When the next one is due; undefined when there is none. */
  nextDueAtMs(kinds: readonly string[]): Promise<number | undefined>
  stats(): Promise<{ readonly waiting: number; readonly running: number; readonly dead: number }>
  /** Newest first. */
  dead(limit: number): Promise<readonly DeadJobRow[]>
  /** Dead ones on uploads of a project, each with its upload; found by their dedupe key, which is the id of the upload. */
  deadOf(asked: DeadOf): Promise<readonly { readonly job: DeadJobRow; readonly upload: UploadRecord }[]>
  /** False when it is not dead, or another with its dedupe key waits already. */
  retryDead(id: string, nowMs: number): Promise<boolean>
}

export interface SecretStore {
  /** The value under that name, or `fresh` stored now: whoever comes first wins, in every process. */
  getOrCreate(name: string, fresh: string): Promise<string>
}

/** For those who compare the database with the store of bytes. */
export interface SurveyStore {
  /** Uploads that may still need their staging bytes (`pending`, `uploaded`, `processing`, `failed`), in order of staging keys. */
  openUploads(afterKey: string | undefined, limit: number): Promise<readonly UploadRecord[]>
  /** Whichever state it is in. */
  uploadAt(stagingKey: string): Promise<UploadRecord | undefined>
  /** `uploaded` and `processing`, untouched since then, for which the table of jobs has none that would run. Oldest first. */
  stranded(untouchedSinceMs: number, limit: number): Promise<readonly UploadRecord[]>
  /** Versions that may still be served from that object. */
  versionsAt(objectKey: string): Promise<readonly VersionRecord[]>
  /** Versions that may still be served, whose object has no row or is not `stored`. */
  lostVersions(limit: number): Promise<{ readonly count: number; readonly examples: readonly VersionRecord[] }>
  /** Images that are `ready` without a ready version. */
  hollowImages(limit: number): Promise<{ readonly count: number; readonly examples: readonly ImageRecord[] }>
  /** Brings the state of an image in line with its versions. */
  settleImage(id: string): Promise<void>
}

/** What is over, and was before a time: for whoever forgets it. Nothing that is shown, waits, or may be tried again is among it. */
export interface HistoryStore {
  /** `expired`, `rejected`, `failed` and `deleted` ones that no version of an image that is there stands on; oldest first. */
  uploads(
    untilMs: number,
    limit: number,
    after?: Pick<UploadRecord, 'updatedAtMs' | 'id'>,
  ): Promise<readonly UploadRecord[]>
  /** With its events, and with its image where that is gone and this was the last upload of it. False when it is not old any more. */
  forgetUpload(id: string, untilMs: number): Promise<boolean>
  /** Ids of dead messages. */
  messages(untilMs: number, limit: number): Promise<readonly string[]>
  /** Ids of dead jobs whose uploads are not to be tried again. */
  jobs(untilMs: number, limit: number): Promise<readonly string[]>
  /** False when it is not dead any more. */
  forget(what: 'message' | 'job', id: string): Promise<boolean>
}
