import { InvalidArgumentError, type Command } from 'commander'
import { isScope, scopes, type Scope } from '../auth/authenticator.ts'
import { issueApiKey } from '../auth/issue-api-key.ts'
import type { Config } from '../config/config.ts'
import { openStores } from '../db/open-stores.ts'
import type { ApiKeyRecord } from '../db/records.ts'
import type { ApiKeyStore } from '../db/stores.ts'
import { AppError } from '../errors.ts'
import { existingDatabase } from './existing-database.ts'
import { prepareDataDirectory } from './prepare-data-directory.ts'
import { readConfig } from './read-config.ts'

const usualScopes: readonly Scope[] = ['uploads:write', 'images:read', 'images:write', 'images:share']

type CreateOptions = { name: string; project: string; scopes: readonly Scope[]; json?: boolean }

/** `halftone keys create | list | revoke`: the API keys in the database. */
export function addKeysCommand(program: Command): void {
  const keys = program.command('keys').description('make, list and revoke the API keys of the upload API')
  keys
    .command('create')
    .description('make a key; it is printed once and never again')
    .requiredOption('--name <name>', 'who uses it; what it uploads belongs to key:<name>')
    .option('--project <name>', 'the project it works in', 'default')
    .option('--scopes <list>', `what it may do, separated by commas: ${scopes.join(', ')}`, parseScopes, usualScopes)
    .option('--json', 'print JSON')
    .action(create)
  keys
    .command('list')
    .description('list the keys of the database, revoked ones included; secrets are not kept')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }) => list(options.json === true))
  keys
    .command('revoke')
    .description('end a key at once')
    .argument('<id>', 'the id that `keys list` shows')
    .option('--json', 'print JSON')
    .action((id: string, options: { json?: boolean }) => revoke(id, options.json === true))
}

async function create(options: CreateOptions): Promise<void> {
  const { name, project, scopes: allowed, json } = options
  await withKeys(async (apiKeys, config) => {
    const projects = config.uploads?.projects ?? {}
    if (!Object.hasOwn(projects, project)) {
      const known = Object.keys(projects).join(', ') || 'none, as HALFTONE_UPLOADS is off'
      const detail = `Expected a project that is configured (${known}), got ${JSON.stringify(project)}.`
      throw new AppError('bad_request', { detail })
    }
    const { key, secret } = await issueApiKey(apiKeys, { name, project, scopes: allowed }, Date.now())
    if (json === true) return print(JSON.stringify({ ...shown(key), key: secret }))
    print(secret)
    tell(`Key ${key.id} of project ${project} may ${allowed.join(', ')}. Keep it: it is not shown again.`)
  })
}

async function list(asJson: boolean): Promise<void> {
  await withKeys(async (apiKeys, { auth }) => {
    const all = (await apiKeys.list()).map(shown)
    if (asJson) return print(JSON.stringify(all))
    for (const key of all) {
      const state = key.revokedAt === null ? `used ${key.lastUsedAt ?? 'never'}` : `revoked ${key.revokedAt}`
      print([key.id, key.name, key.project, key.scopes.join(','), `made ${key.createdAt}`, state].join('  '))
    }
    const fixed = auth.apiKeys.map(({ name }) => name)
    if (fixed.length > 0)
      tell(`HALFTONE_API_KEYS has ${fixed.join(', ')}, with every scope. End one by taking it out there.`)
    else if (all.length === 0) tell('There are no keys. Make one: halftone keys create --name <name>')
  })
}

async function revoke(id: string, asJson: boolean): Promise<void> {
  await withKeys(async (apiKeys) => {
    const isRevoked = await apiKeys.revoke(id, Date.now())
    if (!isRevoked)
      throw new AppError('not_found', { detail: `There is no key ${JSON.stringify(id)} that could be revoked.` })
    print(asJson ? JSON.stringify({ id, revoked: true }) : `${id} is revoked.`)
  })
}

async function withKeys(work: (keys: ApiKeyStore, config: Config) => Promise<void>): Promise<void> {
  const config = readConfig()
  const database = existingDatabase(config)
  prepareDataDirectory(config.dataDir)
  const stores = await openStores(database)
  try {
    await work(stores.apiKeys, config)
  } finally {
    await stores.close()
  }
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** What is for people and not for pipes. */
function tell(line: string): void {
  process.stderr.write(`${line}\n`)
}

function shown(key: ApiKeyRecord) {
  const { id, name, project, scopes: allowed } = key
  const times = { createdAt: key.createdAtMs, lastUsedAt: key.lastUsedAtMs, revokedAt: key.revokedAtMs }
  return { id, name, project, scopes: allowed, ...mapTimes(times) }
}

function mapTimes<K extends string>(times: Readonly<Record<K, number | undefined>>): Record<K, string | null> {
  const entries = Object.entries<number | undefined>(times)
  return Object.fromEntries(
    entries.map(([name, ms]) => [name, ms === undefined ? null : new Date(ms).toISOString()]),
  ) as Record<K, string | null>
}

function parseScopes(text: string): readonly Scope[] {
  const names = text.split(',').map((name) => name.trim())
  const unknown = names.filter((name) => !isScope(name))
  if (unknown.length > 0) throw new InvalidArgumentError(`expected ${scopes.join(', ')}; got ${unknown.join(', ')}`)
  return [...new Set(names.filter(isScope))]
}
