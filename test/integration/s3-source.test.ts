import { gzipSync } from 'node:zlib'
import {
  CreateBucketCommand,
  DeleteObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { S3OriginConfig } from '../../src/config/config.ts'
import { describeSource } from '../contract/source.contract.ts'
import { ask } from '../helpers/ask.ts'
import { drawGradientJpeg } from '../helpers/draw-picture.ts'
import { makePictureFolder } from '../helpers/picture-folder.ts'
import { openRemoteSource, remoteConfig } from '../helpers/remote-source.ts'
import { hasS3Server, startS3Server, type S3Server } from '../helpers/s3-server.ts'
import { startHalftone } from '../helpers/start-halftone.ts'

if (!hasS3Server) console.log('skipped: no S3 server here (apt-get install radosgw ceph-mon ceph-osd ceph-common)')

let server: S3Server
let client: S3Client

beforeAll(async () => {
  if (!hasS3Server) return
  server = await startS3Server()
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  await client.send(new CreateBucketCommand({ Bucket: 'pictures' }))
}, 120_000)
afterAll(async () => {
  client?.destroy()
  await server?.close()
})

const signal = new AbortController().signal
const put = (Key: string, Body: Buffer, more: Record<string, string> = {}) =>
  client.send(new PutObjectCommand({ Bucket: 'pictures', Key, Body, ...more }))
const remove = (Key: string) => client.send(new DeleteObjectCommand({ Bucket: 'pictures', Key }))

function bucket(changes: Partial<S3OriginConfig> = {}): S3OriginConfig {
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const credentials = { accessKeyId, secretAccessKey, sessionToken: undefined }
  return { kind: 's3', bucket: 'pictures', prefix: '', endpoint, region, forcePathStyle: true, credentials, ...changes }
}

describe.skipIf(!hasS3Server)('S3', () => {
  describeSource('s3', () => {
    const config = remoteConfig(bucket({ prefix: 'contract' }))
    const { source } = openRemoteSource(config)
    return Promise.resolve({
      source,
      maxBytes: config.maxBytes,
      put: async (path, bytes) => void (await put(`contract${path}`, bytes)),
      remove: async (path) => void (await remove(`contract${path}`)),
      close: () => source.close(),
    })
  })

  test('asks with the ETag it knows, and keeps the version while nothing changes', async () => {
    const { source, events } = openRemoteSource(remoteConfig(bucket()))
    await put('etag.jpg', Buffer.from('one'))
    const first = await source.read('/etag.jpg', signal)
    expect((await source.read('/etag.jpg', signal))?.version).toBe(first?.version)
    await put('etag.jpg', Buffer.from('two'))
    expect((await source.read('/etag.jpg', signal))?.version).not.toBe(first?.version)
    await put('etag.jpg', Buffer.from('one'))
    expect((await source.read('/etag.jpg', signal))?.version).toBe(first?.version)
    expect(events).toEqual(['fetched', 'unmodified', 'fetched', 'fetched'])
    await source.close()
  })

  test('Cache-Control and Expires of an object are its freshness, within the bounds of the source', async () => {
    const freshness = { minFreshSeconds: 10, maxFreshSeconds: 1000, staleIfErrorSeconds: 0, negativeSeconds: 0 }
    const { source } = openRemoteSource(remoteConfig(bucket(), { freshness, maxAgeSeconds: 77 }))
    await put('silent.jpg', Buffer.from('x'))
    await put('said.jpg', Buffer.from('x'), { CacheControl: 'public, max-age=300' })
    await put('short.jpg', Buffer.from('x'), { CacheControl: 'no-cache' })
    await put('long.jpg', Buffer.from('x'), { CacheControl: 'max-age=31536000, immutable' })
    const ages = ['/silent.jpg', '/said.jpg', '/short.jpg', '/long.jpg'].map(async (path) => {
      const { freshUntilMs = 0 } = (await source.stat(path, signal)) ?? {}
      return Math.ceil((freshUntilMs - Date.now()) / 1000)
    })
    expect(await Promise.all(ages)).toEqual([77, 300, 10, 1000])
    await source.close()
  })

  test('an object stored compressed is decoded, within the limit', async () => {
    const { source } = openRemoteSource(remoteConfig(bucket()))
    await put('packed.svg', gzipSync('<svg/>'), { ContentEncoding: 'gzip' })
    await put('bomb.svg', gzipSync(Buffer.alloc(10_000_000)), { ContentEncoding: 'gzip' })
    expect((await source.read('/packed.svg', signal))?.bytes.toString()).toBe('<svg/>')
    await expect(source.read('/bomb.svg', signal)).rejects.toMatchObject({ code: 'source_too_large' })
    await source.close()
  })

  test.each([
    ['a wrong secret', { credentials: { accessKeyId: 'AKTEST', secretAccessKey: 'wrong', sessionToken: undefined } }],
    ['an unknown key', { credentials: { accessKeyId: 'NOBODY', secretAccessKey: 'x', sessionToken: undefined } }],
    ['a bucket that is not there', { bucket: 'no-such-bucket' }],
  ])('%s is a failure and never absence', async (_what, changes) => {
    const { source } = openRemoteSource(remoteConfig(bucket(changes)))
    await expect(source.stat('/a.jpg', signal)).rejects.toMatchObject({ code: 'source_failed' })
    await source.close()
  })

  test('an endpoint where nobody listens is unreachable', async () => {
    const { source } = openRemoteSource(remoteConfig(bucket({ endpoint: 'http://127.0.0.1:9' })))
    await expect(source.stat('/a.jpg', signal)).rejects.toMatchObject({ code: 'source_unreachable' })
    await source.close()
  })

  test('without the right to list, what is denied counts as absent; with it, as denied', async () => {
    await server.addUser('READER')
    const statement = (Action: string, Resource: string) => ({
      Effect: 'Allow',
      Principal: { AWS: ['arn:aws:iam:::user/READER'] },
      Action: [Action],
      Resource: [Resource],
    })
    const allow = async (...Statement: object[]) =>
      client.send(
        new PutBucketPolicyCommand({
          Bucket: 'pictures',
          Policy: JSON.stringify({ Version: '2012-10-17', Statement }),
        }),
      )
    await put('open/there.jpg', Buffer.from('x'))
    await put('closed/there.jpg', Buffer.from('x'))
    const credentials = { accessKeyId: 'AKREADER', secretAccessKey: 'SKREADER', sessionToken: undefined }

    await allow(statement('s3:GetObject', 'arn:aws:s3:::pictures/open/*'))
    const blind = openRemoteSource(remoteConfig(bucket({ credentials })))
    expect(await blind.source.stat('/open/there.jpg', signal)).toBeDefined()
    expect(await blind.source.stat('/open/missing.jpg', signal)).toBeUndefined()
    expect(await blind.source.stat('/closed/there.jpg', signal)).toBeUndefined()
    expect(blind.events.filter((event) => event === 'denied_as_absent')).toHaveLength(2)
    await blind.source.close()

    await allow(
      statement('s3:GetObject', 'arn:aws:s3:::pictures/open/*'),
      statement('s3:ListBucket', 'arn:aws:s3:::pictures'),
    )
    const seeing = openRemoteSource(remoteConfig(bucket({ credentials })))
    expect(await seeing.source.stat('/open/missing.jpg', signal)).toBeUndefined()
    await expect(seeing.source.stat('/closed/there.jpg', signal)).rejects.toMatchObject({ code: 'source_denied' })
    await seeing.source.close()
  })

  test('a store that hangs times out, and what was fetched before is served meanwhile', async () => {
    const freshness = { minFreshSeconds: 0, maxFreshSeconds: 0, staleIfErrorSeconds: 60, negativeSeconds: 0 }
    const limits = {
      connectTimeoutMs: 300,
      firstByteTimeoutMs: 300,
      idleTimeoutMs: 300,
      totalTimeoutMs: 700,
      maxRedirects: 0,
    }
    const { source, events } = openRemoteSource(remoteConfig(bucket(), { freshness, limits }))
    await put('kept.jpg', Buffer.from('kept'))
    await source.stat('/kept.jpg', signal)
    await server.pause()
    try {
      expect((await source.read('/kept.jpg', signal))?.bytes.toString()).toBe('kept')
      await expect(source.read('/other.jpg', signal)).rejects.toMatchObject({ code: 'source_timeout' })
    } finally {
      server.resume()
    }
    expect(events).toEqual(['fetched', 'failed', 'stale_on_error', 'failed'])
    await source.close()
  })

  test('serves variants over HTTP, with credentials from the environment and from files', async () => {
    await put('shop/cat.jpg', Buffer.from(await drawGradientJpeg(60, 40)), { CacheControl: 'max-age=120' })
    const folder = makePictureFolder({ 'secret.txt': `${server.secretAccessKey}\n` })
    process.env['TEST_S3_KEY'] = server.accessKeyId
    const place = { kind: 's3', bucket: 'pictures', prefix: '/shop/', endpoint: server.endpoint, forcePathStyle: true }
    const credentials = { accessKeyId: { env: 'TEST_S3_KEY' }, secretAccessKey: { file: 'secret.txt' } }
    folder.write('sources.json', JSON.stringify({ sources: [{ name: 'shop', ...place, credentials }] }))
    const settings = { HALFTONE_SOURCES_FILE: `${folder.folder}/sources.json`, TEST_S3_KEY: server.accessKeyId }
    const halftone = await startHalftone(settings)
    try {
      const answer = await ask(halftone, '/cat.jpg?w=20')
      expect(answer).toMatchObject({ status: 200 })
      expect(answer.headers.get('cache-control')).toMatch(/^public, max-age=1[12]\d, stale-while-revalidate=86400$/)
      expect(await ask(halftone, '/dog.jpg?w=20')).toMatchObject({ status: 404, code: 'not_found' })
    } finally {
      await halftone.stop()
      folder.remove()
      delete process.env['TEST_S3_KEY']
    }
  })
})
