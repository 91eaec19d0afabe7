import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { apiKeyHash } from '../../src/auth/api-key-secret.ts'
import { migrateStores, openStores } from '../../src/db/open-stores.ts'
import { runHalftone, type Ran } from '../helpers/run-halftone.ts'

let dataDir = ''
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-keys-'))
  await migrateStores({ file: join(dataDir, 'halftone.sqlite') })
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

const keys = (...args: readonly string[]) => run(['keys', ...args])

function run(args: readonly string[], settings: Record<string, string> = {}): Promise<Ran> {
  return runHalftone(args, { HALFTONE_DATA_DIR: dataDir, ...settings })
}

test('a key is made, listed and revoked; its secret is shown once and stored nowhere', async () => {
  const made = await keys('create', '--name', 'app', '--scopes', 'uploads:write,images:read', '--json')
  expect(made.code, made.stderr).toBe(0)
  const { id, key, ...facts } = JSON.parse(made.stdout) as { id: string; key: string }
  expect(facts).toMatchObject({ name: 'app', project: 'default', scopes: ['uploads:write', 'images:read'] })
  expect(key).toMatch(/^hk_[a-z2-7]{52}$/)
  expect(readFileSync(join(dataDir, 'halftone.sqlite')).includes(key)).toBe(false)

  const plain = await keys('create', '--name', 'other')
  expect(plain.stdout).toMatch(/^hk_[a-z2-7]{52}\n$/)
  expect(plain.stderr).toContain('not shown again')

  const stores = await openStores({ file: join(dataDir, 'halftone.sqlite') })
  const found = await stores.apiKeys.findByHash(apiKeyHash(key))
  await stores.close()
  expect(found).toMatchObject({ id, name: 'app', revokedAtMs: undefined })

  expect((await keys('revoke', id)).code).toBe(0)
  const listed = JSON.parse((await keys('list', '--json')).stdout) as { name: string; revokedAt: string | null }[]
  expect(listed.find((one) => one.name === 'app')?.revokedAt).toMatch(/^20\d\d-/)
  expect(listed.find((one) => one.name === 'other')?.revokedAt).toBeNull()
  expect(JSON.stringify(listed)).not.toContain('hk_')
}, 60_000)

test.each([
  [2, /--name/, ['create']],
  [2, /expected uploads:write/, ['create', '--name', 'a', '--scopes', 'everything']],
  [2, /Expected a project that is configured \(default\), got "nope"/, ['create', '--name', 'a', '--project', 'nope']],
  [2, /1 to 64 letters/, ['create', '--name', 'a b']],
  [1, /not_found/, ['revoke', 'key_nope']],
])(
  'exit code %i with %s',
  async (code, message, args) => {
    const answer = await keys(...args)
    expect(answer.code).toBe(code)
    expect(answer.stderr).toMatch(message)
    expect(answer.stdout).toBe('')
  },
  60_000,
)

test.each([
  ['keys', 'list'],
  ['keys', 'create', '--name', 'app'],
  ['keys', 'revoke', 'key_nope'],
  ['audit', '--json'],
])(
  '%s %s where there is no database says so, and makes none',
  async (...args) => {
    const elsewhere = join(dataDir, 'elsewhere')
    const { code, stdout, stderr } = await run(
      args.filter((arg) => arg !== undefined),
      { HALFTONE_DATA_DIR: elsewhere },
    )
    expect([code, stdout]).toEqual([args[0] === 'audit' ? 2 : 1, ''])
    expect(stderr).toContain(`There is no database at ${join(elsewhere, 'halftone.sqlite')}`)
    expect(existsSync(elsewhere)).toBe(false)
  },
  60_000,
)

test('a list names the keys of the settings, too, without their secrets', async () => {
  const secret = 'a-secret-that-is-long-enough'
  const { stdout, stderr } = await run(['keys', 'list'], { HALFTONE_API_KEYS: `backend:${secret}` })
  expect(stderr).toContain('HALFTONE_API_KEYS has backend,')
  expect(stderr).not.toContain('There are no keys')
  expect(stdout + stderr).not.toContain(secret)
}, 60_000)
