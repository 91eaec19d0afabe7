import type { TargetCapabilities } from './upload-target.ts'

/** A CORS rule of a bucket, in the words of S3. */
export type CorsRule = {
  readonly AllowedOrigins: readonly string[]
  readonly AllowedMethods: readonly string[]
  readonly AllowedHeaders: readonly string[]
  readonly ExposeHeaders: readonly string[]
  readonly MaxAgeSeconds?: number
}

type Wanted = { readonly capabilities: TargetCapabilities; readonly origins: readonly string[] }

/** Those of a signed PUT that a browser asks for leave to send; it counts Content-Length itself. */
const sentHeaders = ['content-type', 'if-none-match', 'x-amz-checksum-sha256']
/** Clients read the ETag to know that a part has arrived. */
const readHeaders = ['ETag']
const maxAgeSeconds = 3600

/** The rule that a bucket needs so that pages of these origins can upload into it. */
export function corsRuleFor(
  { capabilities }: { readonly capabilities: TargetCapabilities },
  origins: readonly string[],
) {
  return {
    AllowedOrigins: [...origins],
    AllowedMethods: methodsOf(capabilities),
    AllowedHeaders: sentHeaders,
    ExposeHeaders: readHeaders,
    MaxAgeSeconds: maxAgeSeconds,
  } satisfies CorsRule
}

/** For `aws s3api put-bucket-cors --cors-configuration`. */
export function corsJson(rule: CorsRule): string {
  return `${JSON.stringify({ CORSRules: [rule] }, undefined, 2)}\n`
}

/** For stores that take the document itself (`s3cmd setcors`). */
export function corsXml(rule: CorsRule): string {
  const lines = [
    ...rule.AllowedOrigins.map((origin) => element('AllowedOrigin', origin)),
    ...rule.AllowedMethods.map((method) => element('AllowedMethod', method)),
    ...rule.AllowedHeaders.map((header) => element('AllowedHeader', header)),
    ...rule.ExposeHeaders.map((header) => element('ExposeHeader', header)),
    ...(rule.MaxAgeSeconds === undefined ? [] : [element('MaxAgeSeconds', String(rule.MaxAgeSeconds))]),
  ]
  const inner = lines.map((line) => `    ${line}\n`).join('')
  return `<CORSConfiguration>\n  <CORSRule>\n${inner}  </CORSRule>\n</CORSConfiguration>\n`
}

/** What the rules of a bucket keep pages from, one sentence each. A store applies the first rule that allows all of a request. */
export function missingInCors(rules: readonly CorsRule[], { capabilities, origins }: Wanted): readonly string[] {
  return origins.flatMap((origin) =>
    methodsOf(capabilities).flatMap((method) => {
      const forMethod = rules.filter(
        (rule) => matchesAny(rule.AllowedOrigins, origin) && matchesAny(rule.AllowedMethods, method),
      )
      if (forMethod.length === 0) return [`No rule allows ${method} from ${origin}.`]
      // A form is sent without asking first.
      const headers = method === 'PUT' ? sentHeaders : []
      const refused = forMethod.map((rule) => headers.filter((header) => !matchesAny(rule.AllowedHeaders, header)))
      const fewest = refused.toSorted((a, b) => a.length - b.length)[0] ?? []
      if (fewest.length > 0) return [`${method} from ${origin} may not send ${fewest.join(', ')}.`]
      const applied = forMethod[refused.findIndex((one) => one.length === 0)]
      const unread = readHeaders.filter((header) => !matchesAny(applied?.ExposeHeaders ?? [], header))
      return unread.map((header) => `${origin} may not read ${header} of the answer to ${method}.`)
    }),
  )
}

function methodsOf({ presignedPost }: TargetCapabilities): string[] {
  return presignedPost ? ['PUT', 'POST'] : ['PUT']
}

/** Patterns have one `*` at most, as in S3. */
function matchesAny(patterns: readonly string[], text: string): boolean {
  const value = text.toLowerCase()
  return patterns.some((pattern) => {
    const [start = '', end] = pattern.toLowerCase().split('*')
    if (end === undefined) return value === start
    return value.length >= start.length + end.length && value.startsWith(start) && value.endsWith(end)
  })
}

function element(name: string, text: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return `<${name}>${escaped}</${name}>`
}
