import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { SignJWT } from 'jose'
import request from 'supertest'
import type { ImageDocument, UploadDocument } from '../../src/uploads/describe-image.ts'
import type { SignedRequest } from '../../src/uploads/targets/upload-target.ts'
import { send } from '../contract/upload-target.ts'
import { makePictureFolder } from './picture-folder.ts'
import { startHalftone } from './start-halftone.ts'

/** An answer of the API; `json` is empty where it has none. */
export type Answer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly json: Readonly<Record<string, unknown>>
}

export type Presigned = UploadDocument & { readonly upload: SignedRequest; readonly token?: string }
export type Finished = Omit<UploadDocument, 'image'> & { readonly image: Required<ImageDocument> }

const apiKey = 'a-key-for-the-tests'
const jwtSecret = 'a-secret-for-the-tokens-of-the-tests'
const methods = { GET: 'get', POST: 'post', PUT: 'put', PATCH: 'patch', DELETE: 'delete' } as const
export type Method = keyof typeof methods

export type UploadServer = Awaited<ReturnType<typeof startUploads>>

/** The whole application with uploads on, over an empty folder; a key for everything, and JWTs for owners. */
export async function startUploads(
  settings: Record<string, string> = {},
  options: Parameters<typeof startHalftone>[1] = {},
) {
  const pictures = makePictureFolder({})
  const halftone = await startHalftone(
    {
      HALFTONE_SOURCE: pictures.folder,
      HALFTONE_RENDERERS: '1',
      HALFTONE_API_KEYS: `app:${apiKey}`,
      HALFTONE_JWT_SECRET: jwtSecret,
      ...settings,
    },
    options,
  )
  return {
    ...{ halftone, origin: halftone.origin, dataDir: halftone.dataDir },
    /** The key of the application, with every scope. */
    admin: apiAs(halftone.origin, apiKey),
    /** A user of the application. */
    user: async (sub: string, claims: Record<string, unknown> = {}) =>
      apiAs(halftone.origin, await jwtFor(sub, claims)),
    as: (bearer: string | undefined) => apiAs(halftone.origin, bearer),
    files: (space: 'staging' | 'objects') => filesBelow(join(halftone.dataDir, 'uploads', space)),
    /** What the database says. */
    rows: <Row>(query: string, ...values: readonly unknown[]) =>
      withDatabase(halftone.dataDir, (database) => database.prepare(query).all(...values) as Row[]),
    /** Changes what the database says, as the passing of time or another process would. */
    async sql(statement: string, ...values: readonly unknown[]): Promise<void> {
      // Waiting in the database would keep the server, which is this very process, from ending what it is waited for.
      await until(() => {
        try {
          withDatabase(halftone.dataDir, (database) => database.prepare(statement).run(...values))
          return true
        } catch (error) {
          if (error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY')) return false
          throw error
        }
      }, statement)
    },
    async stop() {
      await halftone.stop()
      pictures.remove()
    },
  }
}

function withDatabase<T>(dataDir: string, work: (database: Database.Database) => T): T {
  const database = new Database(join(dataDir, 'halftone.sqlite'), { timeout: 0 })
  try {
    return work(database)
  } finally {
    database.close()
  }
}

export function jwtFor(sub: string, claims: Record<string, unknown> = {}): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setExpirationTime('10 minutes')
    .sign(new TextEncoder().encode(jwtSecret))
}

export type Api = ReturnType<typeof apiAs>

export function apiAs(origin: string, bearer: string | undefined) {
  const call = async (
    method: Method,
    path: string,
    body?: string | object,
    headers: Record<string, string> = {},
  ): Promise<Answer> => {
    const asked = request(origin)[methods[method]](path).set(headers).buffer(true).parse(readBytes)
    if (bearer !== undefined) asked.set('Authorization', `Bearer ${bearer}`)
    return answerOf(await (body === undefined ? asked : asked.send(body)))
  }
  return {
    call,
    authorization: bearer === undefined ? '' : `Bearer ${bearer}`,
    get: (path: string, headers?: Record<string, string>) => call('GET', path, undefined, headers),
    post: (path: string, body?: string | object, headers?: Record<string, string>) => call('POST', path, body, headers),
    patch: (path: string, body: object) => call('PATCH', path, body),
    delete: (path: string) => call('DELETE', path),
    /** multipart/form-data: fields, then the file. */
    async form(
      fields: Record<string, string>,
      file: Buffer,
      told: { type?: string; name?: string; wait?: number; key?: string } = {},
    ) {
      const { type = 'image/jpeg', name = 'photo.jpg', wait = 20, key } = told
      const asked = request(origin).post('/v1/images').set('Prefer', `wait=${wait}`).buffer(true).parse(readBytes)
      if (bearer !== undefined) asked.set('Authorization', `Bearer ${bearer}`)
      if (key !== undefined) asked.set('Idempotency-Key', key)
      for (const [field, value] of Object.entries(fields)) asked.field(field, value)
      return answerOf(await asked.attach('file', file, { filename: name, contentType: type }))
    },
    async presign(bytes: Buffer, intent: Record<string, unknown> = {}): Promise<Presigned> {
      const answer = await call('POST', '/v1/uploads', {
        ...{ filename: 'photo.jpg', type: 'image/jpeg', size: bytes.length },
        ...intent,
      })
      if (answer.status !== 201) throw new Error(`presign: ${answer.status} ${answer.body.toString()}`)
      return answer.json as unknown as Presigned
    },
    confirm: (id: string, waitSeconds = 20) =>
      call('POST', `/v1/uploads/${id}/confirm`, undefined, waitSeconds > 0 ? { Prefer: `wait=${waitSeconds}` } : {}),
    /** Presign and PUT. */
    async begin(bytes: Buffer, intent: Record<string, unknown> = {}): Promise<Presigned> {
      const presigned = await this.presign(bytes, intent)
      const put = await send(presigned.upload, bytes)
      if (put.status !== 200) throw new Error(`PUT: ${put.status} ${put.text}`)
      return presigned
    },
    /** The whole way: presign, PUT, confirm, ready. */
    async upload(bytes: Buffer, intent: Record<string, unknown> = {}): Promise<Finished> {
      const { id } = await this.begin(bytes, intent)
      const confirmed = await this.confirm(id)
      if (confirmed.json['state'] !== 'ready')
        throw new Error(`confirm: ${confirmed.status} ${confirmed.body.toString()}`)
      return confirmed.json as unknown as Finished
    },
  }
}

/** The raw target of a URL of ours. */
export function targetOf(url: string): string {
  return url.replace(/^https?:\/\/[^/]+/, '')
}

/** An absolute URL without its query. */
export function pathOf(url: string): string {
  return targetOf(url).split('?')[0] ?? ''
}

/** Every file below a folder of the disk target, by its name. */
export function filesBelow(folder: string): ReadonlyMap<string, { readonly path: string; read(): Buffer }> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return new Map(
    names
      .map((name) => join(folder, name))
      .filter((path) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false)
      .map((path) => [path.split('/').at(-1) ?? '', { path, read: () => readFileSync(path) }]),
  )
}

/** What a client with a permission for it could not do: other bytes under the key of an upload. */
export function swapStaged(server: Pick<UploadServer, 'files'>, uploadId: string, bytes: Buffer): void {
  const staged = server.files('staging').get(uploadId)
  if (!staged) throw new Error('nothing is staged')
  writeFileSync(staged.path, bytes)
}

export async function until(isThere: () => Promise<boolean> | boolean, what: string, withinMs = 10_000): Promise<void> {
  const endMs = Date.now() + withinMs
  while (!(await isThere())) {
    if (Date.now() > endMs) throw new Error(`${what}: not within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function readBytes(response: unknown, done: (error: Error | null, body: Buffer) => void): void {
  const chunks: Buffer[] = []
  const stream = response as NodeJS.ReadableStream
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  stream.on('end', () => done(null, Buffer.concat(chunks)))
}

function answerOf(response: { status: number; headers: unknown; body: unknown }): Answer {
  const headers = response.headers as Record<string, string>
  const body = Buffer.isBuffer(response.body) ? response.body : Buffer.alloc(0)
  const isJson = /[/+]json/.test(headers['content-type'] ?? '') && body.length > 0
  return { status: response.status, headers, body, json: isJson ? (JSON.parse(body.toString()) as Answer['json']) : {} }
}
