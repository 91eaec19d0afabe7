import { request as httpRequest } from 'node:http'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  colorAt,
  colorDistance,
  drawAlphaPng,
  drawAnimation,
  drawCmykJpeg,
  drawGradientJpeg,
  drawQuadrantsJpeg,
  drawSvg,
  quadrantColors,
} from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const browserAccept = 'image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8'
let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone

beforeAll(async () => {
  originals = makePictureFolder({
    'photo.jpg': await drawGradientJpeg(900, 600, { gps: true }),
    'turned.jpg': await drawQuadrantsJpeg(300, 200, { orientation: 6 }),
    'soft.png': await drawAlphaPng(200, 200),
    'print.jpg': await drawCmykJpeg(200, 200),
    'moving.gif': await drawAnimation('gif', { width: 80, height: 60, frames: 5 }),
    'badge.svg': drawSvg('<script>alert(1)</script><rect onload="alert(2)" width="1" height="1"/>'),
    'named.png': await drawGradientJpeg(60, 40),
    'über uns/käse #1.jpg': await drawGradientJpeg(60, 40),
    'notes.jpg': 'not a picture at all',
    '.hidden.jpg': await drawGradientJpeg(60, 40),
  })
  halftone = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_SOURCE_STATE_SECONDS: '1',
    HALFTONE_RENDERERS: '2',
  })
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

async function picture(target: string, headers: Record<string, string> = {}) {
  const response = await halftone.get(target, headers)
  const body = Buffer.from(await response.arrayBuffer())
  return { response, body, type: response.headers.get('content-type') }
}

async function sizeOf(target: string) {
  const { body } = await picture(target)
  const { width, height } = await sharp(body).metadata()
  return [width, height]
}

describe('rendering', () => {
  test.each([
    ['?w=300', [300, 200]],
    ['?h=100', [150, 100]],
    ['?w=100&h=100', [100, 67]],
    ['?w=100&h=100&fit=crop', [100, 100]],
    ['?w=100&h=100&fit=fill&fill-color=f00', [100, 100]],
    ['?w=1800&fit=max', [900, 600]],
    ['?w=0.5', [450, 300]],
    ['?width=120', [120, 80]],
    ['?w=100&dpr=2', [200, 133]],
    ['?rect=0,0,300,300&w=150', [150, 150]],
    ['?fit=crop&ar=9:1', [900, 100]],
  ])('photo.jpg%s is %j', async (query, want) => {
    expect(await sizeOf(`/photo.jpg${query}`)).toEqual(want)
  })

  test('EXIF orientation is applied, then gone with all metadata', async () => {
    const { body } = await picture('/turned.jpg?w=150')
    const metadata = await sharp(body).metadata()
    expect([metadata.width, metadata.height, metadata.orientation, metadata.exif]).toEqual([
      150,
      100,
      undefined,
      undefined,
    ])
    expect(colorDistance(await colorAt(body, 0.25, 0.25), quadrantColors.topLeft)).toBeLessThan(30)
    expect(colorDistance(await colorAt(body, 0.75, 0.75), quadrantColors.bottomRight)).toBeLessThan(30)
  })

  test('a CMYK print file keeps its colours', async () => {
    const { body } = await picture('/print.jpg?w=100')
    expect((await sharp(body).metadata()).space).toBe('srgb')
    const reference = await sharp(await drawCmykJpeg(200, 200))
      .toColourspace('srgb')
      .png()
      .toBuffer()
    for (const [x, y] of [
      [0.25, 0.25],
      [0.75, 0.25],
      [0.25, 0.75],
      [0.75, 0.75],
    ] as const) {
      expect(colorDistance(await colorAt(body, x, y), await colorAt(reference, x, y))).toBeLessThan(25)
    }
    expect(colorDistance(await colorAt(body, 0.25, 0.25), quadrantColors.topLeft)).toBeLessThan(60)
  })

  test('no params: the original, byte for byte, typed by content and not by name', async () => {
    const { body, type, response } = await picture('/named.png')
    expect(type).toBe('image/jpeg')
    expect(body.equals(await drawGradientJpeg(60, 40))).toBe(true)
    expect(response.headers.get('vary')).toBeNull()
  })

  test('an SVG is sanitised as it is, and rasterised at the size asked for', async () => {
    const plain = await picture('/badge.svg')
    expect(plain.type).toBe('image/svg+xml')
    expect(plain.body.toString()).not.toMatch(/script|onload|alert/)
    const raster = await picture('/badge.svg?w=600')
    const metadata = await sharp(raster.body).metadata()
    expect([metadata.format, metadata.width, metadata.height]).toEqual(['png', 600, 300])
  })

  test('decoded paths find their file', async () => {
    expect(
      (await picture(`/${encodeURIComponent('über uns')}/${encodeURIComponent('käse #1.jpg')}?w=30`)).response.status,
    ).toBe(200)
  })
})

describe('negotiation', () => {
  test.each([
    ['/photo.jpg?w=90&auto=format', browserAccept, 'image/avif'],
    ['/photo.jpg?w=90&auto=format', 'image/webp,*/*', 'image/webp'],
    ['/photo.jpg?w=90&auto=format', 'image/avif;q=0,image/webp', 'image/webp'],
    ['/photo.jpg?w=90&auto=format', '*/*', 'image/jpeg'],
    ['/soft.png?w=90&auto=format', '*/*', 'image/png'],
    ['/moving.gif?w=40&auto=format', browserAccept, 'image/webp'],
    ['/moving.gif?w=40&auto=format', '*/*', 'image/gif'],
    ['/photo.jpg?w=90&fm=webp', '*/*', 'image/webp'],
  ])('%s for %s is %s', async (target, accept, want) => {
    const { type, response, body } = await picture(target, { accept })
    expect(type).toBe(want)
    expect(response.headers.get('vary')).toBe(target.includes('auto=format') ? 'Accept' : null)
    const { pages } = await sharp(body, { animated: true }).metadata()
    if (target.startsWith('/moving')) expect(pages).toBe(5)
  })

  test('header games make no second variant', async () => {
    await picture('/photo.jpg?w=91&auto=format', { accept: 'image/webp' })
    for (const accept of ['image/webp;q=0.3, text/html', 'a/b, image/webp', 'image/webp,image/apng,*/*;q=0.1']) {
      const { response } = await picture('/photo.jpg?auto=format&w=91', { accept })
      expect(response.headers.get('cache-status')).toBe('halftone; hit; detail=memory')
    }
    await picture('/photo.jpg?w=92', { accept: 'image/webp' })
    expect(
      (await picture('/photo.jpg?w=92', { accept: browserAccept })).response.headers.get('cache-status'),
    ).toContain('hit')
  })
})

describe('delivery', () => {
  test('a picture carries every promised header', async () => {
    const { response, body } = await picture('/photo.jpg?w=95&auto=format&nonsense=1', {
      'x-request-id': 'abc-123',
      accept: 'image/webp',
    })
    const head = Object.fromEntries(response.headers)
    expect(head).toMatchObject({
      'content-type': 'image/webp',
      'content-length': String(body.length),
      vary: 'Accept',
      'accept-ranges': 'bytes',
      'x-request-id': 'abc-123',
      'x-content-type-options': 'nosniff',
      'cross-origin-resource-policy': 'cross-origin',
      'access-control-allow-origin': '*',
      'timing-allow-origin': '*',
      'content-disposition': 'inline; filename=photo.webp',
      'cache-status': 'halftone; fwd=miss; stored',
    })
    expect(head['cache-control']).toMatch(/^public, max-age=\d+, stale-while-revalidate=\d+$/)
    expect(head['etag']).toMatch(/^"[\w-]+"$/)
    expect(head['content-security-policy']).toContain('sandbox')
    expect(head['server-timing']).toMatch(/dur=/)
    expect(head['x-halftone-params']).toBe('auto=format&w=95')
    expect(head['cache-tag']).toMatch(/^source-[\w-]+,image-\w{16}$/)
    expect(head['surrogate-key']).toBe(head['cache-tag']?.replace(',', ' '))
  })

  test('a repeat comes from memory, with the same head', async () => {
    const first = await picture('/photo.jpg?w=96')
    const second = await picture('/photo.jpg?w=96')
    expect(second.response.headers.get('cache-status')).toBe('halftone; hit; detail=memory')
    expect(second.body.equals(first.body)).toBe(true)
    for (const name of ['etag', 'cache-control', 'content-type', 'last-modified', 'content-disposition']) {
      expect(second.response.headers.get(name)).toBe(first.response.headers.get(name))
    }
  })

  test('each representation has its own ETag', async () => {
    const tags = new Set<string | null>()
    for (const [query, accept] of [
      ['w=97&auto=format', 'image/avif'],
      ['w=97&auto=format', 'image/webp'],
      ['w=97&auto=format', '*/*'],
      ['w=98', '*/*'],
    ] as const) {
      tags.add((await picture(`/photo.jpg?${query}`, { accept })).response.headers.get('etag'))
    }
    expect(tags.size).toBe(4)
  })

  test('a known ETag answers 304 without a body, also before anything was rendered', async () => {
    const { response } = await picture('/photo.jpg?w=99')
    const etag = String(response.headers.get('etag'))
    const again = await picture('/photo.jpg?w=99', { 'if-none-match': `"other", W/${etag}` })
    expect(again.response.status).toBe(304)
    expect(again.body.length).toBe(0)
    expect(again.response.headers.get('etag')).toBe(etag)
    expect(again.response.headers.get('cache-control')).toBe(response.headers.get('cache-control'))
    expect((await picture('/photo.jpg?w=99', { 'if-none-match': '"other"' })).response.status).toBe(200)
  })

  test('a byte range of a stored body', async () => {
    const { body } = await picture('/photo.jpg?w=100')
    const part = await picture('/photo.jpg?w=100', { range: 'bytes=10-19' })
    expect(part.response.status).toBe(206)
    expect(part.response.headers.get('content-range')).toBe(`bytes 10-19/${body.length}`)
    expect(part.body.equals(body.subarray(10, 20))).toBe(true)
    const beyond = await picture('/photo.jpg?w=100', { range: `bytes=${body.length}-` })
    expect(beyond.response.status).toBe(416)
    expect(beyond.response.headers.get('content-range')).toBe(`bytes */${body.length}`)
  })

  test('HEAD equals GET without a body', async () => {
    const get = await picture('/photo.jpg?w=101&auto=format')
    const head = await fetch(`${halftone.origin}/photo.jpg?w=101&auto=format`, { method: 'HEAD' })
    expect(await head.text()).toBe('')
    const volatile = new Set(['date', 'server-timing', 'x-request-id', 'cache-status', 'connection', 'keep-alive'])
    const stable = (headers: Headers) => [...headers].filter(([name]) => !volatile.has(name))
    expect(stable(head.headers)).toEqual(stable(get.response.headers))
  })

  test('dl= makes it a download under a harmless name', async () => {
    const { response } = await picture(`/photo.jpg?w=50&dl=${encodeURIComponent('käse"\r\nX: 1.jpg')}`)
    expect(response.status).toBe(200)
    expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename=/)
    expect(response.headers.get('x')).toBeNull()
  })

  test('a changed original is seen within seconds', async () => {
    originals.write('changing.jpg', await drawGradientJpeg(64, 64))
    const before = await picture('/changing.jpg?w=32')
    originals.write('changing.jpg', await drawQuadrantsJpeg(64, 64))
    await expect
      .poll(async () => (await picture('/changing.jpg?w=32')).response.headers.get('etag'), {
        timeout: 8000,
        interval: 200,
      })
      .not.toBe(before.response.headers.get('etag'))
    expect(
      colorDistance(await colorAt((await picture('/changing.jpg?w=32')).body, 0.2, 0.2), quadrantColors.topLeft),
    ).toBeLessThan(30)
  })

  test('identical requests at once are rendered once', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, () => picture('/photo.jpg?w=777&fm=webp')))
    const statuses = answers.map(({ response }) => response.headers.get('cache-status'))
    expect(statuses.filter((status) => status === 'halftone; fwd=miss; stored')).toHaveLength(1)
    expect(new Set(answers.map(({ body }) => body.toString('base64'))).size).toBe(1)
  })

  test('when the first client goes away, the others still get their picture', async () => {
    const target = '/photo.jpg?w=850&fm=avif'
    const gone = httpRequest(`${halftone.origin}${target}`)
    gone.on('error', () => {})
    gone.end()
    await new Promise((resolve) => setTimeout(resolve, 5))
    const other = picture(target)
    await new Promise((resolve) => setTimeout(resolve, 5))
    gone.destroy()
    expect((await other).response.status).toBe(200)
  })
})

describe('errors', () => {
  test.each([
    ['/absent.jpg?w=1', 404, 'not_found'],
    ['/notes.jpg?w=10', 422, 'not_an_image'],
    ['/notes.jpg', 422, 'not_an_image'],
    ['/.hidden.jpg?w=10', 400, 'path_invalid'],
    ['/a%2f..%2f..%2fetc/passwd?w=10', 400, 'path_invalid'],
    ['/photo.jpg?w64=%21%21%21', 400, 'param_invalid'],
    ['/photo.jpg?w=10&expires=1000', 404, 'url_expired'],
    ['/-/nothing', 404, 'not_found'],
    ['/v1/nothing', 401, 'unauthenticated'],
    ['/-/playground/%E0%A4%A', 404, 'not_found'],
  ])('%s is %i %s', async (target, status, code) => {
    const { response, body, type } = await picture(target)
    expect(response.status).toBe(status)
    expect(type).toBe('application/problem+json')
    const document = JSON.parse(body.toString()) as Record<string, unknown>
    expect(document['code']).toBe(code)
    expect(document['requestId']).toBe(response.headers.get('x-request-id'))
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('cache-control')).toMatch(/no-store|max-age=60$/)
  })

  test('a target that is too long is refused', async () => {
    expect((await picture(`/photo.jpg?w=10&x=${'a'.repeat(9000)}`)).response.status).toBe(414)
  })

  test('bad values are ignored, and what was applied is told', async () => {
    const { response } = await picture('/photo.jpg?w=abc&h=50&fit=sideways&toString=1&__proto__=2')
    expect(response.status).toBe(200)
    expect(response.headers.get('x-halftone-params')).toBe('h=50')
  })

  test('only GET and HEAD', async () => {
    const response = await fetch(`${halftone.origin}/photo.jpg?w=10`, { method: 'POST', body: 'x' })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test('a malformed original costs one render, not one a request', async () => {
    const renders = async () => {
      const text = await (await halftone.get('/-/metrics')).text()
      return Number(/halftone_events_total\{part="renders",event="not_an_image"\} (\d+)/.exec(text)?.[1] ?? 0)
    }
    const before = await renders()
    for (let i = 0; i < 5; i += 1) expect((await picture('/notes.jpg?w=12')).response.status).toBe(422)
    expect(await renders()).toBe(before + 1)
  })

  test('an error varies where its URL negotiates, and only there', async () => {
    expect((await picture('/notes.jpg?w=13&auto=format')).response.headers.get('vary')).toBe('Accept')
    expect((await picture('/absent.jpg?w=13&auto=format')).response.headers.get('vary')).toBe('Accept')
    expect((await picture('/a%2fb.jpg?auto=format')).response.headers.get('vary')).toBe('Accept')
    expect((await picture('/notes.jpg?w=13')).response.headers.get('vary')).toBeNull()
  })

  test.each([
    ['*', undefined],
    [undefined, new Date().toUTCString()],
    ['"anything"', undefined],
  ] as const)(
    'a broken original is never "not modified" (If-None-Match %s, If-Modified-Since %s)',
    async (tag, date) => {
      const headers: Record<string, string> = {
        ...(tag ? { 'if-none-match': tag } : {}),
        ...(date ? { 'if-modified-since': date } : {}),
      }
      expect((await picture('/notes.jpg?w=14', headers)).response.status).toBe(422)
    },
  )

  test('If-None-Match: * finds the picture that is there', async () => {
    expect((await picture('/photo.jpg?w=103', { 'if-none-match': '*' })).response.status).toBe(304)
  })
})

describe('operations', () => {
  test('health, ready and metrics', async () => {
    expect(await (await halftone.get('/-/health')).json()).toEqual({ status: 'ok' })
    expect(await (await halftone.get('/-/ready')).json()).toEqual({ status: 'ready', reasons: [] })
    const text = await (await halftone.get('/-/metrics')).text()
    expect(text).toMatch(/^halftone_renderers 2$/m)
    expect(text).toMatch(/^halftone_renderers_ready 2$/m)
    for (const name of [
      'halftone_requests_total{status="200",outcome="memory"}',
      'halftone_render_duration_seconds_bucket',
      'halftone_render_queue_jobs',
      'halftone_response_bytes_total',
      'halftone_cache_bytes{tier="disk"}',
    ]) {
      expect(text).toContain(name)
    }
  })

  test('one JSON log line a request, without the query', async () => {
    await picture('/photo.jpg?w=33&s=secretsignature', { 'x-request-id': 'log-me' })
    const lines = halftone.logLines.filter((line) => line['requestId'] === 'log-me')
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatchObject({
      event: 'request',
      level: 'info',
      method: 'GET',
      path: '/photo.jpg',
      status: 200,
      outcome: 'render',
      width: 33,
    })
    expect(JSON.stringify(halftone.logLines)).not.toContain('secretsignature')
  })

  test('the playground is there and fed', async () => {
    expect((await halftone.get('/')).url).toBe(`${halftone.origin}/-/playground/`)
    const fed = (await (await halftone.get('/-/playground/params.json')).json()) as { params: { name: string }[] }
    expect(fed.params.map((param) => param.name)).toContain('fp-x')
  })
})

describe('the colour under a transparent picture', () => {
  test.each(['jpg', 'png', 'webp', 'avif'])('bg is what fm=%s shows in the corners, bars or not', async (format) => {
    for (const query of ['w=100', 'w=100&h=160&fit=fill']) {
      const { body } = await picture(`/soft.png?${query}&bg=1b1740&fm=${format}`)
      expect(colorDistance(await colorAt(body, 0, 0), [0x1b, 0x17, 0x40]), query).toBeLessThan(12)
      expect(colorDistance(await colorAt(body, 0.5, 0.5), [250, 120, 20]), query).toBeLessThan(30)
    }
  })
})
