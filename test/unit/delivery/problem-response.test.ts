import { expect, test } from 'vitest'
import { AppError, errorTable, type ErrorCode } from '../../../src/errors.ts'
import { problemAnswer } from '../../../src/delivery/problem-response.ts'

const context = {
  requestId: 'r1',
  instance: '/a.jpg',
  negotiated: false,
  isPrivate: false,
  delivery: { errorMaxAgeSeconds: 60, retryAfterSeconds: 5, corsOrigin: '*' },
}

function answerTo(error: AppError, change: Partial<typeof context> = {}) {
  const answer = problemAnswer(error, { ...context, ...change })
  return {
    ...answer,
    head: Object.fromEntries(answer.headers),
    document: JSON.parse(String(answer.body)) as Record<string, unknown>,
  }
}

test.each(Object.keys(errorTable) as ErrorCode[])('%s is a problem document with its status', (code) => {
  const { status, head, document } = answerTo(new AppError(code, { detail: 'because' }))
  expect(status).toBe(errorTable[code].status)
  expect(head['Content-Type']).toBe('application/problem+json')
  expect(document).toMatchObject({ status, code, instance: '/a.jpg', requestId: 'r1', title: errorTable[code].title })
  expect(document['type']).toContain(code)
  expect(head['X-Content-Type-Options']).toBe('nosniff')
  expect(head['Content-Security-Policy']).toContain('sandbox')
  // Internals are for the log.
  expect('detail' in document).toBe(status < 500)
  if (errorTable[code].retryable) expect(head).toMatchObject({ 'Cache-Control': 'no-store', 'Retry-After': '5' })
})

test.each([
  ['param_invalid', false, 'public, max-age=60'],
  ['not_found', false, 'public, max-age=60'],
  ['undecodable', false, 'public, max-age=60'],
  ['not_found', true, 'no-store'],
  ['signature_invalid', false, 'no-store'],
  ['overloaded', false, 'no-store'],
] as const)('%s (private: %s) may be kept: %s', (code, isPrivate, want) => {
  expect(answerTo(new AppError(code), { isPrivate }).head['Cache-Control']).toBe(want)
})

test('an error of a negotiating URL varies, too', () => {
  expect(answerTo(new AppError('undecodable'), { negotiated: true }).head['Vary']).toBe('Accept')
  expect(answerTo(new AppError('undecodable')).head).not.toHaveProperty('Vary')
})
