import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { createHmac } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { projectRoot, startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'
import { apiAs, targetOf } from '../helpers/upload-api.ts'
import { freePort } from '../helpers/free-port.ts'

// Debian keeps it in sbin, which is not on the path of everybody.
const nginx = ['nginx', '/usr/sbin/nginx'].find((command) => spawnSync(command, ['-v']).error === undefined)
if (nginx === undefined) console.log('nginx is not installed: the configuration of the README is not tried')

const secret = 'a-secret-of-the-tests'
const snippet = /```nginx\n(.*?)```/s.exec(readFileSync(join(projectRoot, 'README.md'), 'utf8'))?.[1] ?? ''

describe.skipIf(nginx === undefined)('behind the nginx configuration of the README', () => {
  let originals: ReturnType<typeof makePictureFolder>
  let halftone: RunningHalftone
  let home: string
  let port: number
  let server: ChildProcess
  let errors = ''

  beforeAll(async () => {
    originals = makePictureFolder({ 'photo.jpg': await drawGradientJpeg(400, 300) })
    home = mkdtempSync(join(tmpdir(), 'halftone-nginx-'))
    const { folder } = originals
    const open = { name: 'open', folder }
    const guarded = { name: 'guarded', folder, pathPrefix: '/guarded', signed: 'always' }
    halftone = await startHalftone({
      HALFTONE_SOURCES_FILE: writeJson('sources.json', { sources: [open, guarded] }),
      HALFTONE_PRESETS_FILE: writeJson('presets.json', { card: 'w=90&auto=format' }),
      HALFTONE_SIGNING_KEYS: `k1:${secret}`,
      HALFTONE_API_KEYS: 'app:a-key-for-the-tests',
    })
    port = await freePort()
    mkdirSync(join(home, 'temporary'))
    writeFileSync(join(home, 'nginx.conf'), configuration({ home, port, upstream: halftone.origin }))
    server = spawn(nginx ?? '', ['-p', home, '-c', join(home, 'nginx.conf')], { stdio: ['ignore', 'ignore', 'pipe'] })
    server.stderr?.on('data', (chunk: Buffer) => (errors += chunk.toString()))
    await until(() =>
      ask('/-/health').then(
        ({ status }) => status === 404,
        () => false,
      ),
    )
  })
  afterAll(async () => {
    if (server.exitCode === null) {
      server.kill('SIGTERM')
      await new Promise((resolve) => server.once('exit', resolve))
    }
    await halftone.stop()
    originals.remove()
    rmSync(home, { recursive: true, force: true })
  })

  type Answer = {
    status: number
    type: string | undefined
    cache: string | undefined
    vary: string | undefined
    requestId: string | undefined
  }
  /** node:http sends the target as it is; fetch would tidy it. */
  const ask = (target: string, headers: Record<string, string> = {}) =>
    new Promise<Answer>((resolve, reject) => {
      get({ host: '127.0.0.1', port, path: target, headers: { host: 'img.example.com', ...headers } }, (response) => {
        response.resume()
        const { statusCode: status = 0, headers: answered } = response
        const header = (name: string) => answered[name] as string | undefined
        response.on('end', () =>
          resolve({
            status,
            type: header('content-type'),
            cache: header('x-cache-status'),
            vary: header('vary'),
            requestId: header('x-request-id'),
          }),
        )
      }).on('error', reject)
    })

  const writeJson = (name: string, content: object) => {
    writeFileSync(join(home, name), JSON.stringify(content))
    return join(home, name)
  }
  async function until(isDone: () => Promise<boolean>) {
    for (const giveUpMs = Date.now() + 10_000; !(await isDone()); await sleep(50))
      if (Date.now() > giveUpMs || server.exitCode !== null) throw new Error(`nginx does not answer: ${errors}`)
  }

  test('what was fetched once comes from nginx', async () => {
    const target = '/photo.jpg?w=80&fm=webp'
    expect(await ask(target)).toMatchObject({ status: 200, type: 'image/webp', cache: 'MISS' })
    expect(await ask(target)).toMatchObject({ status: 200, type: 'image/webp', cache: 'HIT' })
  })

  test.each([
    { accept: 'image/avif,image/webp,image/apng,*/*;q=0.8', type: 'image/avif' },
    { accept: 'image/png, image/webp;q=0.9', type: 'image/webp' },
    { accept: 'image/png,*/*', type: 'image/jpeg' },
    { accept: 'image/avif;q=0,image/webp', type: 'image/webp' },
    { accept: 'image/avif; q=0.00 , image/webp;q=0', type: 'image/jpeg' },
    { accept: 'image/avif;q=0.01', type: 'image/avif' },
    { accept: 'IMAGE/AVIF, image/webp ;q=0', type: 'image/avif' },
  ])('a client that says $accept gets $type, and from the cache the next time', async ({ accept, type }) => {
    for (const target of ['/photo.jpg?w=70&auto=format', '/photo.jpg?preset=card']) {
      expect(await ask(target, { accept })).toMatchObject({ status: 200, type, vary: 'Accept' })
      expect(await ask(target, { accept })).toMatchObject({ status: 200, type, cache: 'HIT' })
    }
  })

  test('a URL that names its format is kept once for all clients', async () => {
    const target = '/photo.jpg?w=60&fm=jpg'
    expect(await ask(target, { accept: 'image/avif,image/webp' })).toMatchObject({ cache: 'MISS', type: 'image/jpeg' })
    expect(await ask(target, { accept: 'image/webp' })).toMatchObject({ cache: 'HIT' })
    expect(await ask(target, { accept: '*/*' })).toMatchObject({ cache: 'HIT' })
  })

  test('a negotiation that nginx cannot see gives every client what all can show', async () => {
    const target = '/photo.jpg?w=50&%61uto=format'
    expect(await ask(target, { accept: 'image/avif' })).toMatchObject({ type: 'image/jpeg', cache: 'MISS' })
    expect(await ask(target, { accept: '*/*' })).toMatchObject({ type: 'image/jpeg', cache: 'HIT' })
  })

  test('a signed target arrives byte for byte', async () => {
    const target = '/guarded/pho%74o.jpg?fit=crop&w=4%30&h=30&unheard=a%2fb//c&auto=format'
    const sig = createHmac('sha256', secret).update(target).digest('base64url')
    expect((await ask(`${target}&sig=${sig}`)).status).toBe(200)
    expect((await ask(`${target.replace('%74', 't')}&sig=${sig}`)).status).toBe(403)
  })

  test.each(['/-/health', '/-/metrics', '/%2D/health', '/./-/health', '/x/../-/health', '/'])(
    '%s does not get through',
    async (target) => {
      expect(await ask(target)).toMatchObject({ status: 404, requestId: undefined })
    },
  )

  test('uploads of more than nginx takes by itself get through, and private images are not kept', async () => {
    const api = apiAs(`http://127.0.0.1:${String(port)}`, 'a-key-for-the-tests')
    const large = await sharp({ create: { width: 1000, height: 1000, channels: 3, background: 'green' } })
      .png({ compressionLevel: 0 })
      .toBuffer()
    const { status, json } = await api.form({}, large, { type: 'image/png' })
    expect([status, json['state']]).toEqual([200, 'ready'])
    const { id, url } = json['image'] as { id: string; url: string }
    for (const _round of [1, 2]) expect(await ask(targetOf(url))).toMatchObject({ status: 200, cache: 'MISS' })
    await api.delete(`/v1/images/${id}`)
    expect((await ask(targetOf(url))).status).toBe(404)
  })
})

/** The snippet as it is, but for where it listens, keeps and asks. */
function configuration(places: { home: string; port: number; upstream: string }): string {
  const { home, port, upstream } = places
  const adapted = [
    ['listen 80;', `listen 127.0.0.1:${String(port)};`],
    ['/var/cache/halftone', join(home, 'cache')],
    ['127.0.0.1:8080', `127.0.0.1:${new URL(upstream).port}`],
  ].reduce((text, [from = '', to = '']) => {
    if (text.split(from).length !== 2) throw new Error(`the snippet of the README should say ${from} once`)
    return text.replace(from, to)
  }, snippet)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `${name}_temp_path ${home}/temporary/${name};`,
  )
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${home}/pid;
error_log stderr warn;
events { worker_connections 128; }
http {
  access_log off;
  ${temporary.join('\n  ')}
${adapted}
}
`
}
