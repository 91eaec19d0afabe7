import { createHmac } from 'node:crypto'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { drawGradient, drawGradientJpeg } from '../helpers/draw-picture.ts'
import { openChromium } from '../helpers/open-chromium.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

// A busy machine takes its time for a page and a render.
const eventually = (read: () => unknown) => expect.poll(read, { timeout: 15_000 })

const secret = 'a-secret-of-the-tests'
let originals: ReturnType<typeof makePictureFolder>
let empty: ReturnType<typeof makePictureFolder>
let browser: Browser
let running: RunningHalftone | undefined
let page: Page | undefined

beforeAll(async () => {
  const tiny = await drawGradientJpeg(64, 48)
  originals = makePictureFolder({
    'photo.jpg': await drawGradientJpeg(1600, 1200),
    'scan.tif': await drawGradient(300, 200).tiff().toBuffer(),
    'torn.jpg': 'no picture',
    ...Object.fromEntries(Array.from({ length: 14 }, (_, index) => [`more/${String(index)}.jpg`, tiny])),
  })
  empty = makePictureFolder({})
  browser = await openChromium()
})
afterEach(async () => {
  await page?.close()
  await running?.stop()
  page = running = undefined
})
afterAll(async () => {
  await browser.close()
  originals.remove()
  empty.remove()
})

async function openPlayground(settings: Record<string, string> = {}, hash = '') {
  const halftone = (running = await startHalftone({ HALFTONE_SOURCE: originals.folder, ...settings }))
  const opened = (page = await browser.newPage())
  const requested: string[] = []
  opened.on('request', (request) => {
    const url = request.url().replace(halftone.origin, '')
    if (!/^(blob:|\/-\/)/.test(url)) requested.push(url)
  })
  await opened.goto(`${halftone.origin}/-/playground/${hash}`)
  const paste = async (target: string) => {
    await opened.fill('#url', target)
    await opened.press('#url', 'Enter')
  }
  const shownWidth = () =>
    opened
      .$eval('#stage img', (element) => (element as unknown as { naturalWidth: number }).naturalWidth, undefined)
      .catch(() => 0)
  const textOf = (selector: string) => opened.locator(selector).innerText()
  return { page: opened, halftone, requested, paste, shownWidth, textOf }
}

function sign(target: string): string {
  return `${target}&sig=${createHmac('sha256', secret).update(target).digest('base64url')}`
}

test('the playground shows the picture of its URL, and the facts of the answer', async () => {
  const { page, paste, shownWidth, textOf } = await openPlayground()
  const failures: string[] = []
  page.on('pageerror', (error) => failures.push(error.message))
  await paste('/photo.jpg?w=320&auto=format&unheard=1')
  await eventually(shownWidth).toBe(320)
  await eventually(() => textOf('#facts')).toContain('image/avif')
  await eventually(() => textOf('#facts')).toContain('halftone')

  await page.fill('#param-w', '200')
  await eventually(shownWidth).toBe(200)
  await eventually(() => page.inputValue('#url')).toContain('w=200')

  await page.click('#tab-srcset')
  await eventually(() => textOf('#markup')).toMatch(/srcset="[^"]*w=320[^"]* 320w/)
  expect(failures).toEqual([])
})

test('a signed URL is sent as pasted; a touched control drops the signature and says so', async () => {
  const settings = { HALFTONE_SIGNING_KEYS: `k1:${secret}`, HALFTONE_SIGNED: 'always' }
  const { page, halftone, requested, paste, shownWidth, textOf } = await openPlayground(settings)
  await eventually(() => textOf('#stage')).toContain('No pictures found')
  expect(requested.some((url) => url === '/')).toBe(false)

  const signed = sign('/photo.jpg?fit=crop&w=200&h=1%30%30&unheard=a%2Fb,c')
  await paste(halftone.origin + signed)
  await eventually(shownWidth).toBe(200)
  expect(requested).toContain(signed)
  expect(await page.getAttribute('#open', 'href')).toBe(signed)

  await page.reload()
  await eventually(shownWidth).toBe(200)
  expect(requested.filter((url) => url === signed)).toHaveLength(2)

  await page.fill('#param-w', '300')
  await eventually(() => textOf('#stage')).toContain('halftone sign')
  await eventually(() => textOf('#notice')).toContain('signature was dropped')
  expect(requested.at(-1)).toContain('w=300')
  expect(requested.at(-1)).not.toContain('sig=')
})

test('repetitions of auto are joined, as the server joins them', async () => {
  const { page, requested, paste } = await openPlayground()
  await paste('/photo.jpg?auto=format&w=100&auto=compress')
  await page.fill('#param-w', '120')
  await eventually(() => requested.at(-1)).toMatch(/auto=(compress,format|format,compress)/)
})

test.each(['//evil.example/x', '/\\evil.example/x', '/\t/evil.example/x'])(
  'a link with %j in its fragment leads nowhere else',
  async (target) => {
    const { page, halftone, requested } = await openPlayground({}, `#${target}`)
    await eventually(() => page.inputValue('#url')).toContain('?w=900')
    const open = await page.$eval('#open', (element) => (element as unknown as { href: string }).href)
    expect(new URL(open).origin).toBe(halftone.origin)
    expect(requested.join()).not.toContain('evil')
    await page.fill('#path', target)
    await eventually(() => page.getAttribute('#open', 'href')).toBeNull()
  },
)

test('where presets only are served, it begins with one, thumbnails included', async () => {
  const { page, shownWidth, textOf } = await openPlayground({ HALFTONE_VARIANTS: 'presets-only' })
  await eventually(shownWidth).toBeGreaterThan(0)
  await eventually(() => page.inputValue('#url')).toContain('?preset=')
  await eventually(() => textOf('#notice')).toContain('presets')
  const loaded = () =>
    page.$$eval('#samples img', (images) =>
      images.map((image) => (image as unknown as { naturalWidth: number }).naturalWidth).filter((width) => width > 0),
    )
  await eventually(async () => (await loaded()).length).toBeGreaterThan(1)

  await page.fill('#param-w', '300')
  await eventually(() => textOf('#stage')).toContain('Choose a preset')
  await eventually(() => textOf('#stage')).toContain('card')
})

test('an empty folder says so', async () => {
  const { textOf } = await openPlayground({ HALFTONE_SOURCE: empty.folder })
  await eventually(() => textOf('#stage')).toContain('No pictures found')
  await eventually(() => textOf('#samples')).toContain('No pictures found')
})

test('twelve thumbnails at a time; a damaged file is named, and its reason is shown', async () => {
  const { page, textOf } = await openPlayground()
  const count = () => page.locator('#samples [data-path]').count()
  await eventually(count).toBe(12)
  await eventually(() => textOf('#samples .broken')).toBe('torn.jpg')
  await page.click('#samples .more')
  await eventually(count).toBe(17)
  expect(await page.locator('#samples .more').count()).toBe(0)
  await page.click('#samples .broken')
  await eventually(() => textOf('#stage')).toContain('not an image')
})

test('an original that browsers cannot show says what to add', async () => {
  const { paste, shownWidth, textOf } = await openPlayground()
  await paste('/scan.tif')
  await eventually(() => textOf('#stage')).toContain('Browsers cannot show TIFF: add w or fm')
  await paste('/scan.tif?w=100')
  await eventually(shownWidth).toBe(100)
})

test('the srcset is written for the public origin, and nothing covers it', async () => {
  const { page, halftone, textOf } = await openPlayground()
  await page.route('**/params.json', async (route) => {
    const response = await route.fetch()
    await route.fulfill({ json: { ...((await response.json()) as object), publicUrl: 'https://img.example' } })
  })
  await page.reload()
  await page.click('#tab-srcset')
  await eventually(() => textOf('#markup')).toContain('https://img.example/photo.jpg?')
  await eventually(() => textOf('#markup')).not.toContain(halftone.origin)
  const [button, code] = await Promise.all(
    ['[data-copy=markup]', '#markup'].map((selector) => page.locator(selector).boundingBox()),
  )
  expect((button?.y ?? 0) + (button?.height ?? 0)).toBeLessThanOrEqual(code?.y ?? 0)
})
