import type { AuthConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { newId } from '../lib/new-id.ts'
import { apiKeyHash, newApiKeySecret } from './api-key-secret.ts'
import type { Scope } from './authenticator.ts'

export type NewApiKey = {
  readonly name: string
  readonly project: string
  readonly scopes: readonly Scope[]
}

type StoredKeyFacts = { readonly id: string; readonly revokedAtMs: number | undefined }

/** Where keys are kept; structurally a part of the `ApiKeyStore` of the database. */
export type ApiKeyShelf<T extends StoredKeyFacts> = {
  create(key: NewApiKey & { readonly id: string; readonly createdAtMs: number }, secretHash: string): Promise<T>
  list(): Promise<readonly T[]>
}

/** Makes a key. The secret is told here and never again. Throws `bad_request` for a name that is none. */
export async function issueApiKey<T extends StoredKeyFacts>(
  shelf: Pick<ApiKeyShelf<T>, 'create'>,
  key: NewApiKey,
  nowMs: number,
): Promise<{ readonly key: T; readonly secret: string }> {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(key.name))
    throw new AppError('bad_request', {
      detail: `Expected a name of 1 to 64 letters, digits, - or _, got ${JSON.stringify(key.name)}.`,
    })
  const secret = newApiKeySecret()
  const stored = await shelf.create({ ...key, id: newId('key'), createdAtMs: nowMs }, apiKeyHash(secret))
  return { key: stored, secret }
}

/** The same in every process: of two first starts at the same time one makes it. */
const firstKeyId = `key_${'0'.repeat(25)}1`

/** The secret of a first key with every scope; undefined where the settings have keys, or there is or ever was another. */
export async function ensureFirstKey<T extends StoredKeyFacts>(
  shelf: ApiKeyShelf<T>,
  { apiKeys }: Pick<AuthConfig, 'apiKeys'>,
  nowMs: number,
): Promise<string | undefined> {
  if (apiKeys.length > 0 || (await shelf.list()).length > 0) return undefined
  const secret = newApiKeySecret()
  const key = { id: firstKeyId, name: 'first', project: 'default', scopes: ['admin'] as const, createdAtMs: nowMs }
  try {
    await shelf.create(key, apiKeyHash(secret))
  } catch (error) {
    // Another process, which has told its secret.
    if ((await shelf.list()).some(({ id }) => id === firstKeyId)) return undefined
    throw error
  }
  return secret
}
