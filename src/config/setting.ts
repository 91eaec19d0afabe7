import type { ValueParser } from './value-parsers.ts'

export const settingGroups = {
  server: 'Server',
  source: 'Where originals come from',
  remote: 'Originals from S3, HTTP hosts and the web',
  delivery: 'Delivery and freshness',
  signing: 'Signatures',
  auth: 'Who may call the API',
  uploads: 'Uploads',
  database: 'Database',
  rendering: 'Rendering and its limits',
  cache: 'Caches',
} as const

export type Setting<T> = {
  readonly env: string
  readonly group: keyof typeof settingGroups
  readonly meaning: string
  readonly value: ValueParser<T>
  /** As it would be written in the environment; undefined leaves the setting unset. */
  readonly default: string | undefined
  /** What the docs print where the default depends on the machine. */
  readonly defaultText?: string
  /** Why this default and no other: a measurement, a peer, a device. */
  readonly why?: string
  /** Never echoed, and `<env>_FILE` may name a file that holds it. */
  readonly secret?: true
}

/** One row of the registry; keeps the type of its value. */
export function setting<T>(entry: Setting<T>): Setting<T> {
  return entry
}
