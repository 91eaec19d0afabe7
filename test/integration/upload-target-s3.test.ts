import { createHash } from 'node:crypto'
import {
  type CORSRule,
  CreateBucketCommand,
  GetObjectCommand,
  PutBucketCorsCommand,
  PutObjectCommand,
  S3Client,
} from '@aws-sdk/client-s3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { S3TargetConfig } from '../../src/config/config.ts'
import { corsJson, corsRuleFor, corsXml } from '../../src/uploads/targets/bucket-cors.ts'
import { createS3Target, type S3Target } from '../../src/uploads/targets/s3-target.ts'
import { describeUploadTarget, newKey, patient, permission, send } from '../contract/upload-target.ts'
import { startOriginServer } from '../helpers/http-origin-server.ts'
import { hasS3Server, startS3Server, type S3Server } from '../helpers/s3-server.ts'

if (!hasS3Server) console.log('skipped: no S3 server here (apt-get install radosgw ceph-mon ceph-osd ceph-common)')

let server: S3Server
let client: S3Client
let target: S3Target

function open(changes: Partial<S3TargetConfig> = {}, timeoutMs = 10_000): S3Target {
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const credentials = { accessKeyId, secretAccessKey, sessionToken: undefined }
  const where = { kind: 's3', bucket: 'uploads', prefix: 'some/where', endpoint, region, forcePathStyle: true } as const
  const own = { credentials, clientEndpoint: undefined, presignedPost: true }
  return createS3Target({ ...where, ...own, ...changes }, { timeoutMs, connections: 16 })
}

beforeAll(async () => {
  if (!hasS3Server) return
  server = await startS3Server()
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  client = new S3Client({
    ...{ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } },
    requestChecksumCalculation: 'WHEN_REQUIRED',
  })
  await client.send(new CreateBucketCommand({ Bucket: 'uploads' }))
  target = open()
  await target.write(newKey(), Buffer.from('creates the pools'), 'text/plain', AbortSignal.timeout(30_000))
}, 120_000)
afterAll(async () => {
  await target?.close()
  client?.destroy()
  await server?.close()
})

describe.skipIf(!hasS3Server)('the S3 target', () => {
  describeUploadTarget('S3 (radosgw 16)', () => ({
    target,
    enforcesChecksums: 'it knows no SHA-256 headers; the job compares the bytes',
    tellsChecksums: false,
    postIsOnce: false,
  }))

  test('objects lie under the prefix, with the type that was given', async () => {
    const asked = permission(Buffer.from('bytes'))
    await send(await target.signPut(asked, patient()), Buffer.from('bytes'))
    const found = await client.send(new GetObjectCommand({ Bucket: 'uploads', Key: `some/where/${asked.key}` }))
    expect(found.ContentType).toBe('image/jpeg')
    expect(await target.head(asked.key, patient())).toMatchObject({ contentType: 'image/jpeg' })
    const foreign = { Bucket: 'uploads', Key: 'some/where/staging/NOT OURS', Body: 'x' }
    await client.send(new PutObjectCommand(foreign))
    const listed = await target.list('staging/NOT', undefined, patient())
    expect(listed).toEqual({ objects: [], cursor: undefined })
  })

  test('a permission is for its own prefix and bucket', async () => {
    const bytes = Buffer.from('bytes')
    const signed = await target.signPut(permission(bytes), patient())
    for (const url of [
      signed.url.replace('some/where', 'other/where'),
      signed.url.replace('/uploads/', '/downloads/'),
    ]) {
      expect((await send(signed, bytes, { url })).status).toBe(403)
    }
  })

  test('clients may reach the store elsewhere: what they are given names that host, and is signed for it', async () => {
    const outside = server.endpoint.replace('127.0.0.1', 'localhost')
    const split = open({ clientEndpoint: outside })
    const [bytes, permitted] = [Buffer.from('from outside'), permission(Buffer.from('from outside'))]
    const signed = await split.signPut(permitted, patient())
    expect(new URL(signed.url).origin).toBe(outside)
    // Signed for one host: the other one is refused.
    expect((await send(signed, bytes, { url: signed.url.replace(outside, server.endpoint) })).status).toBe(403)
    expect((await send(signed, bytes)).status).toBe(200)
    // What the server does itself goes to its own endpoint still, or this would fail where the outside is not reachable.
    expect(await split.read(permitted.key, { maxBytes: 100 }, patient())).toEqual(bytes)
    expect(new URL((await split.signPost(permission(bytes), patient())).url).origin).toBe(outside)
    const key = newKey()
    const multipartId = await split.startParts({ key, contentType: 'image/jpeg' }, patient())
    const parts = [{ number: 1, byteLength: 5 }]
    const [part] = await split.signParts({ key, multipartId, parts, expiresInSeconds: 60 }, patient())
    expect(new URL(part?.url ?? '').origin).toBe(outside)
    await split.abortParts({ key, multipartId }, patient())
    await split.close()

    const unreachable = open({ clientEndpoint: 'http://uploads.example.invalid' })
    await unreachable.write(permitted.key, bytes, 'image/jpeg', patient())
    expect((await unreachable.signPut(permission(bytes), patient())).url).toContain('http://uploads.example.invalid/')
    await unreachable.close()
  })

  test('forms are refused where the store is said to have none', async () => {
    const formless = open({ presignedPost: false })
    expect(formless.capabilities.presignedPost).toBe(false)
    const asked = permission(Buffer.from('a'))
    await expect(formless.signPost(asked, patient())).rejects.toMatchObject({ code: 'bad_request' })
    await formless.close()
  })

  test('wrong credentials and a bucket that is not there are the target’s failure, with the reason for the log', async () => {
    const credentials = { accessKeyId: 'AKTEST', secretAccessKey: 'wrong', sessionToken: undefined }
    const stranger = open({ credentials })
    const failure = { code: 'target_failed', details: { reason: 'SignatureDoesNotMatch' } }
    await expect(stranger.read(newKey(), { maxBytes: 10 }, patient())).rejects.toMatchObject(failure)
    await expect(stranger.write(newKey(), Buffer.from('a'), 'a/b', patient())).rejects.toMatchObject(failure)
    await stranger.close()
    const nowhere = open({ bucket: 'nowhere' })
    const write = nowhere.write(newKey(), Buffer.from('a'), 'a/b', patient())
    await expect(write).rejects.toMatchObject({ code: 'target_failed', details: { reason: 'NoSuchBucket' } })
    await nowhere.close()
  })

  test('a store that does not answer costs the time of the call, and one who leaves meanwhile gets the reason', async () => {
    const hasty = open({}, 700)
    await hasty.head(newKey(), patient())
    await server.pause()
    try {
      const startedMs = performance.now()
      await expect(hasty.head(newKey(), patient())).rejects.toMatchObject({ code: 'target_timeout' })
      await expect(hasty.write(newKey(), Buffer.alloc(100), 'a/b', patient())).rejects.toMatchObject({
        code: 'target_timeout',
      })
      expect(performance.now() - startedMs).toBeLessThan(4000)
      const leaving = new AbortController()
      setTimeout(() => leaving.abort(new Error('left')), 100)
      await expect(target.list('staging/', undefined, leaving.signal)).rejects.toThrow('left')
      // Signing needs no store.
      const signed = await hasty.signPut(permission(Buffer.from('a')), patient())
      expect(signed.url).toContain('X-Amz-Signature=')
    } finally {
      server.resume()
      await hasty.close()
    }
  })

  test('a reader that leaves in the middle of a read gets the reason', async () => {
    const key = newKey('objects')
    await target.write(key, Buffer.alloc(40 << 20), 'image/jpeg', patient())
    const leaving = new AbortController()
    setTimeout(() => leaving.abort(new Error('left')), 10)
    await expect(target.read(key, { maxBytes: 1e9 }, leaving.signal)).rejects.toThrow('left')
    expect(await target.read(key, { maxBytes: 1e9, length: 5 }, patient())).toHaveLength(5)
  })

  test('two streams that fail leave no parts behind, also when the sender has gone', async () => {
    const key = newKey()
    const leaving = new AbortController()
    const stream = async function* () {
      for (let sent = 0; sent < 20; sent += 1) yield Buffer.alloc(1 << 20)
      leaving.abort(new Error('left'))
      await new Promise(() => undefined)
    }
    const written = target.writeStream(key, stream(), { maxBytes: 1e9, contentType: 'a/b' }, leaving.signal)
    await expect(written).rejects.toThrow('left')
    expect((await target.listOpenParts(patient())).filter((one) => one.key === key)).toEqual([])
  })

  describe('the CORS rule of the bucket', () => {
    const origins = ['https://app.example', 'http://localhost:3000']
    const preflight = (origin: string, url: string) =>
      fetch(url, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'PUT',
          'access-control-request-headers': 'content-type,if-none-match,x-amz-checksum-sha256',
        },
      })

    test('is reported missing where there is none, and complete once the rule made for it is there', async () => {
      expect(await target.checkCors(origins, patient())).toEqual([
        'No rule allows PUT from https://app.example.',
        'No rule allows POST from https://app.example.',
        'No rule allows PUT from http://localhost:3000.',
        'No rule allows POST from http://localhost:3000.',
      ])
      const CORSConfiguration = JSON.parse(corsJson(corsRuleFor(target, origins))) as { CORSRules: CORSRule[] }
      await client.send(new PutBucketCorsCommand({ Bucket: 'uploads', CORSConfiguration }))
      expect(await target.checkCors(origins, patient())).toEqual([])
      expect(await target.checkCors(['https://other.example'], patient())).toHaveLength(2)
    })

    test('is what browsers need: the preflight of a signed PUT is granted to those origins only', async () => {
      const bytes = Buffer.from('from a page')
      const signed = await target.signPut(permission(bytes), patient())
      const granted = await preflight('https://app.example', signed.url)
      expect(granted.status).toBe(200)
      expect(granted.headers.get('access-control-allow-origin')).toBe('https://app.example')
      expect((await preflight('https://other.example', signed.url)).status).toBe(403)
    })

    test('can be put as XML, too', async () => {
      const body = Buffer.from(corsXml(corsRuleFor(target, ['https://app.example'])))
      const ContentMD5 = createHash('md5').update(body).digest('base64')
      const command = new PutBucketCorsCommand({ Bucket: 'uploads', ContentMD5, CORSConfiguration: { CORSRules: [] } })
      command.middlewareStack.add(
        (next) => (args) => {
          const request = args.request as { body: unknown; headers: Record<string, string> }
          request.body = body
          request.headers['content-length'] = String(body.length)
          return next(args)
        },
        { step: 'build', priority: 'low' },
      )
      await client.send(command)
      expect(await target.checkCors(['https://app.example'], patient())).toEqual([])
      expect(await target.checkCors(['http://localhost:3000'], patient())).toHaveLength(2)
    })
  })
})

describe('a store that tells checksums', () => {
  const sum = createHash('sha256').update('whole').digest()
  test.each<[string, Record<string, string>, string | undefined]>([
    ['of the whole', { 'x-amz-checksum-type': 'FULL_OBJECT' }, sum.toString('hex')],
    ['without a word on what of', {}, sum.toString('hex')],
    ['of the checksums of parts', { 'x-amz-checksum-type': 'COMPOSITE' }, undefined],
    ['of the checksums of three parts', { 'x-amz-checksum-sha256': `${sum.toString('base64')}-3` }, undefined],
    ['of another kind', { 'x-amz-checksum-sha256': '', 'x-amz-checksum-crc32': 'AAAAAA==' }, undefined],
  ])('%s is believed where it is a sum of the bytes', async (_what, headers, want) => {
    const asked: unknown[] = []
    const store = await startOriginServer((request, response) => {
      asked.push([request.method, request.headers['x-amz-checksum-mode']])
      response.writeHead(200, { 'content-length': '5', 'x-amz-checksum-sha256': sum.toString('base64'), ...headers })
      response.end()
    })
    const credentials = { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: undefined }
    const where = { kind: 's3', bucket: 'uploads', prefix: '', region: 'us-east-1', forcePathStyle: true } as const
    const told = createS3Target(
      { ...where, endpoint: store.url, credentials, clientEndpoint: undefined, presignedPost: true },
      { timeoutMs: 5000, connections: 1 },
    )
    try {
      expect(await told.head(newKey(), patient())).toMatchObject({ byteLength: 5, sha256: want })
      expect(asked).toEqual([['HEAD', 'ENABLED']])
    } finally {
      await told.close()
      await store.close()
    }
  })
})
