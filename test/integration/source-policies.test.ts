import { request } from 'node:http'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawGradientJpeg, drawQuadrantsJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone

beforeAll(async () => {
  originals = makePictureFolder({
    'shop/a.jpg': await drawGradientJpeg(1000, 500),
    'press/a.jpg': await drawQuadrantsJpeg(100, 100),
  })
  const shop = { folder: `${originals.folder}/shop` }
  originals.write('presets.json', JSON.stringify({ card: 'w=200&h=100&fit=crop' }))
  originals.write(
    'sources.json',
    JSON.stringify({
      sources: [
        {
          name: 'snapping',
          ...shop,
          pathPrefix: '/snap',
          variants: { kind: 'snap', widths: [100, 200, 400], qualities: [50, 75] },
        },
        { name: 'presets', ...shop, pathPrefix: '/presets', variants: { kind: 'presets-only' } },
        { name: 'strict', ...shop, pathPrefix: '/strict', strict: true },
        { name: 'fixed', ...shop, pathPrefix: '/fixed', immutable: true },
        { name: 'defaults', ...shop, pathPrefix: '/defaults', defaultParams: 'w=150&q=40' },
        {
          name: 'closed',
          ...shop,
          pathPrefix: '/closed',
          visibility: 'private',
          strict: true,
          defaultParams: 'auto=format',
        },
        { name: 'press', folder: `${originals.folder}/press`, host: 'press.example' },
        { name: 'rest', ...shop },
      ],
    }),
  )
  halftone = await startHalftone({
    HALFTONE_SOURCES_FILE: `${originals.folder}/sources.json`,
    HALFTONE_PRESETS_FILE: `${originals.folder}/presets.json`,
    HALFTONE_SIGNING_KEYS: 'k1:a-secret-of-some-length',
  })
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

async function ask(target: string) {
  const response = await halftone.get(target)
  const body = Buffer.from(await response.arrayBuffer())
  const isImage = response.headers.get('content-type')?.startsWith('image/') ?? false
  const { width, height } = isImage ? await sharp(body).metadata() : {}
  const problem = isImage ? undefined : (JSON.parse(body.toString()) as { code: string; detail: string })
  return {
    status: response.status,
    width,
    height,
    body,
    code: problem?.code,
    detail: problem?.detail,
    head: response.headers,
  }
}

describe('snap', () => {
  test.each([
    ['w=101', 200],
    ['w=200', 200],
    ['w=100&dpr=1.7', 200],
    ['w=3000', 400],
    ['w=1', undefined],
  ])('%s is %s px wide', async (query, want) => {
    const { width } = await ask(`/snap/a.jpg?${query}`)
    expect(width).toBe(want ?? 1000)
  })

  test('all widths and qualities between two steps are one variant', async () => {
    const etags = new Set<string | null>()
    for (const query of ['w=120&q=60', 'w=130&q=75', 'w=199&q=70', 'w=60&dpr=2.5&q=75'])
      etags.add((await ask(`/snap/a.jpg?${query}`)).head.get('etag'))
    expect(etags.size).toBe(1)
  })

  test('a signed URL is exact', async () => {
    const target = '/snap/a.jpg?w=123'
    const { createHmac } = await import('node:crypto')
    expect(
      (await ask(`${target}&sig=${createHmac('sha256', 'a-secret-of-some-length').update(target).digest('base64url')}`))
        .width,
    ).toBe(123)
  })
})

describe('presets', () => {
  test('a preset is a named set of params that the URL may overrule', async () => {
    expect(await ask('/a.jpg?preset=card')).toMatchObject({ status: 200, width: 200, height: 100 })
    expect(await ask('/a.jpg?preset=card&w=80')).toMatchObject({ width: 80, height: 100 })
  })

  test('presets-only refuses everything else by name', async () => {
    expect(await ask('/presets/a.jpg?preset=card')).toMatchObject({ status: 200, width: 200 })
    expect(await ask('/presets/a.jpg?w=100')).toMatchObject({
      status: 400,
      code: 'preset_required',
      detail: expect.stringContaining('w') as string,
    })
    expect(await ask('/presets/a.jpg?preset=other')).toMatchObject({ status: 400 })
    expect(await ask('/presets/a.jpg')).toMatchObject({ status: 400, code: 'preset_required' })
  })

  test('defaults of a source are behind the URL', async () => {
    expect((await ask('/defaults/a.jpg')).width).toBe(150)
    expect((await ask('/defaults/a.jpg?w=90')).width).toBe(90)
  })
})

describe('strict', () => {
  test.each([
    ['w=abc', 'w'],
    ['fit=sideways', 'fit'],
    ['q=-1', 'q'],
    ['bg=nocolour', 'bg'],
    ['preset=nothere', 'preset'],
  ])('%s is a 400 that names it, what was expected and what came', async (query, name) => {
    const { status, code, detail } = await ask(`/strict/a.jpg?${query}`)
    expect([status, code]).toEqual([400, 'param_invalid'])
    expect(detail).toContain(name)
    expect(detail).toMatch(/expected/i)
    expect(detail).toContain(String(query.split('=')[1]))
  })

  test('unknown names stay ignored', async () => {
    expect((await ask('/strict/a.jpg?w=100&utm_source=x')).width).toBe(100)
  })
})

test('an error of a private source is stored by nobody, and its defaults decide its Vary', async () => {
  const { createHmac } = await import('node:crypto')
  const target = '/closed/a.jpg?w=abc'
  const { status, head } = await ask(
    `${target}&sig=${createHmac('sha256', 'a-secret-of-some-length').update(target).digest('base64url')}`,
  )
  expect([status, head.get('cache-control'), head.get('vary')]).toEqual([400, 'no-store', 'Accept'])
})

test.each(['a b', 'x@y', 'host:80:80', 'a,b', 'a..b'])(
  'Host: %s is refused and falls through to no source',
  async (host) => {
    const status = await new Promise((resolve, reject) => {
      request(`${halftone.origin}/a.jpg`, { headers: { host } }, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
    expect(status).toBe(400)
  },
)

test('an immutable source is kept for a year', async () => {
  expect((await ask('/fixed/a.jpg?w=50')).head.get('cache-control')).toBe('public, max-age=31536000, immutable')
})

test('Host selects the source; case and port do not matter', async () => {
  const widthFor = (host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      request(`${halftone.origin}/a.jpg`, { headers: { host } }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on(
          'end',
          () =>
            void sharp(Buffer.concat(chunks))
              .metadata()
              .then(({ width }) => resolve(width), reject),
        )
      }).end()
    })
  expect(await widthFor('press.example')).toBe(100)
  expect(await widthFor('PRESS.example:8080')).toBe(100)
  expect(await widthFor('other.example')).toBe(1000)
})
