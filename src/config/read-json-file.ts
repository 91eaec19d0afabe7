import { readFileSync } from 'node:fs'
import type { z } from 'zod'
import type { ConfigFault } from './config-fault.ts'
import { received } from './config-fault.ts'
import { errnoOf } from './read-settings.ts'

/** A JSON file checked against a schema. `settingName` leads every fault; unknown keys are faults by the schema. */
export function readJsonFile<T>(
  settingName: string,
  path: string,
  schema: z.ZodType<T>,
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
  return { ok: false, faults: parsed.error.issues.map((issue) => describeIssue(settingName, issue)) }
}

function describeIssue(settingName: string, issue: z.core.$ZodIssue): ConfigFault {
  const place = issue.path.map((step) => (typeof step === 'number' ? `[${String(step)}]` : `.${String(step)}`)).join('')
  const name = place === '' ? settingName : `${settingName} ${place.replace(/^\./, '')}`
  const came =
    issue.input === undefined ? 'nothing' : received(JSON.stringify(issue.input) ?? '', false).replaceAll('\\"', "'")
  return { name, message: `${issue.message.replace(/^Invalid input: /, '')}; got ${came}. Correct the file.` }
}
