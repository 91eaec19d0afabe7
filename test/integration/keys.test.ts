import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { apiKeyHash } from '../../src/auth/api-key-secret.ts'
import { openStores } from '../../src/db/open-stores.ts'
import { projectRoot } from '../helpers/start-halftone.ts'

let dataDir = ''
beforeAll(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'halftone-keys-'))
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

function keys(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { PATH = '' } = process.env
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      ['src/main.ts', 'keys', ...args],
      { cwd: projectRoot, env: { PATH, HALFTONE_DATA_DIR: dataDir } },
      (error, stdout, stderr) => resolve({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
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
  [1, /Expected a project that is configured \(default\), got "nope"/, ['create', '--name', 'a', '--project', 'nope']],
  [1, /1 to 64 letters/, ['create', '--name', 'a b']],
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
