import { z } from 'zod'
import { isAddressBlock, isHostPattern, isParamsQuery } from './value-parsers.ts'

const ladder = z.array(z.int().min(1).max(8192)).min(1).max(100)
const qualities = z.array(z.int().min(0).max(100)).min(1).max(100)
const seconds = z.int().min(0).max(31_536_000)
const timeoutSeconds = z.number().min(0.05).max(300)
const paramsQuery = z
  .string()
  .refine(isParamsQuery, 'expected URL parameters without ? and without s, sig, kid or expires')

const variantsSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('exact') }),
  z.strictObject({ kind: z.literal('snap'), widths: ladder.optional(), qualities: qualities.optional() }),
  z.strictObject({ kind: z.literal('presets-only') }),
])

/** A secret is never in the file itself, which lands in repositories: only where it is to be found. */
export const secretReference = z.union(
  [z.strictObject({ env: z.string().min(1) }), z.strictObject({ file: z.string().min(1) })],
  'expected {"env": "NAME"} or {"file": "path"}, not the secret itself',
)

const originUrl = z
  .string()
  .refine(
    (text) => /^https?:\/\/[^/]/i.test(text) && URL.canParse(text) && !/[?#@]/.test(text),
    'expected https://host or https://host/base, without credentials, query and fragment',
  )

const folderPlace = { kind: z.literal('folder').optional(), folder: z.string().min(1) }
const s3Place = {
  kind: z.literal('s3'),
  bucket: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$/, 'expected the name of a bucket'),
  prefix: z.string().max(900).optional(),
  endpoint: originUrl.optional(),
  region: z.string().min(1).max(63).optional(),
  forcePathStyle: z.boolean().optional(),
  credentials: z
    .strictObject({
      accessKeyId: secretReference,
      secretAccessKey: secretReference,
      sessionToken: secretReference.optional(),
    })
    .optional(),
}
const httpPlace = { kind: z.literal('http'), url: originUrl, authorization: secretReference.optional() }
const webPlace = {
  kind: z.literal('web'),
  allowHosts: z
    .array(z.string().refine(isHostPattern, 'expected a lower-case host name such as cdn.example.com or *.example.org'))
    .max(1000)
    .optional(),
}

const policyKeys = {
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'expected 1 to 63 lower-case letters, digits, - or _'),
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
}

const remoteKeys = {
  minFreshSeconds: seconds.optional(),
  maxFreshSeconds: seconds.optional(),
  staleIfErrorSeconds: seconds.optional(),
  negativeSeconds: z.int().min(0).max(86_400).optional(),
  connectSeconds: timeoutSeconds.optional(),
  firstByteSeconds: timeoutSeconds.optional(),
  idleSeconds: timeoutSeconds.optional(),
  totalSeconds: timeoutSeconds.optional(),
  maxRedirects: z.int().min(0).max(20).optional(),
  allowAddresses: z
    .array(z.string().refine(isAddressBlock, 'expected an address or CIDR block such as 10.0.0.0/8'))
    .max(1000)
    .optional(),
  fetches: z.int().min(1).max(10_000).optional(),
}

const fallbackSchema = z.discriminatedUnion('kind', [z.strictObject(s3Place), z.strictObject(httpPlace)])
const fallbackKeys = {
  fallbacks: z.array(fallbackSchema).max(8).optional(),
  fallbackWhenAbsent: z.boolean().optional(),
  breakerFailures: z.int().min(1).max(1000).optional(),
  breakerSeconds: z.number().min(0.05).max(3600).optional(),
}

/** One source of HALFTONE_SOURCES_FILE; what is left out comes from the settings. */
const sourceSchema = z.discriminatedUnion(
  'kind',
  [
    z.strictObject({ ...policyKeys, ...folderPlace }),
    z.strictObject({ ...policyKeys, ...s3Place, ...remoteKeys, ...fallbackKeys }),
    z.strictObject({ ...policyKeys, ...httpPlace, ...remoteKeys, ...fallbackKeys }),
    z.strictObject({ ...policyKeys, ...webPlace, ...remoteKeys }),
  ],
  'expected kind folder, s3, http or web',
)

export const sourcesFileSchema = z.strictObject({ sources: z.array(sourceSchema).min(1).max(1000) })

/** HALFTONE_PRESETS_FILE: preset name to params. */
export const presetsFileSchema = z.record(
  z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/, 'expected a preset name of 1 to 64 letters, digits, - or _'),
  paramsQuery,
)

/** For hints at misspelt keys. */
export const sourceKeys: readonly string[] = [
  'sources',
  ...[policyKeys, remoteKeys, fallbackKeys, folderPlace, s3Place, httpPlace, webPlace].flatMap(Object.keys),
]

export type SourceEntry = z.infer<typeof sourceSchema>
export type PolicyEntry = z.infer<z.ZodObject<typeof policyKeys>>
export type FallbackEntry = z.infer<z.ZodObject<typeof fallbackKeys>>
export type RemoteEntry = Exclude<SourceEntry, { folder: string }>
export type OriginEntry =
  z.infer<z.ZodObject<typeof s3Place>> | z.infer<z.ZodObject<typeof httpPlace>> | z.infer<z.ZodObject<typeof webPlace>>
export type SecretReference = z.infer<typeof secretReference>
