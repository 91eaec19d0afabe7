import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import type { ConfigFault } from './config-fault.ts'
import { received } from './config-fault.ts'
import { nearestName } from './nearest-name.ts'
import { errnoOf } from './read-settings.ts'

/** A JSON file checked against a schema. `settingName` leads every fault; unknown keys are faults by the schema. */
export function readJsonFile<T>(
  settingName: string,
  path: string,
  schema: z.ZodType<T>,
  knownKeys: readonly string[] = [],
): { ok: true; value: T } | { ok: false; faults: ConfigFault[] } {
  let content: unknown
  try {
    content = JSON.parse(readFileSync(path, 'utf8'))
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : errnoOf(error)
    const message = `expected a readable JSON file, got ${received(path, false)} (${reason}). Correct the path or the file.`
    return { ok: false, faults: [{ name: settingName, message }] }
  }
  const parsed = schema.safeParse(content, { reportInput: true })
  if (parsed.success) return { ok: true, value: parsed.data }
  return { ok: false, faults: parsed.error.issues.map((issue) => describeIssue(settingName, issue, knownKeys)) }
}

function describeIssue(settingName: string, issue: z.core.$ZodIssue, knownKeys: readonly string[]): ConfigFault {
  const place = issue.path.map((step) => (typeof step === 'number' ? `[${String(step)}]` : `.${String(step)}`)).join('')
  const name = place === '' ? settingName : `${settingName} ${place.replace(/^\./, '')}`
  if (issue.code === 'unrecognized_keys') return { name, message: unknownKeys(issue.keys, knownKeys) }
  const what = issue.message.replace(/^Invalid input: /, '').replace(/, received .*$/, '')
  return {
    name,
    message: `${what}; got ${isSecret(issue.path) ? 'something else' : cameIn(issue.input)}. Correct the file.`,
  }
}

function unknownKeys(keys: readonly string[], knownKeys: readonly string[]): string {
  const named = keys.map((key) => {
    if (knownKeys.includes(key)) return `${JSON.stringify(key)} (is there for another kind: "kind" may be missing)`
    const nearest = nearestName(key, knownKeys)
    return JSON.stringify(key) + (nearest === undefined ? '' : ` (did you mean ${nearest}?)`)
  })
  return `expected only keys that exist here, got ${named.join(', ')}. Correct or remove it.`
}

/** Keys whose values are never quoted, as somebody may have written the secret itself there. */
const secretKeys = new Set<PropertyKey>(['credentials', 'authorization', 'secret'])

function isSecret(path: readonly PropertyKey[]): boolean {
  return path.some((step) => secretKeys.has(step))
}

function cameIn(input: unknown): string {
  if (input === undefined) return 'nothing'
  const json = JSON.stringify(input, (key, value: unknown) => (secretKeys.has(key) ? '(redacted)' : value)).replace(
    /\/\/[^/@\s"]*@/g,
    '//(redacted)@',
  )
  return json.length > 120 ? `${json.slice(0, 117)}...` : json
}
