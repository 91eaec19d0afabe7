import { resolve } from 'node:path'
import type { ConfigFault } from './config-fault.ts'
import { readSecretFile, type Environment } from './read-settings.ts'
import type { SecretReference } from './source-schema.ts'

/** Where secrets of a file are found; relative paths start at `baseDir`. */
export type SecretPlaces = {
  readonly env: Environment
  readonly baseDir: string
  readonly faults: ConfigFault[]
}

/** The secret that a reference names; a fault and an empty text when there is none. */
export function secretOf(reference: SecretReference, place: string, { env, baseDir, faults }: SecretPlaces): string {
  if ('file' in reference) {
    const read = readSecretFile(resolve(baseDir, reference.file))
    if (read.ok) return read.text
    faults.push({
      name: place,
      message: `expected a readable file with the secret, got one that is not (${read.reason}).`,
    })
    return ''
  }
  const text = env[reference.env] ?? ''
  if (text === '')
    faults.push({ name: place, message: `expected the variable ${reference.env} to hold the secret, got nothing.` })
  return text
}
