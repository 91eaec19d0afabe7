import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { executePlan } from '../../../../src/transform/executor/execute-plan.ts'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import { acceptsAll, planQuery } from '../../../helpers/plan-request.ts'
import { decode, isNear } from '../../../helpers/render-fixtures.ts'
import type { Rgb } from '../../../helpers/render-fixtures.ts'

const limits = { maxPixels: 50_000_000, timeoutSeconds: 20 }
const ink: Rgb = [0x1b, 0x17, 0x40]
const scarlet: Rgb = [255, 0, 0]
const white: Rgb = [255, 255, 255]

async function renderQuery(bytes: Buffer, query: string) {
  const metadata = await probeImage(bytes, limits)
  return decode((await executePlan(bytes, metadata, planQuery(query, metadata, acceptsAll), limits)).body)
}

/** Clear to the left, opaque mid grey to the right; 80 x 40, 8 or 16 bits a channel. */
async function halfClear(colorSpace: 'srgb' | 'rgb16' | 'b-w' | 'grey16'): Promise<Buffer> {
  const right = { create: { width: 40, height: 40, channels: 4 as const, background: '#808080' } }
  const clear = { r: 0, g: 0, b: 0, alpha: 0 }
  const picture = sharp({ create: { width: 80, height: 40, channels: 4, background: clear } })
  const bytes = await picture
    .composite([{ input: await sharp(right).png().toBuffer(), left: 40, top: 0 }])
    .png()
    .toBuffer()
  return sharp(bytes).toColourspace(colorSpace).png().toBuffer()
}

async function clearAnimation(): Promise<Buffer> {
  const frame = await halfClear('srgb')
  const darker = await sharp(frame).linear([0.5, 0.5, 0.5, 1], [0, 0, 0, 0]).png().toBuffer()
  return sharp([frame, darker], { join: { animated: true } })
    .webp({ lossless: true })
    .toBuffer()
}

const originals: Readonly<Record<string, () => Promise<Buffer>>> = {
  'a colour PNG': () => halfClear('srgb'),
  'a deep PNG': () => halfClear('rgb16'),
  'a grey PNG': () => halfClear('b-w'),
  'a deep grey PNG': () => halfClear('grey16'),
  'the first frame of an animation': clearAnimation,
  'an SVG': () =>
    Promise.resolve(
      Buffer.from(
        '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="40"><path d="M40 0h40v40H40z" fill="#808080"/></svg>',
      ),
    ),
}

describe.each(['jpg', 'png', 'webp', 'avif'])('under what is transparent in fm=%s', (format) => {
  test.each(Object.keys(originals))('%s shows bg', async (name) => {
    const bytes = await originals[name]!()
    for (const [color, query] of [
      [ink, 'bg=1b1740'],
      [scarlet, 'bg=f00'],
    ] as const) {
      const plain = await renderQuery(bytes, `w=40&${query}&fm=${format}`)
      expect(plain.at(5, 10), `${query} plain`).toSatisfy((pixel: Rgb) => isNear(pixel, color))
      expect(plain.at(35, 10)).toSatisfy((pixel: Rgb) => isNear(pixel, [128, 128, 128]))
      const filled = await renderQuery(bytes, `w=40&h=40&fit=fill&${query}&fm=${format}`)
      expect(filled.at(20, 2), `${query} bar`).toSatisfy((pixel: Rgb) => isNear(pixel, color))
      expect(filled.at(5, 20), `${query} picture`).toSatisfy((pixel: Rgb) => isNear(pixel, color))
      expect(filled.at(35, 20)).toSatisfy((pixel: Rgb) => isNear(pixel, [128, 128, 128]))
    }
  })
})

test.each(Object.keys(originals))('%s has white under it in a JPEG that asks for nothing', async (name) => {
  const picture = await renderQuery(await originals[name]!(), 'w=40&h=40&fit=fill&fm=jpg')
  expect([picture.at(20, 2), picture.at(5, 20)]).toSatisfy((pixels: Rgb[]) => pixels.every((at) => isNear(at, white)))
})

test('bars of an opaque grey picture take their colour, and the picture keeps its own', async () => {
  const grey = await sharp({ create: { width: 640, height: 320, channels: 3, background: '#808080' } })
    .toColourspace('b-w')
    .jpeg()
    .toBuffer()
  const picture = await renderQuery(grey, 'w=40&h=40&fit=fill&fill-color=f00&fm=jpg')
  expect([picture.width, picture.height]).toEqual([40, 40])
  expect(isNear(picture.at(20, 3), scarlet)).toBe(true)
  expect(isNear(picture.at(20, 20), [128, 128, 128])).toBe(true)
})

test('an animation takes the colour of its bars in every frame', async () => {
  const moving = await sharp(await clearAnimation(), { pages: -1 })
    .gif()
    .toBuffer()
  const metadata = await probeImage(moving, limits)
  const plan = planQuery('w=40&h=40&fit=fill&bg=f00&fm=gif', metadata, acceptsAll)
  const { body, frames } = await executePlan(moving, metadata, plan, limits)
  expect(frames).toBe(2)
  for (const page of [0, 1]) {
    const picture = await decode(body, page)
    expect([picture.at(20, 2), picture.at(5, 20)]).toSatisfy((all: Rgb[]) => all.every((at) => isNear(at, scarlet)))
  }
})
