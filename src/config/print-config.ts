import type { Config } from './config.ts'

const redacted = '(redacted)'

/** The effective configuration with secrets redacted: one `name = value` line each, or JSON. */
export function printConfig(config: Config, format: 'text' | 'json'): string {
  const shown = redact(config)
  if (format === 'json') return JSON.stringify(shown, (_key, value: unknown) => (value === undefined ? null : value), 2)
  return flatten(shown, '').join('\n')
}

function redact(config: Config): Config {
  return {
    ...config,
    signing: {
      keys: config.signing.keys.map((key) => ({ id: key.id, secret: redacted })),
      imgixTokens: config.signing.imgixTokens.map(() => redacted),
    },
  }
}

function flatten(value: unknown, name: string): string[] {
  if (Array.isArray(value) && value.every((item) => typeof item !== 'object'))
    return [`${name} = ${JSON.stringify(value)}`]
  if (typeof value !== 'object' || value === null)
    return [`${name} = ${value === undefined ? '-' : JSON.stringify(value)}`]
  const entries = Object.entries(value)
  if (entries.length === 0) return [`${name} = {}`]
  const step = (key: string): string =>
    Array.isArray(value) ? `${name}[${key}]` : name === '' ? key : `${name}.${key}`
  return entries.flatMap(([key, member]) => flatten(member, step(key)))
}
