import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startOriginServer, type OriginServer } from '../helpers/http-origin-server.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { signTarget, testSigningKey } from '../helpers/sign-target.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let origin: OriginServer
let folder: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone

beforeAll(async () => {
  const picture = Buffer.from(await drawGradientJpeg(60, 40))
  origin = await startOriginServer((_request, response) => void response.end(picture))
  folder = makePictureFolder({ 'a.jpg': picture })
  folder.write(
    'sources.json',
    JSON.stringify({
      sources: [
        { name: 'web', kind: 'web' },
        {
          name: 'listed',
          kind: 'web',
          pathPrefix: '/listed',
          allowHosts: ['cdn.example', '*.wild.example', '**.deep.example'],
        },
        { name: 'photos', folder: '.', pathPrefix: '/photos' },
      ],
    }),
  )
  halftone = await startHalftone(
    {
      HALFTONE_SOURCES_FILE: `${folder.folder}/sources.json`,
      HALFTONE_SIGNING_KEYS: testSigningKey,
      HALFTONE_IMGIX_TOKENS: 'FOO123bar',
      HALFTONE_ALLOW_ADDRESSES: '127.0.0.1',
      HALFTONE_NEGATIVE_SECONDS: '0',
      HALFTONE_RENDERERS: '1',
    },
    { resolveHost: () => Promise.resolve([{ address: '127.0.0.1', family: 4 }]) },
  )
})
afterAll(async () => {
  await halftone.stop()
  folder.remove()
  await origin.close()
})

const askSigned = (target: string) => ask(halftone, signTarget(target))

describe('the URL in the path', () => {
  const base = () => `http://cdn.example:${origin.port}`
  test.each<[string, (base: string) => string, string]>([
    ['encoded as a whole', (url) => `/${encodeURIComponent(`${url}/x/a.jpg`)}?w=20`, '/x/a.jpg'],
    [
      'encoded in lower case',
      (url) => `/${encodeURIComponent(`${url}/l.jpg`).replace(/%../g, (one) => one.toLowerCase())}`,
      '/l.jpg',
    ],
    [
      'encoded with a query of its own',
      (url) => `/${encodeURIComponent(`${url}/a.jpg?v=1&x=é`)}?w=20`,
      '/a.jpg?v=1&x=%C3%A9',
    ],
    [
      'encoded with spaces and an encoded percent',
      (url) => `/${encodeURIComponent(`${url}/a b/c%20d%2520.jpg`)}`,
      '/a%20b/c%20d%2520.jpg',
    ],
    ['plain, where the query is params', (url) => `/${url}/plain.jpg?w=20`, '/plain.jpg'],
    [
      'plain, with a slash collapsed on the way',
      (url) => `/${url.replace('//', '/')}/collapsed.jpg?w=20`,
      '/collapsed.jpg',
    ],
    ['plain, with percent-encoding of its own', (url) => `/${url}/a%20b.jpg?w=20`, '/a%20b.jpg'],
    ['with a fragment, which is not sent', (url) => `/${encodeURIComponent(`${url}/f.jpg#top`)}`, '/f.jpg'],
  ])('%s', async (_what, target, expected) => {
    expect(await askSigned(target(base()))).toMatchObject({ status: 200 })
    expect(origin.requests.at(-1)?.url).toBe(expected)
  })

  test.each([
    '/a.jpg',
    '/ftp%3A%2F%2Fcdn.example%2Fa.jpg',
    '/https',
    '/http%3A',
    '/https%3A%2F%2F%5B',
    '/%E0%A4%A',
    '/http%3A%2F%2F%ff',
  ])('%s is none', async (target) => {
    expect(await askSigned(target)).toMatchObject({ status: 400, code: 'source_url_invalid' })
  })
})

test('every URL of the web must be signed, natively or as imgix does it', async () => {
  const target = `/${encodeURIComponent(`http://cdn.example:${origin.port}/signed.jpg`)}?w=20`
  expect(await ask(halftone, target)).toMatchObject({ status: 403, code: 'signature_required' })
  expect(await ask(halftone, `${target}&s=${'0'.repeat(32)}`)).toMatchObject({ status: 403, code: 'signature_invalid' })
  const s = createHash('md5').update(`FOO123bar${target}`).digest('hex')
  expect(await ask(halftone, `${target}&s=${s}`)).toMatchObject({ status: 200 })
  expect(await askSigned(target)).toMatchObject({ status: 200 })
})

test('without a key there is no web source', async () => {
  await expect(startHalftone({ HALFTONE_SOURCE: 'web' })).rejects.toThrow(/HALFTONE_SIGNING_KEYS/)
})

test('a folder beside it keeps its own rules for paths', async () => {
  expect(await ask(halftone, '/photos/a.jpg?w=20')).toMatchObject({ status: 200 })
  expect(await ask(halftone, '/photos/%2e%2e/a.jpg')).toMatchObject({ status: 400 })
  expect(await ask(halftone, '/photos/http%3A%2F%2Fcdn.example%2Fa.jpg')).toMatchObject({ status: 400 })
})

describe('a list of hosts', () => {
  const from = (host: string) => askSigned(`/listed/${encodeURIComponent(`http://${host}:${origin.port}/a.jpg`)}?w=20`)

  test.each(['cdn.example', 'CDN.EXAMPLE', 'cdn.example.', 'a.wild.example', 'a.deep.example', 'a.b.c.deep.example'])(
    '%s is on it',
    async (host) => {
      expect(await from(host)).toMatchObject({ status: 200 })
    },
  )

  test.each([
    ...[
      'cdn.example.evil.example',
      'xcdn.example',
      'cdn.examplex',
      'cdn-example',
      'evil.example',
      'cdn.example@evil.example',
    ],
    ...[
      'wild.example',
      'a.b.wild.example',
      'deep.example',
      'xdeep.example',
      'evil.example#.wild.example',
      'evil.example?x=.deep.example',
    ],
    ...['evil.example%2f.wild.example', 'evil.example\\.wild.example', 'a.wild.example.evil.example', '127.0.0.1'],
  ])('%s is not', async (host) => {
    const answer = await from(host)
    expect([400, 403]).toContain(answer.status)
    expect(['source_url_refused', 'source_url_invalid']).toContain(answer.code)
  })

  test('holds for redirects too', async () => {
    origin.answer(
      (_request, response) =>
        void response.writeHead(302, { Location: `http://evil.example:${origin.port}/b.jpg` }).end(),
    )
    expect(await from('b.wild.example')).toMatchObject({ status: 403, code: 'source_url_refused' })
  })
})
