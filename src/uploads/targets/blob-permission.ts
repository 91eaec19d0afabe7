import { createHmac, timingSafeEqual } from 'node:crypto'
import { AppError } from '../../errors.ts'

/** What the disk target allows a client, as it stands in the signed URL or form. */
export type BlobPermission = {
  readonly method: 'PUT' | 'POST'
  readonly key: string
  /** Exactly so many bytes for a PUT, at most so many for a POST. */
  readonly byteLength: number
  /** undefined for a part. */
  readonly contentType: string | undefined
  /** Hex. */
  readonly sha256: string | undefined
  readonly expiresAtSeconds: number
  /** Only a part of an upload in parts. */
  readonly part: { readonly multipartId: string; readonly number: number } | undefined
}

/** The conditions by the names they have in URLs and forms, and the signature over all of them. */
export function signPermission(secret: string, permission: BlobPermission): Record<string, string> {
  return { ...conditionsOf(permission), sig: signatureOf(secret, permission).toString('base64url') }
}

/**
 * The permission that the client shows. Throws `signature_required`, `signature_invalid`, and `signature_expired` when it is out
 * of date at the request's beginning.
 */
export function readPermission(
  shown: { readonly method: 'PUT' | 'POST'; readonly key: string; readonly fields: ReadonlyMap<string, string> },
  secret: string,
  nowMs: number,
): BlobPermission {
  const { sig, ...conditions } = Object.fromEntries(shown.fields)
  if (sig === undefined) throw new AppError('signature_required', { detail: missingSignature[shown.method] })
  const permission = parsePermission(shown, conditions)
  if (permission === undefined || !isSame(signatureOf(secret, permission), sig)) {
    throw new AppError('signature_invalid', { detail: 'Send what POST /v1/uploads answered exactly as it came.' })
  }
  if (permission.expiresAtSeconds * 1000 <= nowMs)
    throw new AppError('signature_expired', {
      detail: 'The permission to upload has ended; POST /v1/uploads gives a new one.',
    })
  return permission
}

const missingSignature = {
  PUT: 'Expected the whole URL that POST /v1/uploads answered, with its query.',
  POST: 'Fields come before the file: expected all that POST /v1/uploads answered, key and sig among them.',
} as const

function conditionsOf({ byteLength, contentType, sha256, expiresAtSeconds, part }: BlobPermission) {
  return {
    ...(part === undefined ? {} : { part: String(part.number), upload: part.multipartId }),
    length: String(byteLength),
    ...(contentType === undefined ? {} : { type: contentType }),
    ...(sha256 === undefined ? {} : { sha256 }),
    expires: String(expiresAtSeconds),
  }
}

const conditionNames = new Set(['part', 'upload', 'length', 'type', 'sha256', 'expires'])

/** undefined when there is a condition too many or one that cannot be read. */
function parsePermission(
  { method, key }: { readonly method: 'PUT' | 'POST'; readonly key: string },
  conditions: Readonly<Record<string, string>>,
): BlobPermission | undefined {
  if (Object.keys(conditions).some((name) => !conditionNames.has(name))) return undefined
  const { part, upload, length, type, sha256, expires } = conditions
  const [byteLength, expiresAtSeconds, number] = [length, expires, part].map(readWhole)
  if (byteLength === undefined || expiresAtSeconds === undefined) return undefined
  if ((number === undefined) !== (upload === undefined)) return undefined
  return {
    ...{ method, key, byteLength, expiresAtSeconds, contentType: type, sha256 },
    part: number === undefined || upload === undefined ? undefined : { number, multipartId: upload },
  }
}

function readWhole(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : undefined
}

/** JSON keeps the fields apart whatever is in them; the first word keeps it from being a signature of anything else. */
function signatureOf(secret: string, permission: BlobPermission): Buffer {
  const { method, key } = permission
  const text = JSON.stringify(['halftone-blob', method, key, Object.entries(conditionsOf(permission))])
  return createHmac('sha256', secret).update(text).digest()
}

function isSame(expected: Buffer, shown: string): boolean {
  const bytes = Buffer.from(shown, 'base64url')
  return bytes.length === expected.length && timingSafeEqual(bytes, expected)
}
