import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { scopes } from '../../src/auth/authenticator.ts'
import { errorTable } from '../../src/errors.ts'
import { readBanList } from '../../src/moderation/ban-list.ts'
import { messageTypes } from '../../src/uploads/message-types.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { projectRoot } from '../helpers/start-halftone.ts'
import { startUploads, type UploadServer } from '../helpers/upload-api.ts'

const run = promisify(execFile)
const textOf = (path: string) => readFileSync(join(projectRoot, path), 'utf8')
const document = textOf('docs/upload-api.md')
const blocksOf = (text: string) => [...text.matchAll(/```bash\n([^]*?)```/g)].map((match) => String(match[1]))

let server: UploadServer
let folder = ''

beforeAll(async () => {
  server = await startUploads()
  folder = mkdtempSync(join(tmpdir(), 'halftone-docs-'))
  writeFileSync(join(folder, 'photo.jpg'), await drawGradientJpeg(640, 480))
})
afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A shell that stops at the first command that fails, and says which. */
async function runCommands(commands: string): Promise<string[]> {
  const script = `set -euo pipefail\ntrap 'echo "line $LINENO: $BASH_COMMAND" >&2' ERR\n${commands}`
  const { PATH = '' } = process.env
  const env = { PATH, KEY: 'a-key-for-the-tests', HALFTONE: server.origin }
  const { stdout } = await run('bash', ['-c', script], { cwd: folder, env })
  return stdout.split('\n')
}

const hasCurl = (process.env['PATH'] ?? '').split(':').some((path) => existsSync(join(path, 'curl')))
if (!hasCurl) console.log('skipped: curl is not installed, so the commands of docs/upload-api.md were not run')

test.skipIf(!hasCurl)(
  'the commands of docs/upload-api.md do what they say',
  async () => {
    const printed = await runCommands(blocksOf(document).join('\n'))
    expect(printed.filter((line) => line === 'ready')).toHaveLength(2)
    expect(printed).toContain('event: ready')
    expect(printed).toContain('post 7')
    expect(printed).toContain('403')
    const widthOf = async (name: string) => (await sharp(join(folder, name)).metadata()).width
    expect([await widthOf('small.jpg'), await widthOf('any.jpg')]).toEqual([320, 200])
    expect([await widthOf('one.jpg'), await widthOf('shared.jpg')]).toEqual([200, 800])
    // A page is read more than once.
    expect(await runCommands(blocksOf(document).join('\n'))).toContain('ready')
  },
  90_000,
)

test.skipIf(!hasCurl)(
  'the three lines of the README upload a picture and show it, also one of many megapixels',
  async () => {
    const section = textOf('README.md').split('## Upload your first picture')[1]?.split('\n## ')[0] ?? ''
    const [block = ''] = blocksOf(section)
    expect(block.match(/^curl/gm)).toHaveLength(3)
    const photo = readFileSync(join(folder, 'photo.jpg'))
    writeFileSync(join(folder, 'photo.jpg'), await drawGradientJpeg(2400, 1600))
    await runCommands(block.replaceAll('http://localhost:8080', server.origin).replace(/^KEY=.*$/m, ''))
    writeFileSync(join(folder, 'photo.jpg'), photo)
    expect(await sharp(join(folder, 'small.avif')).metadata()).toMatchObject({ format: 'heif', width: 256 })
  },
)

test('every route has its place in docs/upload-api.md', () => {
  const files = readdirSync(join(projectRoot, 'src/http')).filter((file) => file.endsWith('-routes.ts'))
  const routes = files.flatMap((file) =>
    [...textOf(`src/http/${file}`).matchAll(/router\.(get|post|put|patch|delete)\('(\/v1\/[^']+)'/g)].map(
      ([, method = '', path = '']) => ({ method: method.toUpperCase(), path }),
    ),
  )
  expect(routes.length).toBeGreaterThan(15)
  const written = document.replace(/\$(ID|IMAGE|\(field [^)]*\))/g, ':id').replaceAll('$HALFTONE', '')
  const lost = routes.filter(({ path }) => !written.includes(path.replace(':share', ':id')) && !isPosted(path))
  expect(lost).toEqual([])
})

/** `post signed-url '{}'` of the document. */
function isPosted(path: string): boolean {
  const [, last = '-'] = /^\/v1\/images\/:id\/([\w-]+)$/.exec(path) ?? []
  return document.includes(`post ${last} `)
}

test('codes and scopes of docs/upload-api.md are those of the program', () => {
  const errors = document.split('## Errors')[1]?.split('\n## ')[0] ?? ''
  const rows = [...errors.matchAll(/^\| ([\d, ]+) \| (`[^|]+) \|/gm)]
  const codes = rows.flatMap(([, statuses = '', names = '']) =>
    [...names.matchAll(/`(\w+)`/g)].map((match) => ({ code: String(match[1]), statuses })),
  )
  expect(codes.length).toBeGreaterThan(20)
  for (const { code, statuses } of codes) {
    const row = Object.entries(errorTable).find(([known]) => known === code)
    expect([code, statuses.includes(String(row?.[1].status))]).toEqual([code, true])
  }
  for (const scope of scopes) expect(document).toContain(`| \`${scope}\` |`)
})

test('the types of messages in docs/upload-api.md are those of the program', () => {
  const told = document.split('## Webhooks')[1]?.split('\n## ')[0] ?? ''
  const named = [...told.matchAll(/`((?:upload|image)\.\w+)`/g)].map((match) => match[1])
  expect(new Set(named)).toEqual(new Set(messageTypes))
})

test('the ban list of docs/upload-api.md is one', () => {
  const [, list = ''] = /```text\n(# Lines[^]*?)```/.exec(document) ?? []
  const reading = readBanList(list, 6)
  if (!reading.ok) throw new Error(reading.faults.join('; '))
  const [sha256 = '', perceptualHash = ''] = [/sha256:(\w+)/, /phash:(\w+)/].map((hash) => hash.exec(list)?.[1])
  const [none, other] = ['0'.repeat(64), '0'.repeat(16)]
  expect(reading.list.find({ sha256, perceptualHash: other })).toEqual({ tier: 'reject', reason: 'banned' })
  expect(reading.list.find({ sha256: none, perceptualHash })).toMatchObject({ tier: 'quarantine' })
  expect(document).toContain(`"perceptualHash": "${perceptualHash}"`)
})
