import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import sharp, { type Sharp } from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { colorAt, colorDistance } from '../helpers/draw-picture.ts'
import { projectRoot, startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const corpus = resolve(projectRoot, '../shared/corpus')
const isThere = existsSync(corpus)
if (!isThere) console.log(`skipped: the shared corpus is not at ${corpus}`)
const files = (group: string) => (isThere ? readdirSync(join(corpus, group)).sort() : [])
const deadlineMs = 20_000

const thumbnail = (picture: Sharp) =>
  picture.toBuffer().then((body) => sharp(body).resize(24, 24, { fit: 'fill' }).greyscale().raw().toBuffer())
const meanDifference = (one: Buffer, other: Buffer) =>
  one.reduce((sum, value, index) => sum + Math.abs(value - (other[index] ?? 0)), 0) / one.length
const total = (delays: readonly number[] | undefined) => delays?.reduce((sum, delay) => sum + delay, 0)

describe.skipIf(!isThere)('the shared corpus', () => {
  let halftone: RunningHalftone
  beforeAll(async () => {
    halftone = await startHalftone({ HALFTONE_SOURCE: corpus })
  })
  afterAll(() => halftone.stop())

  async function ask(target: string, accept = '*/*') {
    const response = await fetch(`${halftone.origin}${target}`, {
      headers: { accept },
      signal: AbortSignal.timeout(deadlineMs),
    })
    return {
      status: response.status,
      type: response.headers.get('content-type'),
      body: Buffer.from(await response.arrayBuffer()),
    }
  }
  const pathOf = (group: string, file: string) => `/${group}/${encodeURIComponent(file)}`

  test.each(files('photos'))('photos/%s is served in all three formats', async (file) => {
    for (const [accept, format] of [
      ['image/avif', 'heif'],
      ['image/webp', 'webp'],
      ['*/*', 'jpeg'],
    ] as const) {
      const { status, body } = await ask(`${pathOf('photos', file)}?w=200&auto=format`, accept)
      expect(status).toBe(200)
      expect(await sharp(body).metadata()).toMatchObject({ width: 200, format })
    }
  })

  test.each(files('orientation'))('orientation/%s is right side up', async (file) => {
    const { status, body } = await ask(`${pathOf('orientation', file)}?w=300`)
    const { width = 0, height = 0, orientation } = await sharp(body).metadata()
    expect([status, orientation]).toEqual([200, undefined])
    expect(width > height).toBe(file.startsWith('Landscape'))
    // The same scene in every orientation: put upright, each is nearer to the one stored upright than to any turn of it.
    const upright = await ask(`${pathOf('orientation', file.replace(/\d/, '1'))}?w=300`)
    const seen = await thumbnail(sharp(body))
    const distanceTo = async (reference: Sharp) => meanDifference(seen, await thumbnail(reference))
    const right = await distanceTo(sharp(upright.body))
    const { body: reference } = upright
    for (const wrong of [sharp(reference).flip(), sharp(reference).flop(), sharp(reference).rotate(180)]) {
      expect(right).toBeLessThan((await distanceTo(wrong)) / 1.5)
    }
  })

  test.each(files('metadata'))('metadata/%s keeps nothing private', async (file) => {
    for (const query of ['w=200', 'fm=webp', 'w=200&fm=avif', 'fm=png']) {
      const { status, body } = await ask(`${pathOf('metadata', file)}?${query}`)
      expect(status).toBe(200)
      const { exif, xmp, iptc, tifftagPhotoshop } = await sharp(body).metadata()
      expect([exif, xmp, iptc, tifftagPhotoshop]).toEqual([undefined, undefined, undefined, undefined])
      expect(body.includes('Exif\0\0')).toBe(false)
    }
  })

  test.each(files('formats'))('formats/%s becomes a web picture', async (file) => {
    const { status, type, body } = await ask(`${pathOf('formats', file)}?w=64&auto=format`, 'image/webp')
    if (status !== 200) {
      // A fuzzer's file is among the formats, too; it may be refused, but as the client's fault.
      expect([file, status]).toEqual(['Crash_test.gif', 422])
      return
    }
    expect(type).toMatch(/^image\/(webp|avif|jpeg|png|gif)$/)
    const metadata = await sharp(body).metadata()
    expect(metadata.width).toBe(64)
    expect(metadata.space).toMatch(/srgb|b-w/)
  })

  test.each(['animated-loop-3.gif', 'animated-loop-3.webp', 'rotating-squares.gif', 'rotating-squares.webp'])(
    'formats/%s stays animated',
    async (file) => {
      const original = await sharp(join(corpus, 'formats', file), { animated: true }).metadata()
      for (const [accept, format] of [
        ['image/avif,image/webp', 'webp'],
        ['*/*', file.endsWith('gif') ? 'gif' : undefined],
      ] as const) {
        const { body } = await ask(`${pathOf('formats', file)}?w=50&auto=format`, accept)
        const metadata = await sharp(body, { animated: true }).metadata()
        // Encoders unite equal frames; what must stay is the motion and how long it takes.
        expect(metadata.pages).toBeGreaterThan(1)
        expect(total(metadata.delay)).toBe(total(original.delay))
        expect(metadata.loop).toBe(original.loop)
        if (format) expect(metadata.format).toBe(format)
      }
    },
  )

  test.each(['Channel_digital_image_CMYK_color.jpg', 'Channel_digital_image_CMYK_color_no_profile.jpg'])(
    'formats/%s is not inverted',
    async (file) => {
      const { body } = await ask(`${pathOf('formats', file)}?w=200`)
      const reference = await sharp(join(corpus, 'formats', file))
        .toColourspace('srgb')
        .resize(200)
        .jpeg()
        .toBuffer()
      for (const [x, y] of [
        [0.05, 0.05],
        [0.5, 0.5],
        [0.8, 0.3],
        [0.3, 0.8],
      ] as const) {
        expect(colorDistance(await colorAt(body, x, y), await colorAt(reference, x, y))).toBeLessThan(40)
      }
    },
  )

  test.each(files('malformed'))('malformed/%s is answered in time, as its own fault', async (file) => {
    for (const query of ['?w=100', '?w=100&fm=webp']) {
      const { status, type, body } = await ask(`${pathOf('malformed', file)}${query}`)
      // Some of them decode in spite of all: then the answer is a real picture.
      if (status === 200) expect((await sharp(body).metadata()).width).toBeGreaterThan(0)
      else expect([status >= 400 && status < 500, type]).toEqual([true, 'application/problem+json'])
    }
    expect((await ask('/-/health')).status).toBe(200)
  })

  test('after all that the renderers are alive', async () => {
    expect((await ask('/photos/concert.jpg?w=111')).status).toBe(200)
    expect(((await (await halftone.get('/-/ready')).json()) as { status: string }).status).toBe('ready')
  })
})
