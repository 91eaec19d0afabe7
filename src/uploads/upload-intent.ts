import { z } from 'zod'
import { isId } from '../lib/new-id.ts'
import { normalType } from './upload-policy.ts'

const metadata = z
  .record(z.string().min(1).max(64), z.string().max(500))
  .refine((entries) => Object.keys(entries).length <= 20, 'at most 20 entries')

// What a file system or a header would trip over is no part of a name.
const filename = z
  .string()
  .min(1)
  .max(255)
  // eslint-disable-next-line no-control-regex -- that is the point
  .regex(/^[^\u0000-\u001f\u007f/\\]+$/, 'a file name without slashes and control characters')

const sha256 = z
  .string()
  .transform((text) =>
    /^[0-9a-f]{64}$/i.test(text) ? text.toLowerCase() : Buffer.from(text, 'base64').toString('hex'),
  )
  .refine((hex) => hex.length === 64, 'a SHA-256 in hex or base64')

/** What may be said of an image, whichever way it comes. */
const description = {
  visibility: z.enum(['public', 'private']).optional(),
  kind: z.string().min(1).max(64).optional(),
  subject: z.string().min(1).max(200).optional(),
  metadata: metadata.optional(),
  /** An image of the caller's that gets a new version. */
  image: z
    .string()
    .refine((id) => isId('img', id), 'the id of an image')
    .optional(),
}

export type ImageDescription = z.infer<z.ZodObject<typeof description>>

/** What an image is said to be is changed at the image, not by the way. */
const isSaidOnce = (said: ImageDescription) =>
  said.image === undefined ||
  [said.visibility, said.kind, said.subject, said.metadata].every((value) => value === undefined)
const saidTwice = {
  path: ['image'],
  error: 'a new version keeps visibility, kind, subject and metadata of its image; change them by PATCH /v1/images/:id',
}

export const uploadIntent = z
  .strictObject({
    filename,
    size: z.int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
    type: z.string().min(3).max(100).transform(normalType),
    sha256: sha256.optional(),
    ...description,
  })
  .refine(isSaidOnce, saidTwice)
export type UploadIntent = z.infer<typeof uploadIntent>

/** Fields that come beside a file through this server; the file itself says its name and type. */
export const directFields = z
  .strictObject({ ...description, sha256: sha256.optional(), filename: filename.optional() })
  .refine(isSaidOnce, saidTwice)
export type DirectFields = z.infer<typeof directFields>

export const importIntent = z
  .strictObject({ url: z.url().max(8000), filename: filename.optional(), ...description })
  .refine(isSaidOnce, saidTwice)
export type ImportIntent = z.infer<typeof importIntent>

export const imageChange = z
  .strictObject({
    visibility: description.visibility,
    filename: filename.optional(),
    kind: description.kind,
    subject: description.subject,
    metadata: description.metadata,
    /** For reviewers: what becomes of a quarantined image. */
    state: z.enum(['ready', 'rejected']).optional(),
  })
  .refine((change) => Object.keys(change).length > 0, 'something to change')
