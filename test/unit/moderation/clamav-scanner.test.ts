import { randomBytes } from 'node:crypto'
import { expect, onTestFinished, test } from 'vitest'
import { createClamavScanner } from '../../../src/moderation/clamav-scanner.ts'
import { startClamdServer } from '../../helpers/clamd-server.ts'
import { moderationSubject } from '../../helpers/moderation-subject.ts'

async function scan(bytes: Buffer, ...server: Parameters<typeof startClamdServer>) {
  const clamd = await startClamdServer(...server)
  onTestFinished(() => clamd.close())
  const scanner = createClamavScanner({ host: '127.0.0.1', port: clamd.port })
  const judged = scanner.judge(moderationSubject({ bytes }), AbortSignal.timeout(1000))
  return { judged, clamd }
}

test.each([0, 1, 65_536, 65_537, 3_000_000])('all %i bytes come to the scanner, as they were', async (length) => {
  const bytes = randomBytes(length)
  const { judged, clamd } = await scan(bytes, () => 'stream: OK')
  expect(await judged).toEqual({ tier: 'allow', reason: undefined })
  expect(clamd.streams).toHaveLength(1)
  expect(clamd.streams[0]?.equals(bytes)).toBe(true)
})

test('what is found is refused, and its name not told', async () => {
  const { judged } = await scan(Buffer.from('x'), () => 'stream: Win.Test.EICAR_HDB-1 FOUND')
  expect(await judged).toEqual({ tier: 'reject', reason: 'virus' })
})

test.each([
  ['an error', 'Can not allocate memory ERROR'],
  ['another protocol', 'HTTP/1.1 400 Bad Request'],
  ['half an answer', 'stream: OK, or FOUND?'],
])('%s is no verdict', async (_, reply) => {
  const { judged } = await scan(Buffer.from('x'), () => reply)
  await expect(judged).rejects.toThrow(/clamd answered/)
})

test('more than clamd takes is no verdict', async () => {
  const { judged } = await scan(randomBytes(5_000_000), () => 'stream: OK', { maxBytes: 1_000_000 })
  await expect(judged).rejects.toThrow()
})

test('a scanner that does not answer, or does not even read, is left at the deadline', async () => {
  const silent = await scan(Buffer.from('x'), () => 'never')
  await expect(silent.judged).rejects.toThrow(/timeout/i)
  const stuck = await scan(randomBytes(20_000_000), () => 'never', { reads: false })
  await expect(stuck.judged).rejects.toThrow(/timeout/i)
})

test('nobody there is no verdict', async () => {
  const clamd = await startClamdServer(() => 'stream: OK')
  await clamd.close()
  const scanner = createClamavScanner({ host: '127.0.0.1', port: clamd.port })
  await expect(scanner.judge(moderationSubject(), AbortSignal.timeout(1000))).rejects.toThrow(/ECONNREFUSED/)
})
