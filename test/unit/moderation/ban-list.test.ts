import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createBanListModerator } from '../../../src/moderation/ban-list-moderator.ts'
import { readBanList } from '../../../src/moderation/ban-list.ts'
import { hashDistance } from '../../../src/transform/executor/perceptual-hash.ts'
import { moderationSubject } from '../../helpers/moderation-subject.ts'

const sha256 = 'ab'.repeat(32)
const phash = 'f0e1d2c3b4a59687'
const other = { sha256: 'cd'.repeat(32), perceptualHash: '0f1e2d3c4b5a6978' }

function listOf(text: string, maxDistance = 6) {
  const reading = readBanList(text, maxDistance)
  if (!reading.ok) throw new Error(reading.faults.join('\n'))
  return reading.list
}

/** The hash with its lowest bits turned round. */
function flipped(hash: string, bits: number): string {
  return (BigInt(`0x${hash}`) ^ (2n ** BigInt(bits) - 1n)).toString(16).padStart(16, '0')
}

describe('what a line says', () => {
  test.each([
    ['a hash alone', `sha256:${sha256}`, { tier: 'reject', reason: 'banned' }],
    ['in capitals', `SHA256:${sha256.toUpperCase()}`, { tier: 'reject', reason: 'banned' }],
    ['a tier', `sha256:${sha256} quarantine`, { tier: 'quarantine', reason: 'banned' }],
    ['a tier and a reason', `sha256:${sha256} reject  known spam`, { tier: 'reject', reason: 'known spam' }],
    ['after comments, with CRLF', `# ours\r\n\r\n  sha256:${sha256}\r\n`, { tier: 'reject', reason: 'banned' }],
    [
      'twice, the stricter counts',
      `sha256:${sha256}\nsha256:${sha256} quarantine`,
      { tier: 'reject', reason: 'banned' },
    ],
    [
      'both ways, the stricter counts',
      `sha256:${sha256} quarantine\nphash:${phash}`,
      { tier: 'reject', reason: 'banned' },
    ],
  ])('%s', (_, text, ban) => {
    const list = listOf(text)
    expect(list.find({ sha256, perceptualHash: phash })).toEqual(ban)
    expect(list.find(other)).toBeUndefined()
  })

  test.each([
    ['an unknown hash', 'md5:abc', 'line 3: expected sha256: and 64 or phash: and 16 hex digits, got "md5:abc"'],
    ['a short hash', `sha256:${sha256.slice(1)}`, 'line 3: expected sha256:'],
    ['an unknown tier', `sha256:${sha256} allow`, 'line 3: expected reject or quarantine after the hash'],
    ['a hash of any plain picture', 'phash:8000000000000000', 'line 3: expected a phash of more than 7 bits'],
  ])('%s is a fault with its line', (_, text, fault) => {
    const reading = readBanList(`# list\nsha256:${sha256}\n${text}\n`, 6)
    expect(reading).toMatchObject({ ok: false, faults: [expect.stringContaining(fault)] })
  })
})

test.each([0, 1, 6, 7, 20, 21])('a picture that differs in %i bits', (bits) => {
  const near = flipped(phash, bits)
  expect(hashDistance(phash, near)).toBe(bits)
  for (const maxDistance of [0, 6, 20]) {
    const found = listOf(`phash:${phash}`, maxDistance).find({ sha256: other.sha256, perceptualHash: near })
    expect(found !== undefined).toBe(bits <= maxDistance)
  }
})

test('one is found among a hundred thousand, and a picture that none is near is not', () => {
  const line = (index: number) =>
    `phash:${(BigInt(index) * 0x9e3779b97f4a7c15n + 0xff00000000000000n).toString(16).slice(-16).padStart(16, 'f')}`
  const many = Array.from({ length: 100_000 }, (_, index) => line(index + 1)).filter(
    (text) => !text.includes('00000000'),
  )
  const list = listOf([...many, `phash:${phash} reject the one`].join('\n'), 0)
  expect(list.find(other)).toBeUndefined()
  expect(list.find({ sha256: other.sha256, perceptualHash: phash })).toMatchObject({ reason: 'the one' })
})

describe('the file', () => {
  let folder: string
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'halftone-bans-'))))
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  async function open(text: string) {
    const file = join(folder, 'bans.txt')
    writeFileSync(file, text)
    const clock = { nowMs: 0 }
    const errors: string[] = []
    const moderator = await createBanListModerator({
      ...{ file, maxDistance: 6, now: () => clock.nowMs },
      onUnreadable: (error) => errors.push(String(error)),
    })
    const judge = async () => {
      clock.nowMs += 3000
      return (await moderator.judge(moderationSubject({ sha256 }), AbortSignal.timeout(1000))).tier
    }
    return { file, errors, judge }
  }

  test('is read again when it changes', async () => {
    const { file, judge } = await open('')
    expect(await judge()).toBe('allow')
    writeFileSync(file, `sha256:${sha256}\n`)
    expect(await judge()).toBe('reject')
    writeFileSync(file, `# nobody\n`)
    expect(await judge()).toBe('allow')
  })

  test('stays in force as it was while it cannot be read, which is told once', async () => {
    const { file, judge, errors } = await open(`sha256:${sha256}\n`)
    writeFileSync(file, `sha256:${sha256}\nnonsense here\n`)
    expect(await judge()).toBe('reject')
    expect(await judge()).toBe('reject')
    expect(errors).toEqual([expect.stringMatching(/bans\.txt: line 2: .*nonsense here/)])
    rmSync(file)
    expect(await judge()).toBe('reject')
    expect(errors).toHaveLength(2)
  })

  test('with a fault in it stops the start', async () => {
    await expect(open('\nsha256:12')).rejects.toThrow(/HALFTONE_BAN_LIST_FILE .*bans\.txt: line 2: expected/)
    await expect(open(`#${'x'.repeat(16 * 1024 * 1024)}`)).rejects.toThrow(/at most 16777216 bytes/)
  })
})
