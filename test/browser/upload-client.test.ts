import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateBucketCommand, PutBucketCorsCommand, S3Client } from '@aws-sdk/client-s3'
import { SignJWT } from 'jose'
import type { Browser, CDPSession, Page } from 'playwright-core'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { bundleClient } from '../../scripts/build-client.ts'
import { corsRuleFor } from '../../src/uploads/targets/bucket-cors.ts'
import { drawGradient } from '../helpers/draw-picture.ts'
import { openChromium } from '../helpers/open-chromium.ts'
import { hasS3Server, startS3Server, type S3Server } from '../helpers/s3-server.ts'
import { spawnHalftone, type SpawnedHalftone } from '../helpers/spawn-halftone.ts'
import { projectRoot } from '../helpers/start-halftone.ts'

const jwtSecret = 'a-secret-of-at-least-thirty-two-bytes'
const megabytes = 1e6
const eventually = <T>(read: () => Promise<T>) => expect.poll(read, { timeout: 20_000 })

if (!hasS3Server) console.log('skipped: no S3 server here (apt-get install radosgw ceph-mon ceph-osd ceph-common)')

let browser: Browser
let pages: Server
let pageOrigin: string
let client: string
/** What a phone makes: 12 megapixels lying on their side, and where it was taken. */
let photo: Buffer
let example = ''

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-client-'))
  await bundleClient(folder)
  client = readFileSync(join(folder, 'client.js'), 'utf8')
  rmSync(folder, { recursive: true, force: true })
  photo = await drawPhonePhoto()
  browser = await openChromium()
  pages = createServer(
    (request, response) =>
      void answerPage(request.url ?? '').then((answer) =>
        response.writeHead(200, { 'content-type': answer.type }).end(answer.body),
      ),
  )
  await new Promise<void>((resolve) => pages.listen(0, '127.0.0.1', resolve))
  pageOrigin = `http://127.0.0.1:${(pages.address() as AddressInfo).port}`
})
afterAll(async () => {
  await browser.close()
  pages.close()
})

/** The application: its page, the client, and tokens for its user. */
async function answerPage(url: string): Promise<{ type: string; body: string }> {
  if (url === '/halftone-client.js') return { type: 'text/javascript', body: client }
  if (url === '/upload-token') return { type: 'text/plain', body: await tokenFor('user-7') }
  return { type: 'text/html; charset=utf-8', body: example }
}

function tokenFor(user: string): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user)
    .setExpirationTime('10 minutes')
    .sign(new TextEncoder().encode(jwtSecret))
}

async function drawPhonePhoto(): Promise<Buffer> {
  const small = await drawGradient(1008, 756).png().toBuffer()
  return sharp(small)
    .resize(4032, 3024)
    .withExifMerge({ IFD3: { GPSLatitudeRef: 'N', GPSLatitude: '48/1 11/1 54/1' } })
    .withMetadata({ orientation: 6 })
    .jpeg({ quality: 97, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

/** The page of the documentation, against this server. */
function exampleFor(origin: string): string {
  const [, html = ''] =
    /```html\n(.*?)```/s.exec(readFileSync(join(projectRoot, 'docs/upload-client.md'), 'utf8')) ?? []
  expect(html).toContain('https://img.example.com')
  return html.replaceAll('https://img.example.com', origin)
}

/** `store`: what stands in the URLs that bytes are sent to. */
type Target = { readonly settings: Record<string, string>; readonly store: string }

type Outcome = {
  image?: { width: number; height: number; srcset: string; thumbhash: string; url: string }
  error?: { name: string; code?: string; status?: number; detail?: string; requestId?: string; isOurs: boolean }
  progress: { phase: string; loaded: number; total: number }[]
}

function describeClient(name: string, openTarget: () => Promise<Target>, closeTarget: () => Promise<void>): void {
  describe(name, () => {
    let halftone: SpawnedHalftone
    let store: string
    let dataDir: string
    let page: Page
    let devtools: CDPSession
    let sent: { method: string; url: string; status: number }[]

    beforeAll(async () => {
      const target = await openTarget()
      dataDir = mkdtempSync(join(tmpdir(), 'halftone-data-'))
      halftone = await spawnHalftone({
        ...target.settings,
        HALFTONE_DATA_DIR: dataDir,
        HALFTONE_API_ORIGINS: pageOrigin,
        HALFTONE_JWT_SECRET: jwtSecret,
        HALFTONE_RENDERERS: '1',
        HALFTONE_UPLOAD_PARTS_FROM_MB: '5.25',
        HALFTONE_UPLOAD_PART_MB: '5.25',
      })
      store = target.store
      example = exampleFor(halftone.origin)
    }, 180_000)
    afterAll(async () => {
      await halftone?.kill('SIGTERM')
      await closeTarget()
      rmSync(dataDir, { recursive: true, force: true })
    })
    beforeEach(async () => {
      page = await browser.newPage({ viewport: { width: 400, height: 800 } })
      devtools = await page.context().newCDPSession(page)
      sent = []
      page.on('response', (response) => {
        const method = response.request().method()
        sent.push({ method, url: response.url(), status: response.status() })
      })
      await page.goto(pageOrigin)
    })
    afterEach(() => page.close())

    const toStore = (method: string) => sent.filter((one) => one.method === method && one.url.includes(store))
    const usage = async () => {
      const headers = { authorization: `Bearer ${await tokenFor('user-7')}` }
      return (await (await fetch(`${halftone.origin}/v1/usage`, { headers })).json()) as { openUploads: number }
    }
    /** Slow enough for progress to be seen. */
    const slowDown = (bytesPerSecond: number) =>
      devtools.send('Network.emulateNetworkConditions', {
        ...{ offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: bytesPerSecond },
      })
    /** Requests that match wait until they are let go; none of their preflights is touched. */
    async function hold(pattern: { urlPattern: string; resourceType?: 'Image' }, decide: (id: string) => void) {
      devtools.on('Fetch.requestPaused', ({ requestId, request }) => {
        if (request.method === 'OPTIONS') void devtools.send('Fetch.continueRequest', { requestId })
        else decide(requestId)
      })
      await devtools.send('Fetch.enable', { patterns: [pattern] })
    }
    /** In the page: `uploadImage` of this file, what came of it, and the progress. */
    async function uploadInPage(file: Buffer, { name = 'photo.jpg', code = '' } = {}) {
      await page.evaluate('document.body.insertAdjacentHTML("beforeend", "<input type=file id=other>")')
      await page.setInputFiles('#other', { name, mimeType: 'image/jpeg', buffer: file })
      return page.evaluate<Outcome>(`(async () => {
        const { createClient, HalftoneError } = await import('/halftone-client.js')
        const token = async () => (await fetch('/upload-token')).text()
        const progress = [], leaving = new AbortController(), settings = {}, options = {}
        options.onProgress = (step) => progress.push(step)
        ${code}
        const { uploadImage } = createClient({ baseUrl: ${JSON.stringify(halftone.origin)}, token, retryDelayMs: 50, ...settings })
        try {
          const image = await uploadImage(document.getElementById('other').files[0], { signal: leaving.signal, ...options })
          return { image, progress }
        } catch (error) {
          const { name, code, status, detail, requestId } = error
          return { error: { name, code, status, detail, requestId, isOurs: error instanceof HalftoneError }, progress }
        }
      })()`)
    }

    test('the page of the documentation takes a phone photo and shows it, with a placeholder in between', async () => {
      const held: string[] = []
      let isOpen = false
      await hold({ urlPattern: '*/u/img_*', resourceType: 'Image' }, (requestId) => {
        if (isOpen) void devtools.send('Fetch.continueRequest', { requestId })
        else held.push(requestId)
      })
      await page.setInputFiles('#file', { name: 'IMG_0042.JPG', mimeType: 'image/jpeg', buffer: photo })
      await page.waitForSelector('#photo img', { state: 'attached', timeout: 20_000 })
      await eventually(() => Promise.resolve(held.length)).toBeGreaterThan(0)
      const facts = () =>
        page.$eval('#photo img', (element) => {
          const image = element as unknown as Record<
            'complete' | 'naturalWidth' | 'naturalHeight' | 'currentSrc',
            unknown
          >
          const { backgroundImage } = (
            globalThis as unknown as { getComputedStyle(of: unknown): { backgroundImage: string } }
          ).getComputedStyle(element)
          const { width, height } = (
            element as unknown as { getBoundingClientRect(): { width: number; height: number } }
          ).getBoundingClientRect()
          const { complete, naturalWidth, naturalHeight, currentSrc } = image
          return { complete, naturalWidth, naturalHeight, currentSrc, backgroundImage, width, height }
        })
      const before = await facts()
      expect(before).toMatchObject({ complete: false, naturalWidth: 0 })
      expect(before.backgroundImage).toMatch(/^url\("data:image\/png;base64,/)
      // Its place is kept: three wide, four high, as the phone was held.
      expect(before.height / before.width).toBeCloseTo(4 / 3, 1)
      isOpen = true
      for (const requestId of held) await devtools.send('Fetch.continueRequest', { requestId })
      await eventually(async () => (await facts()).naturalWidth).toBeGreaterThan(0)
      const after = await facts()
      expect(after.currentSrc).toContain('w=512')
      expect([after.width, after.height].map(Math.round)).toEqual([before.width, before.height].map(Math.round))
      const shown = await fetch(String(after.currentSrc), { headers: { accept: 'image/jpeg' } })
      const { width, height, exif } = await sharp(await shown.arrayBuffer()).metadata()
      expect([width, height, exif]).toEqual([512, 683, undefined])
      expect(await page.locator('#message').innerText()).toBe('')
      expect(toStore('PUT').map(({ status }) => status)).toEqual([200])
      // Straight to the store: nothing but JSON went to the API.
      expect(new URL(toStore('PUT')[0]!.url).origin).not.toBe(pageOrigin)
    })

    test('tells how far the bytes are', async () => {
      await slowDown(6 * megabytes)
      const { image, progress } = await uploadInPage(photo)
      expect(image).toMatchObject({ width: 3024, height: 4032 })
      const loaded = progress.filter(({ phase }) => phase === 'uploading').map((step) => step.loaded)
      expect(new Set(loaded.filter((bytes) => bytes > 0 && bytes < photo.length)).size).toBeGreaterThan(2)
      expect(loaded).toEqual(loaded.toSorted((a, b) => a - b))
      expect(progress.at(-1)).toEqual({ phase: 'processing', loaded: photo.length, total: photo.length })
    })

    test('cancelling in the middle ends it, and the upload is taken back', async () => {
      await slowDown(2 * megabytes)
      await page.setInputFiles('#file', { name: 'IMG_0042.JPG', mimeType: 'image/jpeg', buffer: photo })
      await page.waitForFunction('document.getElementById("progress").value > 0')
      await eventually(usage).toMatchObject({ openUploads: 1 })
      await page.click('#cancel')
      await eventually(() => page.locator('#message').innerText()).toBe('Cancelled.')
      await eventually(usage).toMatchObject({ openUploads: 0 })
      expect(toStore('PUT')).toEqual([])
      const deletions = () => sent.filter(({ method }) => method === 'DELETE').map(({ status }) => status)
      await eventually(() => Promise.resolve(deletions())).toEqual([204])
    })

    test('a PUT that breaks is sent again', async () => {
      let broken = 0
      await hold({ urlPattern: `*${store}*` }, (requestId) => {
        broken += 1
        if (broken === 1) void devtools.send('Fetch.failRequest', { requestId, errorReason: 'ConnectionReset' })
        else void devtools.send('Fetch.continueRequest', { requestId })
      })
      const { image } = await uploadInPage(photo)
      expect(image).toMatchObject({ width: 3024 })
      expect(broken).toBe(2)
      expect(toStore('PUT').map(({ status }) => status)).toEqual([200])
    })

    test('a PUT whose answer is lost counts as done', async () => {
      let seen = 0
      devtools.on('Fetch.requestPaused', ({ requestId, request }) => {
        const isFirst = request.method === 'PUT' && ++seen === 1
        void devtools.send(isFirst ? 'Fetch.failRequest' : 'Fetch.continueRequest', {
          ...{ requestId, errorReason: 'ConnectionReset' },
        })
      })
      await devtools.send('Fetch.enable', { patterns: [{ urlPattern: `*${store}*`, requestStage: 'Response' }] })
      const { image } = await uploadInPage(photo)
      expect(image).toMatchObject({ width: 3024 })
      expect(seen).toBe(2)
      expect(toStore('PUT').map(({ status }) => status)).toEqual([412])
    })

    test('a large file goes in parts', async () => {
      const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
      const large = await sharp({ create: { width: 3000, height: 2000, channels: 3, background: '#888', noise } })
        .jpeg({ quality: 98 })
        .toBuffer()
      const { image, progress } = await uploadInPage(large)
      expect(image).toMatchObject({ width: 3000, height: 2000 })
      const parts = Math.ceil(large.length / (5.25 * megabytes))
      expect(parts).toBeGreaterThan(1)
      expect(toStore('PUT').map(({ status }) => status)).toEqual(Array(parts).fill(200))
      expect(progress.filter(({ phase }) => phase === 'uploading').at(-1)?.loaded).toBe(large.length)
    })

    test('a file whose size the server was not told goes by form', async () => {
      const code = `settings.fetch = (url, init) => {
        if (!url.endsWith('/v1/uploads')) return fetch(url, init)
        const { size, ...body } = JSON.parse(init.body)
        return fetch(url, { ...init, body: JSON.stringify(body) })
      }`
      const { image } = await uploadInPage(photo, { code })
      expect(image).toMatchObject({ width: 3024 })
      expect(toStore('POST').map(({ status }) => status)).toEqual([204])
    })

    test('text by the name of a picture is refused, and told as what it is', async () => {
      const { error } = await uploadInPage(Buffer.from('no picture at all'))
      expect(error).toMatchObject({ name: 'HalftoneError', isOurs: true, code: 'type_mismatch', status: 422 })
      expect(error?.requestId).toBeTruthy()
      await page.setInputFiles('#file', { name: 'a.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('text') })
      await eventually(() => page.locator('#message').innerText()).toBe('This is not a photo.')
    })
  })
}

describeClient(
  'to the disk target, from another origin',
  () => Promise.resolve({ settings: {}, store: '/v1/blobs' }),
  () => Promise.resolve(),
)

describe.skipIf(!hasS3Server)('with a bucket', () => {
  let server: S3Server | undefined
  describeClient(
    'to S3, from another origin',
    async () => {
      server = await startS3Server()
      const { endpoint, region, accessKeyId, secretAccessKey } = server
      const s3 = new S3Client({
        ...{ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } },
        requestChecksumCalculation: 'WHEN_REQUIRED',
      })
      await s3.send(new CreateBucketCommand({ Bucket: 'uploads' }))
      const capabilities = { presignedPost: true, parts: true, checksums: false }
      const CORSConfiguration = { CORSRules: [corsRuleFor({ capabilities }, [pageOrigin])] }
      await s3.send(new PutBucketCorsCommand({ Bucket: 'uploads', CORSConfiguration }))
      s3.destroy()
      return {
        settings: {
          HALFTONE_UPLOADS: 's3://uploads/from/pages',
          S3_ENDPOINT: endpoint,
          S3_REGION: region,
          S3_FORCE_PATH_STYLE: 'true',
          AWS_ACCESS_KEY_ID: accessKeyId,
          AWS_SECRET_ACCESS_KEY: secretAccessKey,
        },
        store: endpoint,
      }
    },
    async () => server?.close(),
  )
})
