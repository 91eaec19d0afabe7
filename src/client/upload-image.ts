import { callApi, type ApiOptions, type ApiRequest } from './call-api.ts'
import { describeFile } from './describe-file.ts'
import { HalftoneError } from './halftone-error.ts'
import type { ImageDocument, UploadDocument, UploadPermission } from './image-document.ts'
import { pause } from './retry.ts'
import { sendBytes } from './send-bytes.ts'
import { sendParts, type SignedParts } from './send-parts.ts'

export type UploadProgress = {
  /** Bytes that have left; fewer again when a try is repeated. */
  readonly loaded: number
  readonly total: number
  /** Permission, bytes, then what the server does: decode, check, store. */
  readonly phase: 'starting' | 'uploading' | 'processing'
}

export type UploadOptions = {
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined
  /** Ends everything at once, takes the upload back, and rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  readonly visibility?: 'public' | 'private' | undefined
  /** A configured kind with rules of its own, such as `avatar`. */
  readonly kind?: string | undefined
  /** What the picture belongs to, in the application's own words. */
  readonly subject?: string | undefined
  readonly metadata?: Readonly<Record<string, string>> | undefined
  /** An image of yours that gets a new version. */
  readonly image?: string | undefined
  /** Hex or base64; the server holds the bytes to it. */
  readonly sha256?: string | undefined
}

/** One upload under way. */
type Upload = {
  readonly file: Blob
  readonly options: ApiOptions
  readonly signal: AbortSignal
  readonly replaces: boolean
  readonly report: (phase: UploadProgress['phase'], loaded: number) => void
  readonly call: (request: ApiRequest) => Promise<UploadDocument>
}

const waitSeconds = 20
const shortestPauseMs = 1000
/** How often bytes may come too late for their permission. */
const freshPermissions = 2

/**
 * The whole way of a file: permission, bytes straight to the store, confirmation, and the wait until the picture has been checked.
 * Rejects with a HalftoneError, or with the reason of the signal.
 */
export async function uploadImage(file: Blob, asked: UploadOptions, options: ApiOptions): Promise<ImageDocument> {
  const { onProgress, signal = new AbortController().signal, ...said } = asked
  signal.throwIfAborted()
  const upload: Upload = {
    ...{ file, options, signal },
    replaces: asked.image !== undefined,
    report: (phase, loaded) => onProgress?.({ loaded, total: file.size, phase }),
    call: (request) => callApi<UploadDocument>(request, options, signal),
  }
  upload.report('starting', 0)
  const body = { ...describeFile(file), ...said }
  for (let left = freshPermissions; ; left -= 1) {
    const begun = await begin(body, upload)
    try {
      return await complete(begun, upload)
    } catch (error) {
      signal.throwIfAborted()
      if (left === 0 || !isLate(error)) throw error
    }
  }
}

/** A key of its own for each permission: with the old one would come the old upload, whose time is up. */
function begin(body: object, { call }: Upload): Promise<UploadDocument> {
  return call({ method: 'POST', path: '/v1/uploads', body, headers: { 'idempotency-key': newKey() } })
}

async function complete(begun: UploadDocument, upload: Upload): Promise<ImageDocument> {
  const { signal, file, report } = upload
  let isConfirmed = false
  try {
    if (begun.upload) await send(begun, begun.upload, upload)
    report('processing', file.size)
    isConfirmed = true
    return imageOf(await settle(begun, upload))
  } catch (error) {
    // After the bytes are confirmed only who aborts wants the picture gone; the line may fail while it is being made. And an
    // image that was there before would go with its new version.
    if (!isConfirmed || (signal.aborted && !upload.replaces)) takeBack(begun, upload)
    signal.throwIfAborted()
    if (!(error instanceof HalftoneError)) throw error
    const { code, status, detail, requestId, cause } = error
    throw new HalftoneError(code, { status, detail, requestId, cause, imageId: begun.image.id })
  }
}

function send(begun: UploadDocument, permission: UploadPermission, upload: Upload): Promise<void> {
  const { file, options, signal, report } = upload
  const watch = { signal, onLoaded: (loaded: number) => report('uploading', loaded) }
  report('uploading', 0)
  if (permission.method !== 'PARTS') return sendBytes(permission, file, options, watch)
  const { partBytes, parts } = permission
  // By the base that the page was given, which may be another than the server's own.
  const path = `/v1/uploads/${begun.id}/parts`
  const sign = (numbers: readonly number[], ended: AbortSignal) => {
    const request = { method: 'POST', path, body: { numbers }, token: begun.token } as const
    return callApi<SignedParts>(request, options, ended)
  }
  return sendParts(file, { partBytes, parts, sign }, options, watch)
}

async function settle({ id, token }: UploadDocument, { call, signal }: Upload): Promise<UploadDocument> {
  const path = `/v1/uploads/${id}`
  const headers = { prefer: `wait=${waitSeconds}` }
  let latest = await call({ method: 'POST', path: `${path}/confirm`, headers, token })
  while (['pending', 'uploaded', 'processing'].includes(latest.state)) {
    // Where something on the way does not let the server wait.
    await pause(shortestPauseMs, signal)
    latest = await call({ method: 'GET', path, headers, token })
  }
  return latest
}

function imageOf({ state, image, error }: UploadDocument): ImageDocument {
  if (state === 'ready') return image as ImageDocument
  const status = state === 'failed' ? 500 : state === 'quarantined' ? 202 : 422
  throw new HalftoneError(error?.code ?? state, { status, detail: error?.detail })
}

/** Best effort, and on nobody's time: what is left expires by itself. */
function takeBack({ id, token }: UploadDocument, { options }: Upload): void {
  const request = { method: 'DELETE', path: `/v1/uploads/${id}`, token } as const
  callApi(request, { ...options, retries: 1 }, AbortSignal.timeout(10_000)).catch(() => undefined)
}

/** Nothing else after the beginning is forbidden. */
function isLate(error: unknown): boolean {
  return error instanceof HalftoneError && (error.code === 'expired' || error.status === 403)
}

/** Not `randomUUID`: pages without TLS have none. */
function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
