import { describe, expect, test } from 'vitest'
import { describeSource } from '../../contract/source.contract.ts'
import { startOriginServer, type Handler } from '../../helpers/http-origin-server.ts'
import { createMapStore, openRemoteSource, remoteConfig } from '../../helpers/remote-source.ts'

const signal = new AbortController().signal

describeSource('http', async () => {
  const files = new Map<string, { bytes: Buffer; etag: string }>()
  let puts = 0
  const server = await startOriginServer((request, response) => {
    const file = files.get(decodeURIComponent(request.url ?? ''))
    if (!file) return void response.writeHead(404).end()
    const headers = { ETag: file.etag, 'Content-Length': file.bytes.length }
    if (request.headers['if-none-match'] === file.etag) return void response.writeHead(304, { ETag: file.etag }).end()
    response.writeHead(200, headers).end(file.bytes)
  })
  const config = remoteConfig({ kind: 'http', url: `${server.url}/base`, authorization: undefined })
  const { source } = openRemoteSource(config)
  return {
    source,
    maxBytes: config.maxBytes,
    put: (path, bytes) => Promise.resolve(void files.set(`/base${path}`, { bytes, etag: `"${(puts += 1)}"` })),
    remove: (path) => Promise.resolve(void files.delete(`/base${path}`)),
    async close() {
      await source.close()
      await server.close()
    },
  }
})

async function withServer<T>(
  handler: Handler,
  use: (url: string, requests: readonly { headers: object }[]) => Promise<T>,
) {
  const server = await startOriginServer(handler)
  try {
    return await use(server.url, server.requests)
  } finally {
    await server.close()
  }
}

describe('what tells whether a copy is current', () => {
  const old = new Date(Date.now() - 3_600_000).toUTCString()
  const young = new Date(Date.now() - 5000).toUTCString()
  test.each([
    ['a strong ETag', { ETag: '"a"', 'Last-Modified': old }, { 'if-none-match': '"a"' }],
    ['a weak ETag', { ETag: 'W/"a"' }, { 'if-none-match': 'W/"a"' }],
    ['an old Last-Modified', { 'Last-Modified': old }, { 'if-modified-since': old }],
    // A second change within the same second would go unseen.
    ['a young Last-Modified', { 'Last-Modified': young }, {}],
    ['nothing', {}, {}],
  ])('%s', async (_what, given, expected) => {
    await withServer(
      (_request, response) => void response.writeHead(200, given).end('x'),
      async (url, requests) => {
        const { source } = openRemoteSource(remoteConfig({ kind: 'http', url, authorization: undefined }))
        await source.stat('/a.jpg', signal)
        await source.stat('/a.jpg', signal)
        const conditions = Object.entries(requests.at(-1)?.headers ?? {}).filter(([name]) => name.startsWith('if-'))
        expect(requests).toHaveLength(2)
        expect(Object.fromEntries(conditions)).toEqual(expected)
        await source.close()
      },
    )
  })
})

test('the credentials of a host are not sent along a redirect to another', async () => {
  await withServer(
    (_request, response) => void response.end('x'),
    async (elsewhere, seenElsewhere) => {
      const redirect: Handler = (_request, response) =>
        void response.writeHead(302, { Location: `${elsewhere}/b.jpg` }).end()
      await withServer(redirect, async (url, seen) => {
        const { source } = openRemoteSource(remoteConfig({ kind: 'http', url, authorization: 'Bearer hunter2' }))
        await source.read('/a.jpg', signal)
        expect(seen[0]?.headers).toMatchObject({ authorization: 'Bearer hunter2' })
        expect(JSON.stringify(seenElsewhere)).not.toContain('hunter2')
        await source.close()
      })
    },
  )
})

test('what is kept of a host that was taken off the list is not served any more', async () => {
  await withServer(
    (_request, response) => void response.writeHead(200, { 'Cache-Control': 'max-age=600' }).end('x'),
    async (url) => {
      const store = createMapStore()
      const freshness = { minFreshSeconds: 600, maxFreshSeconds: 600, staleIfErrorSeconds: 0, negativeSeconds: 0 }
      const web = (allowHosts: string[]) => remoteConfig({ kind: 'web', allowHosts }, { freshness })
      const before = openRemoteSource(web([]), { store })
      expect((await before.source.read(`${url}/a.jpg`, signal))?.bytes.toString()).toBe('x')
      await before.source.close()
      const after = openRemoteSource(web(['cdn.example']), { store })
      await expect(after.source.read(`${url}/a.jpg`, signal)).rejects.toMatchObject({ code: 'source_url_refused' })
      await after.source.close()
    },
  )
})
