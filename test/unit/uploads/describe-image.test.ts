import { describe, expect, test } from 'vitest'
import type { ImageRecord, VersionRecord } from '../../../src/db/records.ts'
import { createUrlSigner } from '../../../src/signing/create-url-signer.ts'
import { describeImage } from '../../../src/uploads/describe-image.ts'
import { createImageUrls } from '../../../src/uploads/image-urls.ts'
import { facts, owner } from '../../helpers/store-records.ts'
import { uploadsConfig } from '../../helpers/upload-stage.ts'

const nowMs = 1_700_000_000_000
const signer = createUrlSigner({ keys: [{ id: 'k1', secret: 'a-secret-of-at-least-32-characters' }], imgixTokens: [] })
const { uploads: config } = uploadsConfig('/tmp', { HALFTONE_SIGNED_URL_SECONDS: '600' })
const urls = createImageUrls({
  origin: () => 'https://img.example',
  sign: (target, options) => signer.sign(target, { ...options, scheme: 'native' }),
})

const image: ImageRecord = {
  ...owner,
  id: 'img_1',
  state: 'ready',
  visibility: 'public',
  kind: undefined,
  subject: undefined,
  filename: 'Summer "2024" <b>.JPG',
  metadata: {},
  version: 3,
  epoch: 0,
  createdAtMs: nowMs,
  updatedAtMs: nowMs,
}
const version = (width: number, height: number): VersionRecord => ({
  imageId: 'img_1',
  version: 3,
  uploadId: 'upl_1',
  state: 'ready',
  objectKey: 'objects/obj_1',
  byteLength: 90,
  sha256: 'uploaded',
  facts: { ...facts, width, height },
  createdAtMs: nowMs,
})
const told = (change: Partial<ImageRecord> = {}, [width, height]: readonly [number, number] = [1000, 500]) =>
  describeImage({ ...image, ...change }, version(width, height), { urls, config, now: () => nowMs })

const widthsIn = (srcset = '') => [...srcset.matchAll(/ (\d+)w(?:,|$)/g)].map(([, width]) => Number(width))

describe('srcset', () => {
  test.each([
    [1000, [256, 512, 828, 1000]],
    [256, [256]],
    [100, [100]],
    [513, [256, 512, 513]],
    [12_000, [256, 512, 828, 1200, 1680, 2400, 3200, 4096, 8192]],
  ])('of a picture %d wide has no width beyond it', (width, wanted) => {
    const { srcset } = told({}, [width, 500])
    expect(widthsIn(srcset)).toEqual(wanted)
    expect(srcset?.split(', ').every((one) => /&w=(\d+) \1w$/.test(one))).toBe(true)
  })
})

test('the HTML keeps the place of the picture, and nothing of its name breaks out of it', () => {
  const { html = '', url } = told()
  expect(html).toContain('width="1000" height="500"')
  expect(html).toContain('loading="lazy"')
  // Every ampersand of a URL is one of HTML, and attributes end where they should.
  expect(html.replaceAll('&amp;', '')).not.toContain('&')
  expect([...html.matchAll(/ [a-z]+="[^"<>]*"/g)].map(([text]) => text.trim().split('=')[0])).toEqual([
    ...['src', 'srcset', 'sizes', 'width', 'height', 'loading', 'decoding', 'alt', 'style'],
  ])
  expect(html).toMatch(/^<img [^<>]*>$/)
  expect(url).toBe('https://img.example/u/img_1/3/summer-2024-b.jpg?auto=format')
})

describe('URLs', () => {
  test('of public images carry no signature and no end', () => {
    const { url, urlExpiresAt } = told()
    expect([url.includes('sig='), urlExpiresAt]).toEqual([false, undefined])
  })

  test('of private images are signed, every width of them, and end when they say', () => {
    const { url, srcset = '', html = '', urlExpiresAt } = told({ visibility: 'private' })
    expect(urlExpiresAt).toBe(new Date(nowMs + 600_000).toISOString())
    const all = [url, ...srcset.split(', ').map((one) => one.split(' ')[0] ?? '')]
    expect(all).toHaveLength(5)
    for (const one of all) {
      const target = one.slice('https://img.example'.length)
      expect(target).toContain(`expires=${nowMs / 1000 + 600}`)
      expect(signer.verifyTarget(target, nowMs)).toMatchObject({ kind: 'valid' })
      expect(signer.verifyTarget(target, nowMs + 601_000)).toMatchObject({ kind: 'expired' })
    }
    expect(html).toContain('sig=')
  })

  test.each(['pending', 'quarantined', 'rejected'] as const)(
    'of versions are not told of an image that is %s',
    (state) => {
      const { url, srcset, html } = told({ state })
      expect([url, srcset, html]).toEqual(['https://img.example/u/img_1', undefined, undefined])
    },
  )
})
