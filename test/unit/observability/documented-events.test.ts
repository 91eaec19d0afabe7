import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { expect, test } from 'vitest'

const root = resolve(import.meta.dirname, '../../..')
const logged = /\blog(?:ger)?(?:\.(?:info|warn|error)\(|\(\s*'(?:info|warn|error)',)\s*'([a-z_]+)'/g

test('every event of the log has its row in docs/operations.md', () => {
  const folder = join(root, 'src')
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const events = files.flatMap((file) =>
    [...readFileSync(join(folder, file), 'utf8').matchAll(logged)].map(([, event]) => event ?? ''),
  )
  expect(events.length).toBeGreaterThan(40)
  const docs = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  const rows = docs.split('\n## Log\n')[1]?.split('\n## ')[0] ?? ''
  expect([...new Set(events)].filter((event) => !rows.includes(`\`${event}\``)).sort()).toEqual([])
})
