import type { Config, OriginConfig, SourceConfig } from './config.ts'

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
    sources: config.sources.map(redactSource),
    signing: {
      keys: config.signing.keys.map((key) => ({ id: key.id, secret: redacted })),
      imgixTokens: config.signing.imgixTokens.map(() => redacted),
    },
  }
}

function redactSource(source: SourceConfig): SourceConfig {
  if (source.kind === 'folder') return source
  const [first, ...rest] = source.origins
  return { ...source, origins: [redactOrigin(first), ...rest.map(redactOrigin)] }
}

function redactOrigin(origin: OriginConfig): OriginConfig {
  switch (origin.kind) {
    case 's3':
      if (origin.credentials === undefined) return origin
      return { ...origin, credentials: { accessKeyId: redacted, secretAccessKey: redacted, sessionToken: undefined } }
    case 'http':
      return origin.authorization === undefined ? origin : { ...origin, authorization: redacted }
    case 'web':
      return origin
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
