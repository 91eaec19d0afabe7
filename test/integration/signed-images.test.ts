import { createHash, createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const token = 'FOO123bar'
let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone

beforeAll(async () => {
  originals = makePictureFolder({ 'a.jpg': await drawGradientJpeg(90, 60) })
  originals.write(
    'sources.json',
    JSON.stringify({
      sources: [
        { name: 'open', folder: originals.folder, pathPrefix: '/open' },
        { name: 'secret', folder: originals.folder, pathPrefix: '/secret', visibility: 'private', maxAgeSeconds: 600 },
        { name: 'guarded', folder: originals.folder, pathPrefix: '/guarded', signed: 'always' },
      ],
    }),
  )
  halftone = await startHalftone({
    HALFTONE_SOURCES_FILE: `${originals.folder}/sources.json`,
    HALFTONE_SIGNING_KEYS: 'k2:newsecret,k1:oldsecret',
    HALFTONE_IMGIX_TOKENS: token,
  })
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

const join = (target: string, pair: string) => `${target}${target.includes('?') ? '&' : '?'}${pair}`
const sign = (target: string, secret = 'newsecret') =>
  join(target, `sig=${createHmac('sha256', secret).update(target).digest('base64url')}`)
const signImgix = (target: string) =>
  join(
    target,
    `s=${createHash('md5')
      .update(token + target)
      .digest('hex')}`,
  )
const inSeconds = (seconds: number) => Math.floor(Date.now() / 1000) + seconds

async function ask(target: string, headers: Record<string, string> = {}) {
  const response = await halftone.get(target, headers)
  const isProblem = response.headers.get('content-type') === 'application/problem+json'
  const code = isProblem ? ((await response.json()) as { code: string }).code : undefined
  if (!isProblem) await response.arrayBuffer()
  return {
    status: response.status,
    code,
    cacheControl: response.headers.get('cache-control'),
    cacheStatus: response.headers.get('cache-status'),
    etag: response.headers.get('etag'),
  }
}

describe('a private source', () => {
  test.each(['/secret/a.jpg', '/secret/a.jpg?w=30', '/secret/absent.jpg'])(
    '%s without a signature is refused, whether or not it exists',
    async (target) => {
      expect(await ask(target)).toMatchObject({ status: 403, code: 'signature_required', cacheControl: 'no-store' })
    },
  )

  test('opens with a native signature of any live key, and is private', async () => {
    for (const target of [
      sign('/secret/a.jpg?w=31'),
      sign('/secret/a.jpg?w=31', 'oldsecret'),
      sign('/secret/a.jpg?w=31&kid=k1', 'oldsecret'),
    ]) {
      expect(await ask(target)).toMatchObject({ status: 200, cacheControl: 'private, max-age=600' })
    }
    expect(await ask(sign('/secret/a.jpg'))).toMatchObject({ status: 200 })
  })

  test('opens with an imgix signature', async () => {
    expect(await ask(signImgix('/secret/a.jpg?w=32'))).toMatchObject({
      status: 200,
      cacheControl: 'private, max-age=600',
    })
  })

  test.each([
    ['another key', () => sign('/secret/a.jpg?w=33', 'guess')],
    ['the wrong kid', () => sign('/secret/a.jpg?w=33&kid=k1', 'newsecret')],
    ['an unknown kid', () => sign('/secret/a.jpg?w=33&kid=k9')],
    ['another param', () => sign('/secret/a.jpg?w=33').replace('w=33', 'w=34')],
    ['another path', () => sign('/secret/b.jpg?w=33').replace('/b.jpg', '/a.jpg')],
    ['something appended', () => `${sign('/secret/a.jpg?w=33')}&w=4000`],
    ['a second signature', () => `${sign('/secret/a.jpg?w=33')}&sig=x`],
    ['another encoding of the same target', () => sign('/secret/a.jpg?w=33').replace('/secret/a', '/secret/%61')],
    ['an imgix forgery', () => `/secret/a.jpg?w=33&s=${'0'.repeat(32)}`],
    ['a HEAD of an empty signature', () => '/secret/a.jpg?w=33&sig='],
  ])('refuses %s', async (_name, make) => {
    expect(await ask(make())).toMatchObject({ status: 403, code: 'signature_invalid', cacheControl: 'no-store' })
  })

  test('an expiring URL is kept no longer than it lives', async () => {
    const { status, cacheControl } = await ask(sign(`/secret/a.jpg?w=35&expires=${inSeconds(100)}`))
    expect(status).toBe(200)
    expect(Number(/^private, max-age=(\d+)$/.exec(cacheControl ?? '')?.[1])).toBeLessThanOrEqual(100)
  })

  test('an expired URL is refused also when the picture is hot, and for its ETag, too', async () => {
    const target = sign(`/secret/a.jpg?w=36&expires=${inSeconds(2)}`)
    const first = await ask(target)
    expect(first.status).toBe(200)
    expect((await ask(target)).cacheStatus).toContain('hit')
    await new Promise((resolve) => setTimeout(resolve, 2100))
    expect(await ask(target)).toMatchObject({ status: 403, code: 'signature_expired', cacheControl: 'no-store' })
    expect(await ask(target, { 'if-none-match': String(first.etag) })).toMatchObject({ status: 403 })
    expect(await ask(signImgix(`/secret/a.jpg?w=36&expires=${inSeconds(-5)}`))).toMatchObject({
      status: 404,
      code: 'url_expired',
    })
  })
})

describe('other sources', () => {
  test('signed=always wants a signature for a public picture, which stays public', async () => {
    expect(await ask('/guarded/a.jpg?w=30')).toMatchObject({ status: 403, code: 'signature_required' })
    const signed = await ask(sign('/guarded/a.jpg?w=30'))
    expect(signed.status).toBe(200)
    expect(signed.cacheControl).toMatch(/^public/)
  })

  test('on a public source a stale signature is ignored', async () => {
    expect(await ask('/open/a.jpg?s=00000000000000000000000000000000&w=30')).toMatchObject({ status: 200 })
  })

  test('private and public answers never share a cache entry', async () => {
    await ask(sign('/secret/a.jpg?w=40'))
    expect((await ask('/open/a.jpg?w=40')).cacheStatus).toContain('miss')
  })
})
