import sharp from 'sharp'
import { describe, expect, test } from 'vitest'
import { executePlan } from '../../../../src/transform/executor/execute-plan.ts'
import { probeImage } from '../../../../src/transform/executor/probe-image.ts'
import { decode, planOf } from '../../../helpers/render-fixtures.ts'

const limits = { maxPixels: 1_000_000, timeoutSeconds: 20 }
const svgOf = (inner: string, before = '') =>
  Buffer.from(
    `${before}<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="10" height="10"><rect width="10" height="10" fill="#0000ff"/>${inner}</svg>`,
  )
const redSquare = svgOf('<path d="M0 0h10v10H0z" fill="#f00"/>').toString('base64')

// Each paints the picture red when librsvg gets to see it, which shows that the drawing, too, is of the sanitised file.
const loading: readonly (readonly [string, Buffer])[] = [
  [
    'an SVG in a data URL',
    svgOf(`<image width="10" height="10" xlink:href="data:image/svg+xml;base64,${redSquare}"/>`),
  ],
  [
    'an XInclude',
    svgOf(`<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="data:image/svg+xml;base64,${redSquare}"/>`),
  ],
  ['an imported style sheet', svgOf('<style>@import url("data:text/css,rect{fill:red !important}");</style>')],
  ['a style that loads', svgOf('<style>rect{fill:#f00} g{fill:url(http://evil.test/a)}</style>')],
  ['an escaped style', svgOf('<style>rect{f\\69ll:#f00}</style>')],
]

describe('a drawing obeys nothing that the sanitiser takes out', () => {
  test.each(loading)('%s', async (_name, bytes) => {
    const metadata = await probeImage(svgOf(''), limits)
    const { body } = await executePlan(bytes, metadata, planOf(metadata, []), limits)
    expect((await decode(body)).at(5, 5)).toEqual([0, 0, 255, 255])
  })

  test('an entity of its own', async () => {
    const bytes = svgOf('<rect width="10" height="10" fill="&red;"/>', '<!DOCTYPE svg [<!ENTITY red "#f00">]>')
    const metadata = await probeImage(svgOf(''), limits)
    await expect(executePlan(bytes, metadata, planOf(metadata, []), limits)).rejects.toMatchObject({
      code: 'undecodable',
    })
  })
})

test.each(loading)('librsvg by itself would obey %s', async (_name, bytes) => {
  expect((await decode(await sharp(bytes).png().toBuffer())).at(5, 5)).toEqual([255, 0, 0, 255])
})
