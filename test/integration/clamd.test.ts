import { spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { delimiter, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createClamavScanner } from '../../src/moderation/clamav-scanner.ts'
import type { Moderator } from '../../src/moderation/moderator.ts'
import { moderationSubject } from '../helpers/moderation-subject.ts'
import { until } from '../helpers/upload-api.ts'
import { freePort } from '../helpers/free-port.ts'

const { PATH = '' } = process.env
const clamd = [...PATH.split(delimiter), '/usr/sbin'].map((folder) => join(folder, 'clamd')).find(existsSync)
if (!clamd) console.log('skipped: clamd is not installed (Debian: clamav-daemon)')

const banned = Buffer.concat([Buffer.from('GIF89a'), randomBytes(500_000)])

describe.skipIf(!clamd)('a real clamd', () => {
  let scanner: Moderator
  let stop: () => void
  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-clamd-'))
    const port = await freePort()
    // A list of one: MD5, size, name.
    const md5 = createHash('md5').update(banned).digest('hex')
    writeFileSync(join(folder, 'test.hdb'), `${md5}:${banned.length}:Test.Banned\n`)
    const settings = {
      ...{ Foreground: 'yes', TCPSocket: port, TCPAddr: '127.0.0.1', DatabaseDirectory: folder },
      ...{ StreamMaxLength: '2M', User: userInfo().username },
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name} ${value}\n`)
    writeFileSync(join(folder, 'clamd.conf'), lines.join(''))
    const child = spawn(clamd ?? '', ['--config-file', join(folder, 'clamd.conf')], { stdio: 'ignore' })
    stop = () => {
      child.kill('SIGKILL')
      rmSync(folder, { recursive: true, force: true })
    }
    scanner = createClamavScanner({ host: '127.0.0.1', port })
    const answers = () =>
      scan(Buffer.from('anybody there?')).then(
        () => true,
        () => false,
      )
    await until(answers, 'clamd', 50_000)
  })
  afterAll(() => stop?.())
  const scan = (bytes: Buffer) => scanner.judge(moderationSubject({ bytes }), AbortSignal.timeout(20_000))

  test('lets good bytes pass, finds what is on its list, and refuses more than it takes', async () => {
    expect(await scan(randomBytes(1_500_000))).toEqual({ tier: 'allow', reason: undefined })
    expect(await scan(banned)).toEqual({ tier: 'reject', reason: 'virus' })
    await expect(scan(randomBytes(8_000_000))).rejects.toThrow()
  })
})
