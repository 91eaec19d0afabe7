import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { received } from './config-fault.ts'
import type { ConfigFault } from './config-fault.ts'
import { nearestName } from './nearest-name.ts'
import type { Setting } from './setting.ts'
import { settings } from './settings.ts'
import type { SettingValues } from './settings.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** Larger is no list of keys but the wrong file. */
const maxSecretBytes = 65_536

const entries: readonly (readonly [string, Setting<unknown>])[] = Object.entries(settings)
const fileVariants = entries.filter(([, entry]) => entry.secret).map(([, entry]) => `${entry.env}_FILE`)
const knownNames = [...entries.map(([, entry]) => entry.env), ...fileVariants]
const plainNames = knownNames.filter((name) => !name.startsWith('HALFTONE_'))

/** Every setting parsed; faults are collected, and a faulty setting has its default so that the rest can be checked too. */
export function readSettings(env: Environment, cwd: string): { values: SettingValues; faults: ConfigFault[] } {
  const faults = unknownNames(env)
  const values: Record<string, unknown> = {}
  for (const [key, entry] of entries) {
    const fallback = entry.default === undefined ? undefined : entry.value.parse(entry.default)
    const text = readText(entry, env, cwd, faults)
    const value = text === undefined ? undefined : entry.value.parse(text)
    if (text !== undefined && value === undefined) {
      const message = `expected ${entry.value.expected}, got ${received(text, entry.secret === true)}. ${mendOf(entry)}`
      faults.push({ name: entry.env, message })
    }
    values[key] = value ?? fallback
  }
  // The loop visits every key of the registry and parses with the parser of that key.
  return { values: values as SettingValues, faults }
}

/** The text of a setting from its variable or its `_FILE`; empty means unset, as compose files and shells write it. */
function readText(entry: Setting<unknown>, env: Environment, cwd: string, faults: ConfigFault[]): string | undefined {
  const text = env[entry.env] === '' ? undefined : env[entry.env]?.trim()
  const fileName = `${entry.env}_FILE`
  const file = entry.secret === true ? env[fileName] : undefined
  if (file === undefined || file === '') return text
  if (text !== undefined) {
    faults.push({
      name: fileName,
      message: `expected either ${entry.env} or ${fileName}, got both. Remove one of them.`,
    })
    return text
  }
  const read = readSecretFile(resolve(cwd, file))
  if (read.ok) return read.text
  faults.push({
    name: fileName,
    message: `expected a readable file with the secret, got ${received(file, false)} (${read.reason}).`,
  })
  return undefined
}

/** The text of a file that holds a secret; `reason` never quotes it. */
export function readSecretFile(path: string): { ok: true; text: string } | { ok: false; reason: string } {
  try {
    const { size } = statSync(path)
    if (size > maxSecretBytes) return { ok: false, reason: `larger than ${String(maxSecretBytes)} bytes` }
    const text = readFileSync(path, 'utf8').replace(/[\r\n]+$/, '')
    return text === '' ? { ok: false, reason: 'empty' } : { ok: true, text }
  } catch (error) {
    return { ok: false, reason: errnoOf(error) }
  }
}

function unknownNames(env: Environment): ConfigFault[] {
  const unknown = Object.keys(env).filter((name) => name.startsWith('HALFTONE_') && !knownNames.includes(name))
  return unknown.map((name) => ({ name, message: explainUnknown(name) }))
}

function explainUnknown(name: string): string {
  // Some names have no prefix, as other programs know them: PORT, S3_ENDPOINT.
  const nearest = nearestName(name.replace(/^HALFTONE_/, ''), plainNames) ?? nearestName(name, knownNames)
  return nearest === undefined ? 'is not a setting. Remove it.' : `is not a setting. Did you mean ${nearest}?`
}

/** DATABASE_USER and S3_BUCKET are of other programs; more edits would take them for ours. */
const maxEditsOfShared = 2

const sharedNames = plainNames.filter((name) => /^(DATABASE|S3)_/.test(name))

/** Names without our prefix may be of another program, so what looks like a misspelt setting is told, and not refused. */
export function nearMisses(env: Environment): string[] {
  const isSet = (name: string) => env[name] !== undefined && env[name] !== ''
  return Object.keys(env).flatMap((name) => {
    if (!/^(D[A-Z]{5,9}|S3)_/.test(name) || knownNames.includes(name) || !isSet(name)) return []
    const meant = nearestName(name, sharedNames, maxEditsOfShared)
    return meant === undefined || isSet(meant) || isSet(`${meant}_FILE`)
      ? []
      : [`${name} is not a setting. Did you mean ${meant}?`]
  })
}

function mendOf(entry: Setting<unknown>): string {
  const fallback = entry.default ?? entry.defaultText ?? 'none'
  return `Correct it, or remove it for the default (${fallback.length > 60 ? 'a list' : fallback}).`
}

export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error)
}
