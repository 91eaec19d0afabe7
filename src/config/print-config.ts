import type {
  AuthConfig,
  Config,
  DatabaseConfig,
  OriginConfig,
  S3Credentials,
  SourceConfig,
  UploadsConfig,
} from './config.ts'
import { shownDatabaseUrl } from './postgres-url.ts'

const redacted = '(redacted)'
const redactedCredentials: S3Credentials = { accessKeyId: redacted, secretAccessKey: redacted, sessionToken: undefined }

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
    auth: redactAuth(config.auth),
    database: redactDatabase(config.database),
    uploads: config.uploads && redactUploads(config.uploads),
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
      return { ...origin, credentials: redactedCredentials }
    case 'http':
      return origin.authorization === undefined ? origin : { ...origin, authorization: redacted }
    case 'web':
      return origin
  }
}

function redactAuth(auth: AuthConfig): AuthConfig {
  return {
    ...auth,
    apiKeys: auth.apiKeys.map(({ name }) => ({ name, secret: redacted })),
    jwt: auth.jwt && {
      ...auth.jwt,
      verifyBy: auth.jwt.verifyBy.kind === 'secret' ? { kind: 'secret', secret: redacted } : auth.jwt.verifyBy,
    },
  }
}

function redactDatabase(database: DatabaseConfig): DatabaseConfig {
  if ('file' in database) return database
  return { postgres: { ...database.postgres, url: shownDatabaseUrl(database.postgres.url) } }
}

function redactUploads(uploads: UploadsConfig): UploadsConfig {
  const { target, moderation } = uploads
  const projects = Object.entries(uploads.projects).map(([name, project]) => [
    name,
    { ...project, webhook: project.webhook && redactHook(project.webhook) },
  ])
  return {
    ...uploads,
    target:
      target.kind === 's3' && target.credentials !== undefined
        ? { ...target, credentials: redactedCredentials }
        : target,
    projects: Object.fromEntries(projects) as UploadsConfig['projects'],
    moderation: { ...moderation, webhook: moderation.webhook && redactHook(moderation.webhook) },
  }
}

/** Receivers like to put a token into the query of their URL. */
function redactHook<T extends { readonly url: string; readonly secret: string | undefined }>(hook: T): T {
  return { ...hook, url: hook.url.replace(/\?.*$/, `?${redacted}`), secret: hook.secret && redacted }
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
