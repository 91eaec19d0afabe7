import { createHmac, hkdfSync } from 'node:crypto'
import { SignJWT } from 'jose'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { startUploads, targetOf, type Finished, type UploadServer } from '../helpers/upload-api.ts'

let server: UploadServer
let image: Finished['image']
let other: Finished['image']

beforeAll(async () => {
  server = await startUploads({ HALFTONE_SIGNED_URL_MAX_SECONDS: '7200', HALFTONE_PUBLIC_UPLOADS: 'true' })
  image = (await server.admin.upload(await drawGradientJpeg(200, 150))).image
  other = (await server.admin.upload(await drawGradientJpeg(100, 100))).image
})
afterAll(() => server?.stop())

const look = (target: string) => ask(server.halftone, target)
const widthOf = async (target: string) => (await sharp((await look(target)).body).metadata()).width

async function share(body: object): Promise<{ id: string; target: string; token: string }> {
  const { status, json } = await server.admin.post(`/v1/images/${image.id}/shares`, body)
  expect(status).toBe(201)
  const target = targetOf(String(json['url']))
  return { id: String(json['id']), target, token: target.split('token=')[1] ?? '' }
}

async function signedUrl(body: object): Promise<string> {
  const { status, json } = await server.admin.post(`/v1/images/${image.id}/signed-url`, body)
  expect(status).toBe(200)
  return targetOf(String(json['url']))
}

describe('signed URLs', () => {
  test('with any transform, by params that are added', async () => {
    const target = await signedUrl({})
    expect(await widthOf(target)).toBe(200)
    expect(await widthOf(`${target}&w=33`)).toBe(33)
    expect(await widthOf(target.replace('?', '?w=34&'))).toBe(34)
  })

  test('with one transform and no other', async () => {
    const target = await signedUrl({ params: 'w=35&fm=png' })
    expect(await widthOf(target)).toBe(35)
    for (const changed of [target.replace('w=35', 'w=36'), target.replace('?', '?h=9&'), `${target}&h=9`]) {
      expect(await look(changed)).toMatchObject({ status: 403, code: 'signature_invalid' })
    }
  })

  test('live an hour, or as long as is asked for, up to a bound', async () => {
    const lifeOf = async (body: object) => {
      const { json } = await server.admin.post(`/v1/images/${image.id}/signed-url`, body)
      return Math.round((Date.parse(String(json['expiresAt'])) - Date.now()) / 1000)
    }
    expect(await lifeOf({})).toBe(3600)
    expect(await lifeOf({ expiresIn: 7200 })).toBe(7200)
    for (const path of ['signed-url', 'shares']) {
      const refused = await server.admin.post(`/v1/images/${image.id}/${path}`, { expiresIn: 7201 })
      expect(refused).toMatchObject({ status: 400, json: { code: 'bad_request' } })
      expect(refused.json['detail']).toMatch(/expiresIn.*7200.*7201/)
    }
  })

  test.each([
    { expiresIn: 0 },
    { expiresIn: 1.5 },
    { expiresIn: 'soon' },
    { params: 'w=1#a' },
    { params: '?w=1 2' },
    { params: 'w=1&sig=x' },
    { params: 'w=1&token=x' },
    { params: 'expires=1' },
    { seconds: 1 },
  ])('are not made of %j', async (body) => {
    for (const path of ['signed-url', 'shares']) {
      const answer = await server.admin.post(`/v1/images/${image.id}/${path}`, body)
      expect(answer).toMatchObject({ status: 400, json: { code: 'bad_request' } })
    }
  })

  test('end', async () => {
    for (const body of [{ expiresIn: 1 }, { expiresIn: 1, params: 'w=37' }]) {
      const target = await signedUrl(body)
      expect((await look(target)).status).toBe(200)
      await new Promise((resolve) => setTimeout(resolve, 1100))
      expect(await look(target)).toMatchObject({ status: 403, code: 'signature_expired' })
    }
  })
})

describe('shares', () => {
  test('follow the newest version, are listed, and are taken back', async () => {
    const { id, target } = await share({ expiresIn: 60 })
    expect(target).toMatch(new RegExp(`^/u/${image.id}\\?token=`))
    expect(await widthOf(`${target}&w=21`)).toBe(21)
    const listed = async () =>
      (await server.admin.get(`/v1/images/${image.id}/shares`)).json['shares'] as { id: string }[]
    expect((await listed()).find((one) => one.id === id)).toMatchObject({
      uses: 1,
      maxUses: null,
      params: null,
      revoked: false,
    })
    expect((await server.admin.delete(`/v1/images/${other.id}/shares/${id}`)).status).toBe(404)
    expect((await server.admin.delete(`/v1/images/${image.id}/shares/${id}`)).status).toBe(204)
    expect(await look(`${target}&w=21`)).toMatchObject({ status: 403, code: 'signature_expired' })
    expect((await listed()).find((one) => one.id === id)).toMatchObject({ revoked: true })
    expect((await server.admin.delete(`/v1/images/${image.id}/shares/${id}`)).status).toBe(404)
  })

  test('of one transform ignore what else is asked for', async () => {
    const { target } = await share({ params: 'w=22&fm=png' })
    for (const asked of [target, `${target}&w=150`, target.replace('?', '?w=150&h=150&fm=jpg&'), `${target}&blur=9`]) {
      const { body, headers } = await look(asked)
      expect([(await sharp(body).metadata()).width, headers.get('content-type')]).toEqual([22, 'image/png'])
    }
  })

  test('are counted exactly, also where all come at once', async () => {
    const { id, target } = await share({ maxUses: 7 })
    const answers = await Promise.all(Array.from({ length: 20 }, () => look(`${target}&w=23`)))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(7)
    for (const { status, code, headers } of answers) {
      if (status === 200) expect(headers.get('cache-control')).toBe('private, no-store')
      else expect([status, code, headers.get('cache-control')]).toEqual([403, 'signature_expired', 'no-store'])
    }
    const { json } = await server.admin.get(`/v1/images/${image.id}/shares`)
    expect((json['shares'] as { id: string }[]).find((one) => one.id === id)).toMatchObject({ uses: 7, maxUses: 7 })
    expect((await look(`${target}&w=23`)).status).toBe(403)
  })

  test('open nothing of the API', async () => {
    const { token } = await share({})
    for (const path of [`/v1/images/${image.id}`, '/v1/usage']) {
      expect((await server.as(token).get(path)).status).toBe(401)
    }
  })

  test('are in no log line', async () => {
    const { token, target } = await share({})
    await look(target)
    await look(`${target}broken`)
    expect(JSON.stringify(server.halftone.logLines)).not.toContain(token.slice(-20))
  })
})

describe('tokens that open nothing', () => {
  const imageTokens = () => {
    const [row] = server.rows<{ value: string }>("select value from secrets where name = 'server'")
    return new Uint8Array(hkdfSync('sha256', row?.value ?? '', 'halftone', 'image-tokens', 32))
  }
  const make = (header: { typ?: string; alg?: string }, claims: Record<string, unknown>, secret = imageTokens()) =>
    new SignJWT(claims).setProtectedHeader({ alg: 'HS256', typ: 'halftone-access+jwt', ...header }).sign(secret)
  const soon = () => Math.floor(Date.now() / 1000) + 60
  const unsigned = (header: object, payload: object) =>
    [header, payload].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.')

  test('while one that is made as ours is opens it', async () => {
    const token = await make({}, { sub: image.id, ver: 1, exp: soon() })
    expect((await look(`/u/${image.id}/1/a.jpg?token=${token}`)).status).toBe(200)
  })

  const cases: readonly (readonly [string, () => string | Promise<string>, string])[] = [
    ['of another image', () => make({}, { sub: other.id, ver: 1, exp: soon() }), 'signature_invalid'],
    ['of another kind', () => make({ typ: 'JWT' }, { sub: image.id, ver: 1, exp: soon() }), 'signature_invalid'],
    [
      'of an upload',
      () => make({ typ: 'halftone-upload+jwt' }, { sub: image.id, ver: 1, exp: soon() }),
      'signature_invalid',
    ],
    [
      'of a share without its id',
      () => make({ typ: 'halftone-share+jwt' }, { sub: image.id, exp: soon() }),
      'signature_invalid',
    ],
    [
      'of a share that is not there',
      () => make({ typ: 'halftone-share+jwt' }, { sub: image.id, exp: soon(), jti: 'shr_x' }),
      'signature_invalid',
    ],
    [
      'with an id, as only shares have',
      () => make({}, { sub: image.id, ver: 1, exp: soon(), jti: 'shr_x' }),
      'signature_invalid',
    ],
    ['without an end', () => make({}, { sub: image.id, ver: 1 }), 'signature_invalid'],
    ['that is over', () => make({}, { sub: image.id, ver: 1, exp: soon() - 100 }), 'signature_expired'],
    [
      'of another secret',
      () => make({}, { sub: image.id, ver: 1, exp: soon() }, new Uint8Array(32)),
      'signature_invalid',
    ],
    [
      'of another algorithm',
      () => make({ alg: 'HS512' }, { sub: image.id, ver: 1, exp: soon() }, new Uint8Array(64)),
      'signature_invalid',
    ],
    [
      'of no algorithm',
      () => `${unsigned({ alg: 'none', typ: 'halftone-access+jwt' }, { sub: image.id, ver: 1, exp: soon() })}.`,
      'signature_invalid',
    ],
    ['that is none', () => 'let-me-in', 'signature_invalid'],
    ['that is empty', () => '', 'signature_invalid'],
    ['that is endless', () => 'a.'.repeat(2000), 'signature_invalid'],
  ]
  test.each(cases)('%s', async (_what, token, code) => {
    for (const path of [`/u/${image.id}`, `/u/${image.id}/1/a.jpg`]) {
      expect(await look(`${path}?token=${await token()}`)).toMatchObject({ status: 403, code })
    }
  })

  test('of another version: what an owner has replaced is not shown by a link to what came after', async () => {
    const { image: own } = await server.admin.upload(await drawGradientJpeg(90, 60))
    const id = String(own.id)
    await server.admin.upload(await drawGradientJpeg(60, 90), { image: id, filename: 'redacted.jpg' })
    const { json: signed } = await server.admin.post(`/v1/images/${id}/signed-url`, {})
    const { json: shared } = await server.admin.post(`/v1/images/${id}/shares`, {})
    for (const target of [targetOf(String(signed['url'])), targetOf(String(shared['url']))]) {
      expect((await look(target)).status).toBe(200)
      const token = target.split('token=')[1] ?? ''
      expect(await look(`/u/${id}/1/a.jpg?token=${token}`)).toMatchObject({ status: 403, code: 'signature_invalid' })
    }
  })

  test('of another share of another image, and with a piece changed', async () => {
    const { token } = await share({})
    expect(await look(`/u/${other.id}?token=${token}`)).toMatchObject({ status: 403, code: 'signature_invalid' })
    const [head = '', , signature = ''] = token.split('.')
    const claims = Buffer.from(JSON.stringify({ sub: other.id, exp: soon() })).toString('base64url')
    expect((await look(`/u/${other.id}?token=${head}.${claims}.${signature}`)).status).toBe(403)
  })

  test('of the upload of somebody without credentials', async () => {
    const anybody = await server.as(undefined).presign(await drawGradientJpeg(20, 20))
    expect((await look(`/u/${image.id}?token=${anybody.token ?? ''}`)).status).toBe(403)
  })

  test('and no signature by a key that is not ours', async () => {
    const target = `/u/${image.id}/1/a.jpg?w=10`
    const sig = createHmac('sha256', 'guess').update(target).digest('base64url')
    expect(await look(`${target}&sig=${sig}`)).toMatchObject({ status: 403, code: 'signature_invalid' })
  })
})
