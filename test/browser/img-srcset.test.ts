import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { openChromium } from '../helpers/open-chromium.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

let originals: ReturnType<typeof makePictureFolder>
let halftone: RunningHalftone
let browser: Browser
let pageServer: Server
let pageOrigin: string
let pageHtml = ''

beforeAll(async () => {
  originals = makePictureFolder({ 'photo.jpg': await drawGradientJpeg(1600, 1200, { orientation: 6 }) })
  halftone = await startHalftone({ HALFTONE_SOURCE: originals.folder })
  browser = await openChromium()
  // The page lives on another origin than the pictures, as it does behind a real site.
  pageServer = createServer((_request, response) => response.setHeader('Content-Type', 'text/html').end(pageHtml))
  await new Promise<void>((resolve) => pageServer.listen(0, '127.0.0.1', resolve))
  pageOrigin = `http://127.0.0.1:${(pageServer.address() as AddressInfo).port}`
})
afterAll(async () => {
  await browser.close()
  pageServer.close()
  await halftone.stop()
  originals.remove()
})

test.each([
  { viewport: 400, dpr: 1, want: 400 },
  { viewport: 400, dpr: 2, want: 800 },
  { viewport: 1000, dpr: 1, want: 1200 },
])(
  'a $viewport px viewport at density $dpr takes the $want px AVIF from the srcset',
  async ({ viewport, dpr, want }) => {
    const picture = (w: number) => `${halftone.origin}/photo.jpg?auto=format&amp;w=${w}`
    pageHtml = `<!doctype html><img id="it" sizes="100vw" src="${picture(400)}" srcset="${[400, 800, 1200].map((w) => `${picture(w)} ${w}w`).join(', ')}" style="width:100%">`
    const page = await browser.newPage({ viewport: { width: viewport, height: 600 }, deviceScaleFactor: dpr })
    const seen: { url: string; type: string | undefined; status: number }[] = []
    page.on('response', (response) => {
      if (response.url().startsWith(halftone.origin))
        seen.push({ url: response.url(), type: response.headers()['content-type'], status: response.status() })
    })
    await page.goto(pageOrigin)
    const shown = await page.$eval('#it', async (element) => {
      const image = element as unknown as {
        decode(): Promise<void>
        currentSrc: string
        naturalWidth: number
        naturalHeight: number
        complete: boolean
      }
      await image.decode()
      return { src: image.currentSrc, ratio: image.naturalWidth / image.naturalHeight, complete: image.complete }
    })
    expect(shown.complete).toBe(true)
    expect(shown.src).toContain(`w=${want}`)
    expect(shown.ratio).toBeCloseTo(4 / 3, 1)
    expect(seen).toEqual([{ url: shown.src, type: 'image/avif', status: 200 }])
    await page.close()
  },
)
