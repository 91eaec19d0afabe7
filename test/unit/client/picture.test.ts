import { rgbaToThumbHash } from 'thumbhash'
import { describe, expect, test } from 'vitest'
import type { ImageDocument } from '../../../src/client/image-document.ts'
import { picture } from '../../../src/client/picture.ts'
import { placeholder } from '../../../src/client/placeholder.ts'
import type { ImageDocument as ServerDocument } from '../../../src/uploads/describe-image.ts'

const thumbhash = Buffer.from(rgbaToThumbHash(1, 1, new Uint8Array([200, 30, 30, 255]))).toString('base64')
const image = {
  url: 'https://img.example.com/u/img_1/1/a.jpg?auto=format',
  srcset: [100, 200, 300].map((w) => `https://img.example.com/a.jpg?auto=format&w=${w} ${w}w`).join(', '),
  sizes: '100vw',
  width: 300,
  height: 200,
  hasAlpha: false,
  thumbhash,
  dominantColor: '#c81e1e',
}
const attributesOf = (html: string) =>
  Object.fromEntries([...html.matchAll(/ ([a-z]+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]))

describe('picture', () => {
  test('keeps the place, loads late, and shows the placeholder meanwhile', () => {
    const html = picture(image, { alt: 'A red square', sizes: '50vw', class: 'round' })
    expect(html).toMatch(/^<img [^<>]+>$/)
    expect(attributesOf(html)).toEqual({
      src: 'https://img.example.com/a.jpg?auto=format&amp;w=200',
      srcset: image.srcset.replaceAll('&', '&amp;'),
      sizes: '50vw',
      width: '300',
      height: '200',
      alt: 'A red square',
      class: 'round',
      loading: 'lazy',
      decoding: 'async',
      style: `background:url(${placeholder(thumbhash)}) center/100% 100%`,
    })
  })

  test('lets nothing out of its attributes', () => {
    const html = picture(image, { alt: `"><script>alert('1')</script>&`, class: '" onload="x', sizes: '<' })
    expect(html).toMatch(/^<img [^<>]+>$/)
    expect(Object.keys(attributesOf(html))).not.toContain('onload')
    expect(attributesOf(html)).toMatchObject({ alt: `&quot;&gt;&lt;script&gt;alert('1')&lt;/script&gt;&amp;` })
  })

  test('an empty text is a text; without a class or sizes of its own there is none, or the image’s', () => {
    const attributes = attributesOf(picture(image, { alt: '' }))
    expect(attributes).toMatchObject({ alt: '', sizes: '100vw' })
    expect(attributes).not.toHaveProperty('class')
  })

  test('nothing shines through a transparent picture; without a hash a colour has to do', () => {
    expect(attributesOf(picture({ ...image, hasAlpha: true }, { alt: '' }))).not.toHaveProperty('style')
    const { thumbhash: _, ...hashless } = image
    expect(attributesOf(picture(hashless, { alt: '' }))['style']).toBe('background:#c81e1e')
  })
})

test('the client calls an image what the server calls it', () => {
  // By the compiler: what the server says of a ready image is what the client's users are told.
  type Ready = Required<Omit<ServerDocument, 'state' | 'urlExpiresAt' | 'kind' | 'subject'>>
  const told = (document: Ready): Omit<ImageDocument, 'state' | 'urlExpiresAt' | 'kind' | 'subject'> =>
    document as { [name in keyof Ready]: NonNullable<Ready[name]> }
  const names = (document: ImageDocument): readonly (keyof ServerDocument)[] =>
    Object.keys(document) as (keyof ImageDocument)[]
  expect([told, names]).toHaveLength(2)
})
