import { describe, expect, test } from 'vitest'
import { detectCapabilities } from '../../../../src/transform/negotiation/detect-capabilities.ts'

const both = { avif: true, webp: true }
const none = { avif: false, webp: false }

describe('detectCapabilities', () => {
  test.each([
    ['Chromium', 'image/jxl,image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8', both],
    ['Firefox', 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5', both],
    ['old Chrome', 'image/webp,image/apng,image/*,*/*;q=0.8', { avif: false, webp: true }],
    ['old Safari', 'image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5', none],
    ['curl', '*/*', none],
    ['any image', 'image/*', none],
    ['no header', undefined, none],
    ['an empty one', '', none],
    ['low but not zero', 'image/avif;q=0.001', { avif: true, webp: false }],
    ['refusal', 'image/avif;q=0,image/webp', { avif: false, webp: true }],
    ['refusal in three decimals', 'image/avif;q=0.000,image/webp;q=1.000', { avif: false, webp: true }],
    ['refusal beside a range', 'image/avif;q=0, image/*, */*', none],
    ['refusal with a big Q', 'image/avif;Q=0', none],
    ['order does not matter', '*/*;q=0.1, image/webp, image/avif', both],
    ['case does not matter', 'IMAGE/AVIF,Image/WebP', both],
    ['space around', ' image/avif ; q=0.5 ,\timage/webp', both],
    ['types inside a quoted parameter', 'text/html;x="image/avif,image/webp"', none],
    ['a q that is no number', 'image/avif;q=high', none],
    ['longer names', 'image/avif-sequence,ximage/webp,image/webpx', none],
    ['garbage', ',;=,"\\,image/,/avif,q=1;;;', none],
  ])('%s', (_, accept, capabilities) => {
    expect(detectCapabilities(accept)).toEqual(capabilities)
  })

  test('a huge header is read to a limit and no type there loses its q', () => {
    const padding = 'text/x,'.repeat(291)
    expect(detectCapabilities(`image/avif,${'text/x,'.repeat(100_000)}image/webp`)).toEqual({ avif: true, webp: false })
    for (let cut = 0; cut < 20; cut += 1) {
      expect(detectCapabilities(`${padding.slice(cut)}image/avif;q=0,image/webp;q=0,text/html`)).toEqual(none)
    }
  })
})
