import { z } from 'zod'
import { isParamsQuery } from './value-parsers.ts'

const laterKinds = ['s3', 'https', 'http', 'web']

const ladder = z.array(z.int().min(1).max(8192)).min(1).max(100)
const qualities = z.array(z.int().min(0).max(100)).min(1).max(100)
const seconds = z.int().min(0).max(31_536_000)
const paramsQuery = z
  .string()
  .refine(isParamsQuery, 'expected URL parameters without ? and without s, sig, kid or expires')

const variantsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('exact') }),
  z.strictObject({ kind: z.literal('snap'), widths: ladder.optional(), qualities: qualities.optional() }),
  z.strictObject({ kind: z.literal('presets-only') }),
])

/** One source of HALFTONE_SOURCES_FILE; what is left out comes from the settings. */
const sourceSchema = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'expected 1 to 63 lower-case letters, digits, - or _'),
  kind: z
    .string()
    .refine((kind) => kind === 'folder' || laterKinds.includes(kind), 'expected folder')
    .refine((kind) => !laterKinds.includes(kind), 'only folder sources are available in this version')
    .optional(),
  folder: z.string().min(1),
  host: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,255}$|^\[[0-9A-Fa-f:.]+\]$/, 'expected a host name without scheme and port')
    .optional(),
  pathPrefix: z
    .string()
    .regex(/^\/([^/%?#\\]+\/?)*$/, 'expected a decoded path such as /photos')
    .optional(),
  visibility: z.enum(['public', 'private']).optional(),
  signed: z.enum(['private', 'always']).optional(),
  strict: z.boolean().optional(),
  defaultParams: paramsQuery.optional(),
  variants: variantsSchema.optional(),
  immutable: z.boolean().optional(),
  maxAgeSeconds: seconds.optional(),
  staleWhileRevalidateSeconds: seconds.optional(),
  maxOriginalMB: z.number().min(0.001).max(2000).optional(),
})

export const sourcesFileSchema = z.strictObject({ sources: z.array(sourceSchema).min(1).max(1000) })

/** HALFTONE_PRESETS_FILE: preset name to params. */
export const presetsFileSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'expected a preset name of 1 to 64 letters, digits, - or _'),
  paramsQuery,
)

/** For hints at misspelt keys. */
export const sourceKeys: readonly string[] = ['sources', ...Object.keys(sourceSchema.shape)]

export type SourceEntry = z.infer<typeof sourceSchema>
