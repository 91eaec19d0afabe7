import { expect, test } from 'vitest'
import type { HotLane, StoredAnswer } from '../../../src/delivery/hot-lane.ts'
import { readHitRequest } from '../../../src/http/plain-request.ts'
import { serveStored } from '../../../src/http/serve-hit.ts'

/** Asks for what lies in a lower tier, while `meanwhile` happens. */
async function serve(entry: Partial<StoredAnswer>, meanwhile: () => void = () => {}) {
  const sent: unknown[] = []
  const found = {
    ...{ resultKey: 'key', validUntilMs: Infinity, stillHolds: () => true },
    answer: { lines: 'ETag: "x"\r\n', notModifiedLines: '', etag: '"x"', factsJson: '', hitJson: '' },
    ...entry,
  }
  const isServed = await serveStored(
    readHitRequest({ method: 'GET', url: '/u/x', rawHeaders: [] }),
    { write: ({ status, body }) => void sent.push(status, body), isGone: () => false },
    {
      hotLane: { findStored: () => found } as unknown as HotLane,
      onHot: () => {},
      freshId: () => 'id',
      readStored: () => {
        meanwhile()
        return Promise.resolve({ tier: 'disk', body: Buffer.from('bytes') })
      },
    },
  )
  return { isServed, sent }
}

test('a stored result is sent with its ready head', async () => {
  expect(await serve({})).toEqual({ isServed: true, sent: [200, Buffer.from('bytes')] })
})

test('an image that is deleted or hidden while its result is read is left to the long way', async () => {
  let holds = true
  const served = await serve({ stillHolds: () => holds }, () => (holds = false))
  expect(served).toEqual({ isServed: false, sent: [] })
})
