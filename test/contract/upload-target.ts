import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import type { PutPermission, SignedRequest, UploadTarget } from '../../src/uploads/targets/upload-target.ts'

export type TargetUnderTest = {
  readonly target: UploadTarget
  /** Whether the store itself refuses what is not as signed; the reason when it does not. */
  readonly enforcesChecksums: true | string
  /** Whether `head` tells the SHA-256 of what came by a PUT, declared or not; S3 knows declared ones at best. */
  readonly tellsChecksums: boolean
  /** Whether a form may write over what is there; S3's policies have no condition for it. */
  readonly postIsOnce: boolean
}

export const patient = (): AbortSignal => AbortSignal.timeout(20_000)
export const sha256Of = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex')

export type Sent = { readonly status: number; readonly etag: string | undefined; readonly text: string }

/** Does what is signed with exactly these headers, or with some changed; undefined takes one away. */
export function send(
  signed: SignedRequest,
  body: Buffer,
  changed: { url?: string; headers?: Record<string, string | undefined> } = {},
): Promise<Sent> {
  const all = Object.entries({ ...signed.headers, ...changed.headers })
  const headers = Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined))
  return new Promise((resolve, reject) => {
    const request = httpRequest(changed.url ?? signed.url, { method: signed.method, headers }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        resolve({ status: response.statusCode ?? 0, etag: response.headers.etag, text })
      })
    })
    request.on('error', reject)
    request.end(body)
  })
}

/** As a browser's form does it: the fields, then the file. */
export async function sendForm(
  signed: SignedRequest,
  file: Buffer,
  changed: Record<string, string> = {},
): Promise<{ readonly status: number; readonly text: string }> {
  const form = new FormData()
  for (const [name, value] of Object.entries({ ...signed.fields, ...changed })) form.append(name, value)
  form.append('file', new Blob([new Uint8Array(file)], { type: 'image/jpeg' }), 'picture.jpg')
  const response = await fetch(signed.url, { method: 'POST', body: form })
  return { status: response.status, text: await response.text() }
}

export function permission(bytes: Buffer, changes: Partial<PutPermission> = {}): PutPermission {
  return {
    key: newKey(),
    byteLength: bytes.length,
    contentType: 'image/jpeg',
    sha256: sha256Of(bytes),
    expiresInSeconds: 60,
    ...changes,
  }
}

export const newKey = (space = 'staging'): string => `${space}/upl_${randomUUID().replaceAll('-', '')}`

async function* chunksOf(...chunks: Buffer[]): AsyncGenerator<Uint8Array> {
  for (const chunk of chunks) {
    await sleep(1)
    yield chunk
  }
}

/** What every target promises to those who call it, and refuses to clients. `under` is asked when the tests run. */
export function describeUploadTarget(name: string, under: () => TargetUnderTest): void {
  const target = () => under().target
  const stored = (key: string) => target().read(key, { maxBytes: 1e9 }, patient())

  describe(`${name}: a signed PUT`, () => {
    const bytes = randomBytes(50_000)
    const refusals: {
      what: string
      change: (signed: SignedRequest) => { url?: string; headers?: Record<string, string | undefined>; body?: Buffer }
    }[] = [
      {
        what: 'a shorter body',
        change: () => ({ body: bytes.subarray(1), headers: { 'content-length': String(bytes.length - 1) } }),
      },
      {
        what: 'a longer body',
        change: () => ({
          body: Buffer.concat([bytes, bytes]),
          headers: { 'content-length': String(bytes.length * 2) },
        }),
      },
      {
        what: 'a body of untold length',
        change: () => ({ headers: { 'content-length': undefined, 'transfer-encoding': 'chunked' } }),
      },
      { what: 'another type', change: () => ({ headers: { 'content-type': 'text/html' } }) },
      { what: 'no type', change: () => ({ headers: { 'content-type': undefined } }) },
      { what: 'no if-none-match', change: () => ({ headers: { 'if-none-match': undefined } }) },
      {
        what: 'another checksum than signed',
        change: () => ({
          headers: { 'x-amz-checksum-sha256': createHash('sha256').update('other').digest('base64') },
        }),
      },
      { what: 'no checksum', change: () => ({ headers: { 'x-amz-checksum-sha256': undefined } }) },
      { what: 'another key', change: ({ url }) => ({ url: url.replace('staging/upl_', 'staging/upx_') }) },
      { what: 'a served key', change: ({ url }) => ({ url: url.replace('staging/upl_', 'objects/upl_') }) },
      { what: 'a longer life', change: ({ url }) => ({ url: url.replace(/(expires)=(\d+)/i, '$1=9$2') }) },
      { what: 'another signature', change: ({ url }) => ({ url: url.replace(/(sig|Signature)=.{4}/, '$1=0000') }) },
      { what: 'no signature', change: ({ url }) => ({ url: url.replace(/&[^&]*(sig|Signature)=[^&]*/, '') }) },
      { what: 'one query parameter more', change: ({ url }) => ({ url: `${url}&acl=` }) },
      { what: 'no query', change: ({ url }) => ({ url: url.replace(/\?.*/, '') }) },
    ]

    test('works with exactly its headers, and the bytes are there', async () => {
      const asked = permission(bytes)
      const signed = await target().signPut(asked, patient())
      expect(signed.headers).toEqual({
        'content-type': 'image/jpeg',
        'content-length': '50000',
        'if-none-match': '*',
        'x-amz-checksum-sha256': Buffer.from(sha256Of(bytes), 'hex').toString('base64'),
      })
      const sent = await send(signed, bytes)
      expect(sent).toMatchObject({ status: 200, etag: expect.stringMatching(/^".+"$/) as string })
      expect(await target().head(asked.key, patient())).toMatchObject({ key: asked.key, byteLength: 50_000 })
      expect((await stored(asked.key))?.equals(bytes)).toBe(true)
    })

    test('works without a checksum, too', async () => {
      const asked = permission(bytes, { sha256: undefined })
      expect((await send(await target().signPut(asked, patient()), bytes)).status).toBe(200)
    })

    test.each([{ declared: sha256Of(bytes) }, { declared: undefined }])(
      'has its SHA-256 told where the store takes it while the bytes come (declared: $declared)',
      async ({ declared }) => {
        const asked = permission(bytes, { sha256: declared })
        await send(await target().signPut(asked, patient()), bytes)
        const told = (await target().head(asked.key, patient()))?.sha256
        const known = [sha256Of(bytes), ...(under().tellsChecksums ? [] : [undefined])]
        expect(known).toContain(told)
      },
    )

    test.each(refusals)('refuses $what', async ({ change }) => {
      const asked = permission(bytes)
      const signed = await target().signPut(asked, patient())
      const { body = bytes, ...changed } = change(signed)
      const { status } = await send(signed, body, changed)
      expect(status).toBeGreaterThanOrEqual(400)
      expect(status).toBeLessThan(500)
      expect(await target().head(asked.key, patient())).toBeUndefined()
    })

    test('refuses other bytes than the checksum says', async () => {
      const asked = permission(bytes)
      const other = randomBytes(bytes.length)
      const { status } = await send(await target().signPut(asked, patient()), other)
      const { enforcesChecksums } = under()
      if (enforcesChecksums !== true)
        return console.log(`not held to: ${name} takes any checksum (${enforcesChecksums})`)
      expect(status).toBe(422)
      expect(await target().head(asked.key, patient())).toBeUndefined()
    })

    test('is good for one write, which a second one does not change', async () => {
      const asked = permission(bytes, { sha256: undefined })
      const signed = await target().signPut(asked, patient())
      expect((await send(signed, bytes)).status).toBe(200)
      expect((await send(signed, randomBytes(bytes.length))).status).toBe(412)
      expect((await stored(asked.key))?.equals(bytes)).toBe(true)
    })

    test('has one winner when two write at once, and what is there is the winner’s', async () => {
      const asked = permission(bytes, { sha256: undefined })
      const signed = await target().signPut(asked, patient())
      const bodies = Array.from({ length: 4 }, () => randomBytes(bytes.length))
      const statuses = await Promise.all(bodies.map(async (body) => (await send(signed, body)).status))
      const winners = bodies.filter((_, at) => statuses[at] === 200)
      expect(winners).toHaveLength(1)
      expect((await stored(asked.key))?.equals(winners[0] as Buffer)).toBe(true)
    })

    test('ends', async () => {
      const asked = permission(bytes, { expiresInSeconds: 1 })
      const signed = await target().signPut(asked, patient())
      await sleep(2500)
      expect((await send(signed, bytes)).status).toBe(403)
      expect(await target().head(asked.key, patient())).toBeUndefined()
    })
  })

  describe(`${name}: a signed form`, () => {
    const bytes = randomBytes(20_000)
    const sign = (changes: Partial<PutPermission> = {}) => {
      const asked = permission(bytes, { sha256: undefined, byteLength: 30_000, ...changes })
      return target()
        .signPost(asked, patient())
        .then((signed) => ({ ...asked, signed }))
    }

    test('takes a file of any size up to the bound', async () => {
      const { key, signed } = await sign()
      expect((await sendForm(signed, bytes)).status).toBeLessThan(300)
      expect((await stored(key))?.equals(bytes)).toBe(true)
      const { signed: exact } = await sign({ byteLength: bytes.length })
      expect((await sendForm(exact, bytes)).status).toBeLessThan(300)
    })

    test('refuses a larger one, and nothing is left', async () => {
      const { key, signed } = await sign({ byteLength: bytes.length - 1 })
      expect((await sendForm(signed, bytes)).status).toBeGreaterThanOrEqual(400)
      expect(await target().head(key, patient())).toBeUndefined()
    })

    test('refuses another key and another type', async () => {
      const { key, signed } = await sign()
      const typeField = Object.keys(signed.fields ?? {}).find((field) => signed.fields?.[field] === 'image/jpeg')
      const other = newKey()
      expect((await sendForm(signed, bytes, { key: other })).status).toBe(403)
      expect((await sendForm(signed, bytes, { [typeField ?? '']: 'text/html' })).status).toBe(403)
      expect(await target().head(key, patient())).toBeUndefined()
      expect(await target().head(other, patient())).toBeUndefined()
    })

    test('refuses once it has ended', async () => {
      const { signed } = await sign({ expiresInSeconds: 1 })
      await sleep(2500)
      expect((await sendForm(signed, bytes)).status).toBe(403)
    })

    test('does not write twice where the store can tell', async () => {
      const { key, signed } = await sign()
      await sendForm(signed, bytes)
      const { status } = await sendForm(signed, Buffer.from('second'))
      if (!under().postIsOnce) return console.log(`not held to: a form writes over what is there (${name})`)
      expect(status).toBe(412)
      expect((await stored(key))?.equals(bytes)).toBe(true)
    })
  })

  describe(`${name}: parts`, () => {
    const size = 5 << 20
    const bodies = [randomBytes(size), randomBytes(size), randomBytes(1000)]
    const start = async (key = newKey()) => {
      const multipartId = await target().startParts({ key, contentType: 'image/jpeg' }, patient())
      const parts = bodies.map((body, at) => ({ number: at + 1, byteLength: body.length }))
      const signed = await target().signParts({ key, multipartId, parts, expiresInSeconds: 60 }, patient())
      const sendPart = (at: number, body = bodies[at]) => send(signed[at] as SignedRequest, body as Buffer)
      const complete = (expectedParts = 3) => target().completeParts({ key, multipartId, expectedParts }, patient())
      return { key, multipartId, signed, sendPart, complete, asked: { key, multipartId } }
    }

    test('become one object, in their order, whatever order they came in', async () => {
      const { key, signed, sendPart, complete } = await start()
      expect(signed.map(({ number }) => number)).toEqual([1, 2, 3])
      for (const at of [2, 0, 1]) expect(await sendPart(at)).toMatchObject({ status: 200 })
      expect(await target().head(key, patient())).toBeUndefined()
      expect(await complete()).toBe(true)
      expect((await stored(key))?.equals(Buffer.concat(bodies))).toBe(true)
    })

    test('completing twice, or twice at once, is as once; and nothing stays open', async () => {
      const { key, multipartId, sendPart, complete } = await start()
      for (const at of [0, 1, 2]) await sendPart(at)
      const first = await Promise.allSettled([complete(), complete()])
      expect(first.some((one) => one.status === 'fulfilled' && one.value)).toBe(true)
      expect(await complete()).toBe(true)
      expect((await stored(key))?.length).toBe(2 * size + 1000)
      const open = await target().listOpenParts(patient())
      expect(open.some((one) => one.multipartId === multipartId)).toBe(false)
    })

    test('a missing one keeps it open, until it comes', async () => {
      const { key, sendPart, complete } = await start()
      expect(await complete()).toBe(false)
      for (const at of [0, 2]) await sendPart(at)
      expect(await complete()).toBe(false)
      expect(await target().head(key, patient())).toBeUndefined()
      await sendPart(1)
      expect(await complete()).toBe(true)
    })

    test('one may be sent again; the later one counts', async () => {
      const { key, sendPart, complete } = await start()
      await sendPart(0, randomBytes(size))
      for (const at of [0, 1, 2]) expect((await sendPart(at)).status).toBe(200)
      expect(await complete()).toBe(true)
      expect((await stored(key))?.equals(Buffer.concat(bodies))).toBe(true)
    })

    test('one of another length, number or upload is refused', async () => {
      const { signed, sendPart, complete } = await start()
      const other = await start()
      const [first] = signed
      if (!first) throw new Error('no parts signed')
      const longer = Buffer.concat([bodies[0] as Buffer, Buffer.from('x')])
      const changes = [
        send(first, longer, { headers: { 'content-length': String(longer.length) } }),
        send(first, bodies[0] as Buffer, { url: first.url.replace(/(part|partNumber)=1/, '$1=2') }),
        send(first, bodies[0] as Buffer, {
          url: first.url.replace(/(upload|uploadId)=[^&]+/, `$1=${other.multipartId}`),
        }),
      ]
      for (const { status } of await Promise.all(changes)) expect(status).toBeGreaterThanOrEqual(400)
      for (const at of [1, 2]) await sendPart(at)
      expect(await complete()).toBe(false)
    })

    test('given up: nothing is open, takes parts or can be completed; twice is fine', async () => {
      const { key, asked, sendPart, complete } = await start()
      await sendPart(0)
      const isOpen = async () =>
        (await target().listOpenParts(patient())).find(({ multipartId }) => multipartId === asked.multipartId)
      const open = await isOpen()
      expect(open?.key).toBe(key)
      expect(Math.abs((open?.startedAtMs ?? 0) - Date.now())).toBeLessThan(60_000)
      await target().abortParts(asked, patient())
      await target().abortParts(asked, patient())
      expect(await isOpen()).toBeUndefined()
      expect((await sendPart(1)).status).toBeGreaterThanOrEqual(400)
      expect(await complete()).toBe(false)
      expect(await target().head(key, patient())).toBeUndefined()
    })
  })

  describe(`${name}: objects`, () => {
    const write = (key: string, bytes: Buffer) => target().write(key, bytes, 'image/jpeg', patient())

    test('what was written is read whole or in part, and a later write replaces it', async () => {
      const key = newKey('objects')
      for (const bytes of [randomBytes(100_000), Buffer.from('short'), Buffer.alloc(0)]) {
        await write(key, bytes)
        expect((await stored(key))?.equals(bytes)).toBe(true)
        expect(await target().head(key, patient())).toMatchObject({ byteLength: bytes.length })
      }
      await write(key, Buffer.from('0123456789'))
      const read = (length: number) => target().read(key, { maxBytes: 100, length }, patient())
      expect((await read(4))?.toString()).toBe('0123')
      expect((await read(50))?.toString()).toBe('0123456789')
    })

    test('the SHA-256 is that of the bytes: hashed on demand, and told only where the store knows it', async () => {
      const bytes = randomBytes(3_000_000)
      for (const key of [newKey('objects'), newKey()]) {
        await write(key, bytes)
        expect(await target().hash(key, patient())).toBe(sha256Of(bytes))
        const told = (await target().head(key, patient()))?.sha256
        expect([undefined, sha256Of(bytes)]).toContain(told)
      }
      expect(await target().hash(newKey(), patient())).toBeUndefined()
      const key = newKey()
      await write(key, bytes)
      await write(key, Buffer.from('other'))
      expect([undefined, sha256Of(Buffer.from('other'))]).toContain((await target().head(key, patient()))?.sha256)
      await expect(target().hash(key, AbortSignal.abort(new Error('left')))).rejects.toThrow('left')
    })

    test('never more than allowed is read', async () => {
      const key = newKey('objects')
      await write(key, randomBytes(5000))
      await expect(target().read(key, { maxBytes: 4999 }, patient())).rejects.toMatchObject({ code: 'too_large' })
      expect(await target().read(key, { maxBytes: 4999, length: 10 }, patient())).toHaveLength(10)
      expect(await target().read(key, { maxBytes: 5000 }, patient())).toHaveLength(5000)
    })

    test('what is not there is undefined, and deleting it is fine', async () => {
      const key = newKey('objects')
      expect(await target().head(key, patient())).toBeUndefined()
      expect(await stored(key)).toBeUndefined()
      await target().delete(key, patient())
      await write(key, Buffer.from('a'))
      await target().delete(key, patient())
      expect(await target().head(key, patient())).toBeUndefined()
    })

    test('an empty object has no first bytes', async () => {
      const key = newKey('objects')
      await write(key, Buffer.alloc(0))
      expect(await target().read(key, { maxBytes: 100, length: 10 }, patient())).toHaveLength(0)
    })

    test.each([1, 3, 17])('a stream of %i MB is stored and hashed', async (megabytes) => {
      const key = newKey()
      const chunks = Array.from({ length: megabytes * 4 }, () => randomBytes(256 * 1024))
      const whole = Buffer.concat(chunks)
      const options = { maxBytes: whole.length, contentType: 'image/jpeg' }
      const told = await target().writeStream(key, chunksOf(...chunks), options, patient())
      expect(told).toEqual({ byteLength: whole.length, sha256: sha256Of(whole) })
      expect((await stored(key))?.equals(whole)).toBe(true)
    })

    test.each([1, 20])(
      'a stream beyond its bound, or one that breaks off after %i MB, leaves nothing',
      async (megabytes) => {
        const chunks = Array.from({ length: megabytes }, () => randomBytes(1 << 20))
        const broken = async function* () {
          yield* chunksOf(...chunks)
          throw new Error('the sender died')
        }
        const [tooMuch, cut] = [newKey(), newKey()]
        const options = { maxBytes: (megabytes << 20) - 1, contentType: 'image/jpeg' }
        await expect(target().writeStream(tooMuch, chunksOf(...chunks), options, patient())).rejects.toMatchObject({
          code: 'too_large',
        })
        await expect(
          target().writeStream(cut, broken(), { ...options, maxBytes: 1e9 }, patient()),
        ).rejects.toBeDefined()
        for (const key of [tooMuch, cut]) expect(await target().head(key, patient())).toBeUndefined()
        const open = await target().listOpenParts(patient())
        expect(open.filter(({ key }) => key === tooMuch || key === cut)).toEqual([])
      },
    )

    test('one who leaves in the middle of a stream gets the reason, and nothing is left', async () => {
      const key = newKey()
      const leaving = new AbortController()
      const endless = async function* () {
        yield randomBytes(1000)
        leaving.abort(new Error('left'))
        await new Promise(() => undefined)
      }
      const options = { maxBytes: 1e9, contentType: 'image/jpeg' }
      await expect(target().writeStream(key, endless(), options, leaving.signal)).rejects.toThrow('left')
      expect(await target().head(key, patient())).toBeUndefined()
    })

    test('one who has left gets the reason', async () => {
      const left = AbortSignal.abort(new Error('left'))
      await expect(target().head(newKey(), left)).rejects.toThrow('left')
      await expect(target().read(newKey(), { maxBytes: 1 }, left)).rejects.toThrow('left')
      await expect(target().write(newKey(), Buffer.from('a'), 'image/jpeg', left)).rejects.toThrow('left')
      await expect(target().list('objects/', undefined, left)).rejects.toThrow('left')
    })

    test('keys that are none are refused', async () => {
      for (const key of [
        '',
        'a',
        'staging/',
        'staging/../objects/ab',
        'other/abc',
        'staging/.hidden',
        'objects/A%2f',
      ]) {
        await expect(target().head(key, patient())).rejects.toMatchObject({ code: 'bad_request' })
        await expect(target().write(key, Buffer.from('a'), 'a/b', patient())).rejects.toMatchObject({
          code: 'bad_request',
        })
        await expect(target().signPut(permission(Buffer.from('a'), { key }), patient())).rejects.toMatchObject({
          code: 'bad_request',
        })
      }
    })

    test('are listed in key order, page by page, each once', async () => {
      const run = randomUUID().slice(0, 8)
      const prefix = `objects/list_${run}`
      const keys = Array.from(
        { length: 2100 },
        (_, at) => `${prefix}${((at * 7919) % 2100).toString(36).padStart(2, '0')}`,
      )
      for (let at = 0; at < keys.length; at += 50) {
        await Promise.all(keys.slice(at, at + 50).map((key) => write(key, Buffer.from(key))))
      }
      const listed: string[] = []
      let cursor: string | undefined
      do {
        const page = await target().list(prefix, cursor, patient())
        expect(page.objects.length).toBeLessThanOrEqual(1000)
        listed.push(...page.objects.map(({ key }) => key))
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(listed).toEqual([...keys].sort())
      const [one] = (await target().list(keys[0] as string, undefined, patient())).objects
      expect(one).toMatchObject({ key: keys[0], byteLength: keys[0]?.length })
      expect(Math.abs((one?.lastModifiedMs ?? 0) - Date.now())).toBeLessThan(120_000)
      expect((await target().list('objects/none', undefined, patient())).objects).toEqual([])
    })
  })
}
