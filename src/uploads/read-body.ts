import { z } from 'zod'
import { nearestName } from '../config/nearest-name.ts'
import { AppError } from '../errors.ts'

type Issue = z.core.$ZodIssue

/** Reads a body. Throws `bad_request` with the field, what was expected, and what came. */
export function readBody<Value>(schema: z.ZodType<Value>, body: unknown): Value {
  const parsed = schema.safeParse(body ?? {})
  if (parsed.success) return parsed.data
  const known = schema instanceof z.ZodObject ? Object.keys(schema.shape) : []
  const faults = parsed.error.issues.slice(0, 5).flatMap((issue) => faultsOf(issue, body, known))
  throw new AppError('bad_request', { detail: `${faults.join('; ')}.` })
}

function faultsOf(issue: Issue, body: unknown, known: readonly string[]): readonly string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.slice(0, 5).map((key) => unknownField(key, known))
  const field = issue.path.length === 0 ? 'the body' : `"${issue.path.join('.')}"`
  return [`${field}: expected ${expectedBy(issue)}, got ${shown(valueAt(body, issue.path))}`]
}

function unknownField(key: string, known: readonly string[]): string {
  const nearest = nearestName(key, known)
  const meant = nearest === undefined ? `expected one of ${known.join(', ')}` : `did you mean "${nearest}"?`
  return `${shown(key)}: there is no such field; ${meant}`
}

/** In the words of this API: those of the library change with it. */
function expectedBy(issue: Issue): string {
  switch (issue.code) {
    case 'invalid_type':
      return nounOf(issue.expected)
    case 'invalid_value':
      return `one of ${issue.values.map(String).join(', ')}`
    case 'too_small':
      return `at least ${String(issue.minimum)}${unitOf(issue.origin)}`
    case 'too_big':
      return `at most ${String(issue.maximum)}${unitOf(issue.origin)}`
    case 'invalid_format':
      return issue.format === 'url' ? 'a URL' : issue.message
    case 'invalid_key':
      return `a name of ${issue.issues.map(expectedBy).join(', ')}`
    case 'custom':
    case 'invalid_element':
    case 'invalid_union':
    case 'not_multiple_of':
    case 'unrecognized_keys':
      return issue.message
  }
}

function nounOf(type: string): string {
  const nouns: Readonly<Record<string, string>> = {
    string: 'a text',
    number: 'a number',
    int: 'a whole number',
    array: 'a list',
    object: 'an object',
    record: 'an object',
  }
  return nouns[type] ?? type
}

function unitOf(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' ? ' entries' : ''
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null ? (value as Record<PropertyKey, unknown>)[key] : undefined,
    body,
  )
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : (JSON.stringify(value) ?? typeof value).slice(0, 80)
}
