import { z } from 'zod'
import { plainUrl, uploadableTypes } from './api-value-parsers.ts'
import { secretReference } from './source-schema.ts'

const types = z
  .array(z.enum(uploadableTypes, `expected one of ${uploadableTypes.join(', ')}`))
  .min(1)
  .max(uploadableTypes.length)
const megabytes = z.number().min(0.001).max(2000)
const side = z.int().min(1).max(65_535)
const visibility = z.enum(['public', 'private'])
const perMinute = z.int().min(1).max(1_000_000)
/** null: no bound, whatever the settings say. */
const bound = z.int().min(1).max(1_000_000_000).nullable().optional()

const kindKeys = {
  types: types.optional(),
  maxMB: megabytes.optional(),
  minWidth: side.optional(),
  minHeight: side.optional(),
  maxWidth: side.optional(),
  maxHeight: side.optional(),
  aspect: z.strictObject({ ratio: z.number().min(0.01).max(100), tolerance: z.number().min(0).max(1) }).optional(),
  animated: z.boolean().optional(),
  visibility: visibility.optional(),
}

const kindSchema = z
  .strictObject(kindKeys)
  .refine(({ minWidth = 0, maxWidth = Infinity }) => minWidth <= maxWidth, {
    path: ['minWidth'],
    error: 'expected at most maxWidth',
  })
  .refine(({ minHeight = 0, maxHeight = Infinity }) => minHeight <= maxHeight, {
    path: ['minHeight'],
    error: 'expected at most maxHeight',
  })

const webhookSchema = z.strictObject({
  url: z
    .string()
    .refine((text) => plainUrl(text) !== undefined, 'expected an http or https URL without credentials and fragment'),
  secret: secretReference,
})

const quotaKeys = { maxMB: bound, objects: bound, openUploads: bound }
const rateKeys = { owner: perMinute.optional(), address: perMinute.optional() }

const projectKeys = {
  types: types.optional(),
  maxMB: megabytes.optional(),
  maxMegapixels: z.number().min(0.01).max(1000).optional(),
  quota: z.strictObject(quotaKeys).optional(),
  uploadsPerMinute: z.strictObject(rateKeys).optional(),
  publicUploads: z.boolean().optional(),
  visibility: visibility.optional(),
  kinds: z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'expected a kind of 1 to 63 lower-case letters, digits, - or _'),
      kindSchema,
    )
    .optional(),
  /** null: none, whatever the settings say. */
  webhook: webhookSchema.nullable().optional(),
}

/** HALFTONE_PROJECTS_FILE: policies by the name of their project. */
export const projectsFileSchema = z.strictObject({
  projects: z.record(
    z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'expected a name of 1 to 63 lower-case letters, digits, - or _'),
    z.strictObject(projectKeys),
  ),
})

/** For hints at misspelt keys. */
export const projectFileKeys: readonly string[] = [
  'projects',
  ...[projectKeys, kindKeys, quotaKeys, rateKeys, { url: '', secret: '', ratio: '', tolerance: '' }].flatMap(
    Object.keys,
  ),
]

type ProjectsFile = z.infer<typeof projectsFileSchema>
export type ProjectEntry = ProjectsFile['projects'][string]
export type KindEntry = z.infer<typeof kindSchema>
