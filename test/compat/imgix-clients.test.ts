import sharp from 'sharp'
import { transform as unpicTransform } from 'unpic/providers/imgix'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { createImgixClient } from '../helpers/imgix-client.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const token = 'FOO123bar'
const host = 'images.local'
let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone

beforeAll(async () => {
  const photo = await drawGradientJpeg(1200, 800)
  originals = makePictureFolder({ 'photo.jpg': photo, 'im ages/ü+a:b?c#d&e.jpg': photo })
  halftone = await startHalftone({
    HALFTONE_SOURCE: originals.folder,
    HALFTONE_SIGNED: 'always',
    HALFTONE_IMGIX_TOKENS: `othertoken,${token}`,
  })
})
afterAll(async () => {
  await halftone.stop()
  originals.remove()
})

/** Client libraries refuse a port, so the host is swapped after the URL was made; path and query stay as they are. */
async function ask(url: string, accept = '*/*') {
  const target = url.replace(/^https?:\/\/[^/]+/, '')
  const response = await halftone.get(target, { accept })
  const body = Buffer.from(await response.arrayBuffer())
  const { width, height, format } = response.ok ? await sharp(body).metadata() : {}
  return { status: response.status, width, height, format, applied: response.headers.get('x-halftone-params') }
}

describe('@imgix/js-core', () => {
  const client = createImgixClient({ domain: host, secureURLToken: token })

  test('a signed URL is served as asked', async () => {
    const url = client.buildURL('/photo.jpg', {
      w: 400,
      h: 300,
      fit: 'crop',
      crop: ['top', 'left'],
      auto: 'format,compress',
    })
    expect(url).toContain('ixlib=js-')
    expect(await ask(url, 'image/avif,image/webp')).toMatchObject({
      status: 200,
      width: 400,
      height: 300,
      format: 'heif',
    })
    expect(await ask(url, 'image/webp')).toMatchObject({ status: 200, width: 400, height: 300, format: 'webp' })
  })

  test('odd paths and base64 twins survive encoding, signing and decoding', async () => {
    const url = client.buildURL('/im ages/ü+a:b?c#d&e.jpg', { w64: '150', txt64: 'I cannøt belîév∑ it wors! 😱' })
    expect(await ask(url)).toMatchObject({ status: 200, width: 150, applied: 'w=150' })
  })

  test('a signed URL cannot be changed', async () => {
    expect(await ask(client.buildURL('/photo.jpg', { w: 400 }).replace('w=400', 'w=4000'))).toMatchObject({
      status: 403,
    })
    expect(await ask(createImgixClient({ domain: host }).buildURL('/photo.jpg', { w: 400 }))).toMatchObject({
      status: 403,
    })
  })

  test('every entry of a fluid srcset is served at its width', async () => {
    const entries = srcsetEntries(client.buildSrcSet('/photo.jpg', { fit: 'max' }, { maxWidth: 1100 }))
    expect(entries.length).toBeGreaterThan(10)
    for (const { url, descriptor } of entries) {
      expect(await ask(url)).toMatchObject({ status: 200, width: Number(descriptor.slice(0, -1)) })
    }
  })

  test('every entry of a fixed srcset is served at its density, smaller in quality', async () => {
    const entries = srcsetEntries(client.buildSrcSet('/photo.jpg', { w: 100, h: 80, fit: 'crop' }))
    expect(entries.map(({ descriptor }) => descriptor)).toEqual(['1x', '2x', '3x', '4x', '5x'])
    for (const { url, descriptor } of entries) {
      const density = Number(descriptor.slice(0, -1))
      expect(await ask(url)).toMatchObject({ status: 200, width: 100 * density, height: 80 * density })
    }
  })
})

describe('clients that do not sign', () => {
  let open: RunningHalftone
  beforeAll(async () => {
    open = await startHalftone({ HALFTONE_SOURCE: originals.folder })
  })
  afterAll(() => open.stop())

  async function askOpen(url: string, accept: string) {
    const response = await open.get(url.replace(/^https?:\/\/[^/]+/, ''), { accept })
    const { width, height, format } = await sharp(Buffer.from(await response.arrayBuffer())).metadata()
    return { status: response.status, width, height, format }
  }

  test('unpic: fit=min and auto=format by default', async () => {
    const url = String(unpicTransform(`https://${host}/photo.jpg`, { width: 400, height: 400 }))
    expect(url).toContain('fit=min')
    expect(await askOpen(url, 'image/webp')).toEqual({ status: 200, width: 400, height: 400, format: 'webp' })
    const webp = String(unpicTransform(`https://${host}/photo.jpg`, { width: 300, format: 'webp', quality: 60 }))
    expect(await askOpen(webp, '*/*')).toMatchObject({ status: 200, width: 300, format: 'webp' })
  })

  test("next/image: the documented loader's URLs", async () => {
    // The imgix loader of Next's documentation, as it stands there.
    const loader = ({ src, width, quality }: { src: string; width: number; quality?: number }) => {
      const url = new URL(`https://${host}${src}`)
      const params = url.searchParams
      params.set('auto', params.getAll('auto').join(',') || 'format')
      params.set('fit', params.get('fit') || 'max')
      params.set('w', params.get('w') || width.toString())
      params.set('q', (quality ?? 50).toString())
      return url.href
    }
    for (const width of [640, 1080, 1920]) {
      const want = Math.min(width, 1200)
      expect(
        await askOpen(loader({ src: '/photo.jpg?auto=format,compress', width }), 'image/avif,image/webp'),
      ).toMatchObject({ status: 200, width: want, format: 'heif' })
    }
  })

  test('react-imgix, Prismic and Unsplash shapes', async () => {
    expect(await askOpen('/photo.jpg?auto=format&h=200&w=300&ixlib=react-9.11.0', '*/*')).toMatchObject({
      width: 300,
      height: 200,
    })
    expect(await askOpen('/photo.jpg?auto=compress%2Cformat&width=640', 'image/webp')).toMatchObject({
      width: 640,
      format: 'webp',
    })
    expect(await askOpen('/photo.jpg?auto=compress,format&rect=100,100,600,600&w=300&h=300', '*/*')).toMatchObject({
      width: 300,
      height: 300,
    })
    expect(
      await askOpen('/photo.jpg?crop=entropy&cs=tinysrgb&fit=max&fm=jpg&ixid=abc&ixlib=rb-4.0.3&q=80&w=600', '*/*'),
    ).toMatchObject({ width: 600, format: 'jpeg' })
    expect(await askOpen('/photo.jpg?dpr=0.25', '*/*')).toMatchObject({ width: 300, height: 200 })
  })
})

function srcsetEntries(srcset: string): { url: string; descriptor: string }[] {
  return srcset.split(',\n').map((entry) => {
    const [url = '', descriptor = ''] = entry.trim().split(' ')
    return { url, descriptor }
  })
}
