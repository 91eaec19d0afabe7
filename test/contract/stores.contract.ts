import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { NewUpload, QuotaLimits, Stores } from '../../src/db/stores.ts'
import { newId } from '../../src/lib/new-id.ts'
import { facts, finishNew, newUpload, owner, unbounded, uploadReady } from '../helpers/store-records.ts'

/** Opens an empty database; `openSecond` another connection to the same one. */
export type OpenTestStores = (options: { readonly now: () => number }) => Promise<{
  readonly stores: Stores
  readonly openSecond: () => Promise<Stores>
}>

/** What the stores promise on every database; what one process changed, another hears of within `delayMs`. */
export function describeStores(name: string, openTestStores: OpenTestStores, delayMs = 0): void {
  const open = async () => {
    const clock = { nowMs: 1_000_000 }
    const { stores, openSecond } = await openTestStores({ now: () => clock.nowMs })
    onTestFinished(() => stores.close())
    const second = async () => {
      const other = await openSecond()
      onTestFinished(() => other.close())
      return other
    }
    return { stores, clock, second }
  }
  const create = (stores: Stores, change: Partial<NewUpload> = {}, quota: QuotaLimits = unbounded) =>
    stores.uploads.create(newUpload(change), { quota }).then(({ upload }) => upload)

  describe(`${name}: uploads`, () => {
    test('what was created is found whole, with its image and its first event', async () => {
      const { stores } = await open()
      const asked = newUpload({ kind: 'avatar', subject: 'user-7', sha256: 'ab', metadata: { title: 'Ünï' } })
      const { upload, repeated } = await stores.uploads.create(asked, { quota: unbounded })
      expect(repeated).toBe(false)
      expect(upload).toEqual({
        ...asked,
        state: 'pending',
        reason: undefined,
        version: undefined,
        multipartId: undefined,
        updatedAtMs: asked.createdAtMs,
      })
      expect(await stores.uploads.find(upload.id)).toEqual(upload)
      expect(await stores.images.find(upload.imageId)).toMatchObject({
        ...{ state: 'pending', kind: 'avatar', subject: 'user-7', metadata: { title: 'Ünï' }, epoch: 0 },
        version: undefined,
      })
      expect(await stores.uploads.events(upload.id)).toMatchObject([{ from: undefined, to: 'pending' }])
      expect(await stores.uploads.find(newId('upl'))).toBeUndefined()
    })

    test('an absent size stays absent, and sizes beyond 32 bits are kept', async () => {
      const { stores } = await open()
      const unknown = await create(stores, { byteLength: undefined, reservedBytes: 5_000_000_000_000 })
      expect(await stores.uploads.find(unknown.id)).toMatchObject({ byteLength: undefined, reservedBytes: 5e12 })
    })

    test('a state is changed only from one of the states expected, and the history is kept in order', async () => {
      const { stores, clock } = await open()
      const { id } = await create(stores)
      expect(await stores.uploads.move(id, ['uploaded'], 'processing')).toBeUndefined()
      clock.nowMs += 5
      const moved = await stores.uploads.move(id, ['pending'], 'uploaded', {
        byteLength: 77,
        sha256: 'cd',
        fact: { by: 'client', parts: 3, late: false },
      })
      expect(moved).toMatchObject({ state: 'uploaded', byteLength: 77, sha256: 'cd', updatedAtMs: clock.nowMs })
      await stores.uploads.move(id, ['pending', 'uploaded'], 'processing')
      expect((await stores.uploads.events(id)).map(({ from, to }) => [from, to])).toEqual([
        [undefined, 'pending'],
        ['pending', 'uploaded'],
        ['uploaded', 'processing'],
      ])
      expect((await stores.uploads.events(id))[1]).toMatchObject({
        atMs: clock.nowMs,
        fact: { by: 'client', parts: 3, late: false },
      })
      expect(await stores.uploads.move(newId('upl'), ['pending'], 'uploaded')).toBeUndefined()
    })

    test('of two moves at once one wins', async () => {
      const { stores, second } = await open()
      const { id } = await create(stores)
      const other = await second()
      for (const pair of [[stores, stores] as const, [stores, other] as const]) {
        await stores.uploads.move(id, ['uploaded'], 'pending')
        const moved = await Promise.all(pair.map((one) => one.uploads.move(id, ['pending'], 'uploaded')))
        expect(moved.filter((one) => one !== undefined)).toHaveLength(1)
      }
    })

    test('a settled state is reached by finish and end only', async () => {
      const { stores } = await open()
      const { id } = await create(stores)
      await expect(stores.uploads.move(id, ['pending'], 'ready')).rejects.toThrow('finish and end')
      expect(await stores.uploads.find(id)).toMatchObject({ state: 'pending' })
    })

    test('the first store id of an upload in parts stays', async () => {
      const { stores } = await open()
      const { id } = await create(stores)
      expect(await stores.uploads.setMultipart(id, 'one')).toBe('one')
      expect(await stores.uploads.setMultipart(id, 'two')).toBe('one')
      expect(await stores.uploads.find(id)).toMatchObject({ multipartId: 'one' })
    })

    test('an idempotency key makes one upload, however many ask at once', async () => {
      const { stores } = await open()
      const idempotency = { principal: 'p', key: 'k', bodyHash: 'h', untilMs: 2_000_000 }
      const made = await Promise.all(
        Array.from({ length: 5 }, () => stores.uploads.create(newUpload(), { quota: unbounded, idempotency })),
      )
      expect(new Set(made.map(({ upload }) => upload.id)).size).toBe(1)
      expect(made.filter(({ repeated }) => !repeated)).toHaveLength(1)
      expect(await stores.uploads.usage(owner)).toMatchObject({ openUploads: 1 })
      await expect(
        stores.uploads.create(newUpload(), { quota: unbounded, idempotency: { ...idempotency, bodyHash: 'other' } }),
      ).rejects.toMatchObject({ code: 'idempotency_mismatch' })
      const elsewhere = { ...idempotency, principal: 'q' }
      expect(await stores.uploads.create(newUpload(), { quota: unbounded, idempotency: elsewhere })).toMatchObject({
        repeated: false,
      })
    })

    test('a repeated request is answered although the quota is full, and a refused one leaves its key free', async () => {
      const { stores } = await open()
      const quota = { ...unbounded, openUploads: 1 }
      const idempotency = (key: string) => ({ principal: 'p', key, bodyHash: 'h', untilMs: 2_000_000 })
      const { upload } = await stores.uploads.create(newUpload(), { quota, idempotency: idempotency('a') })
      const refused = stores.uploads.create(newUpload(), { quota, idempotency: idempotency('b') })
      await expect(refused).rejects.toMatchObject({ code: 'quota_exceeded' })
      expect(await stores.uploads.create(newUpload(), { quota, idempotency: idempotency('a') })).toMatchObject({
        repeated: true,
      })
      await stores.uploads.end(upload.id, ['pending'], 'expired', {})
      expect(await stores.uploads.create(newUpload(), { quota, idempotency: idempotency('b') })).toMatchObject({
        repeated: false,
      })
    })

    test('an idempotency key is free again after its time', async () => {
      const { stores } = await open()
      const idempotency = { principal: 'p', key: 'k', bodyHash: 'h', untilMs: 1_000_500 }
      await stores.uploads.create(newUpload(), { quota: unbounded, idempotency })
      const later = newUpload({ createdAtMs: 1_000_500 })
      const next = { ...idempotency, bodyHash: 'other', untilMs: 1_001_000 }
      expect(await stores.uploads.create(later, { quota: unbounded, idempotency: next })).toMatchObject({
        repeated: false,
        upload: { id: later.id },
      })
      expect(await stores.uploads.forgetIdempotency(1_000_999)).toBe(0)
      expect(await stores.uploads.forgetIdempotency(1_001_000)).toBe(1)
    })

    test('an image is replaced by its owner only, and not when it is deleted', async () => {
      const { stores } = await open()
      const { upload } = await uploadReady(stores)
      const replacing = { imageId: upload.imageId }
      await expect(create(stores, { ...replacing, owner: 'another' })).rejects.toMatchObject({ code: 'not_found' })
      await expect(create(stores, { ...replacing, project: 'another' })).rejects.toMatchObject({ code: 'not_found' })
      expect(await stores.uploads.usage({ ...owner, owner: 'another' })).toMatchObject({ openUploads: 0 })
      await create(stores, replacing)
      await stores.images.remove(upload.imageId, [])
      await expect(create(stores, replacing)).rejects.toMatchObject({ code: 'not_found' })
    })

    test('stale uploads come oldest first: those untouched for long, and those past their time', async () => {
      const { stores, clock } = await open()
      const at = (createdAtMs: number, expiresAtMs: number) => create(stores, { createdAtMs, expiresAtMs })
      const [first, second, third] = [await at(10, 900), await at(20, 100), await at(30, 1000)]
      const stale = async (asked: { untouchedSinceMs?: number; expiredAtMs?: number; limit?: number }) =>
        (await stores.uploads.stale({ states: ['pending', 'uploaded'], limit: 10, ...asked })).map(({ id }) => id)
      expect(await stale({ untouchedSinceMs: 20 })).toEqual([first.id, second.id])
      expect(await stale({ expiredAtMs: 900 })).toEqual([first.id, second.id])
      expect(await stale({ untouchedSinceMs: 10, expiredAtMs: 100 })).toEqual([first.id, second.id])
      expect(await stale({ untouchedSinceMs: 30, limit: 2 })).toEqual([first.id, second.id])
      clock.nowMs = 50
      await stores.uploads.move(first.id, ['pending'], 'processing')
      expect(await stale({ untouchedSinceMs: 60 })).toEqual([second.id, third.id])
      expect(await stale({})).toEqual([])
    })

    test('a staging key is known while its upload is open', async () => {
      const { stores } = await open()
      const upload = await create(stores)
      expect(await stores.uploads.findByStagingKey(upload.stagingKey)).toEqual(upload)
      await stores.uploads.end(upload.id, ['pending'], 'expired', {})
      expect(await stores.uploads.findByStagingKey(upload.stagingKey)).toBeUndefined()
    })
  })

  describe(`${name}: the end of an upload`, () => {
    test('finishing makes version, image, object, quota, event and message in one go', async () => {
      const { stores } = await open()
      const { upload, image, version } = await uploadReady(stores, { filename: 'cat.jpg' })
      expect(upload).toMatchObject({ state: 'ready', version: 1 })
      expect(image).toMatchObject({ state: 'ready', version: 1, filename: 'cat.jpg' })
      expect(version).toMatchObject({ state: 'ready', version: 1, uploadId: upload.id, facts })
      expect(await stores.images.version(image.id, 1)).toEqual(version)
      expect(await stores.objects.find(version.objectKey)).toMatchObject({ state: 'stored' })
      expect(await stores.uploads.usage(owner)).toEqual({
        ...{ storedBytes: 90, reservedBytes: 0, objects: 1, images: 1, openUploads: 0 },
      })
      expect((await stores.uploads.events(upload.id)).at(-1)).toMatchObject({ from: 'processing', to: 'ready' })
      expect(await stores.outbox.list({ limit: 10 })).toMatchObject([
        { project: owner.project, type: 'image.ready', payload: '{"version":1}', state: 'waiting', attempts: 0 },
      ])
    })

    test('finishing twice does it once', async () => {
      const { stores } = await open()
      const { upload, version } = await uploadReady(stores)
      const again = { state: 'ready', objectKey: version.objectKey, byteLength: 90, sha256: 'x', facts } as const
      expect(await stores.uploads.finish(upload.id, { ...again, messages: () => [] })).toBeUndefined()
      expect(await stores.images.versions(upload.imageId)).toHaveLength(1)
    })

    test('a quarantined first version is not served, a quarantined second leaves the first in its place', async () => {
      const { stores } = await open()
      const first = await finishNew(stores, { state: 'quarantined', reason: { code: 'moderation', detail: 'Wait.' } })
      expect(first).toMatchObject({
        image: { state: 'quarantined', version: undefined },
        upload: { state: 'quarantined', reason: { code: 'moderation', detail: 'Wait.' } },
      })
      expect(await stores.images.findServed(first.image.id, undefined)).toBeUndefined()
      const good = await uploadReady(stores)
      const next = await finishNew(stores, { state: 'quarantined', upload: { imageId: good.image.id } })
      expect(next.image).toMatchObject({ state: 'ready', version: 1 })
      expect(await stores.images.findServed(good.image.id, 2)).toBeUndefined()
    })

    test('replacing serves the newest version, the older by its number; versions at once get numbers of their own', async () => {
      const { stores } = await open()
      const { image } = await uploadReady(stores)
      await Promise.all(
        Array.from({ length: 4 }, (_, n) =>
          finishNew(stores, { upload: { imageId: image.id, filename: `${n}.jpg` }, storedSha256: `bytes ${n}` }),
        ),
      )
      expect((await stores.images.versions(image.id)).map(({ version }) => version)).toEqual([5, 4, 3, 2, 1])
      expect(await stores.images.findServed(image.id, undefined)).toMatchObject({ version: { version: 5 } })
      expect(await stores.images.findServed(image.id, 2)).toMatchObject({ version: { version: 2 } })
      expect(await stores.images.findServed(image.id, 6)).toBeUndefined()
    })

    test.each([
      ['rejected', 'rejected'],
      ['failed', 'deleted'],
      ['expired', 'deleted'],
      ['deleted', 'deleted'],
    ] as const)(
      'an upload that ended %s gives back what was held; its image without versions is %s',
      async (to, image) => {
        const { stores } = await open()
        const upload = await create(stores)
        const why = { reason: { code: 'undecodable', detail: 'Broken.' }, messages: [{ type: 't', payload: { a: 1 } }] }
        expect(await stores.uploads.end(upload.id, ['processing'], to, why)).toBeUndefined()
        expect(await stores.uploads.end(upload.id, ['pending'], to, why)).toMatchObject({
          state: to,
          reason: why.reason,
        })
        expect(await stores.uploads.end(upload.id, ['pending'], to, why)).toBeUndefined()
        expect(await stores.images.find(upload.imageId)).toMatchObject({ state: image })
        expect(await stores.uploads.usage(owner)).toMatchObject({ reservedBytes: 0, openUploads: 0 })
        expect(await stores.outbox.list({ limit: 10 })).toHaveLength(1)
      },
    )

    test('an image that has a version, or another upload on its way, stays as it is', async () => {
      const { stores } = await open()
      const { image } = await uploadReady(stores)
      const replacing = await create(stores, { imageId: image.id })
      await stores.uploads.end(replacing.id, ['pending'], 'rejected', {})
      expect(await stores.images.find(image.id)).toMatchObject({ state: 'ready', version: 1 })
      const [one, two] = [await create(stores), undefined]
      const twin = await create(stores, { imageId: one.imageId })
      await stores.uploads.end(one.id, ['pending'], 'expired', {})
      expect(await stores.images.find(twin.imageId)).toMatchObject({ state: 'pending' })
      expect(two).toBeUndefined()
    })
  })

  describe(`${name}: quota`, () => {
    test.each([
      ['bytes', { ...unbounded, bytes: 500 }, 5],
      ['objects', { ...unbounded, objects: 3 }, 3],
      ['open uploads', { ...unbounded, openUploads: 7 }, 7],
    ])('a bound on %s holds under 20 creates at once', async (_, quota, allowed) => {
      const { stores, second } = await open()
      const both = [stores, await second()]
      const tries = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => create(both[n % 2] ?? stores, {}, quota)),
      )
      expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(allowed)
      for (const tried of tries) {
        if (tried.status === 'rejected') expect(tried.reason).toMatchObject({ code: 'quota_exceeded' })
      }
      expect(await stores.uploads.usage(owner)).toMatchObject({ openUploads: allowed, reservedBytes: allowed * 100 })
    })

    test('images that share their bytes count one by one, and as open uploads until they are there', async () => {
      const { stores, second } = await open()
      const both = [stores, await second()]
      const quota = { ...unbounded, objects: 5 }
      await uploadReady(stores)
      const waiting = await finishNew(stores, { state: 'quarantined' })
      expect(await stores.uploads.usage(owner)).toMatchObject({ objects: 1, images: 2 })
      const tries = await Promise.allSettled(
        Array.from({ length: 20 }, (_, n) => create(both[n % 2] ?? stores, {}, quota)),
      )
      expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(3)
      // Each way out, all at once and some twice.
      const [first, other] = tries.flatMap((tried) => (tried.status === 'fulfilled' ? [tried.value] : []))
      await Promise.all([
        ...both.map((one) => one.images.review(waiting.image.id, 'rejected', [])),
        ...both.map((one) => one.uploads.end(first!.id, ['pending'], 'expired', {})),
        ...both.map((one) => one.images.remove(other!.imageId, [])),
        ...both.map(() => finishNew(stores)),
        ...both.map((one) => one.survey.settleImage(waiting.image.id)),
      ])
      expect(await stores.uploads.recount(false)).toEqual([])
      expect(await stores.uploads.usage(owner)).toMatchObject({ objects: 1, images: 3, openUploads: 1 })
      await expect(create(stores, {}, { ...quota, objects: 4 })).rejects.toMatchObject({
        code: 'quota_exceeded',
        detail: expect.stringContaining('3 are, with 1 more') as string,
      })
    })

    test('a new version is no other image', async () => {
      const { stores } = await open()
      const { image } = await uploadReady(stores)
      await finishNew(stores, { upload: { imageId: image.id }, storedSha256: 'other' })
      expect(await stores.uploads.usage(owner)).toMatchObject({ objects: 2, images: 1 })
      await stores.images.remove(image.id, [])
      expect(await stores.uploads.usage(owner)).toMatchObject({ objects: 0, images: 0 })
    })

    test('a refused upload leaves no row, and one owner does not count against another', async () => {
      const { stores } = await open()
      const quota = { ...unbounded, bytes: 99 }
      const asked = newUpload()
      await expect(stores.uploads.create(asked, { quota })).rejects.toMatchObject({
        code: 'quota_exceeded',
        detail: expect.stringContaining('99 bytes') as string,
      })
      expect(await stores.uploads.find(asked.id)).toBeUndefined()
      expect(await stores.images.find(asked.imageId)).toBeUndefined()
      await create(stores)
      await create(stores, { owner: 'another' }, { ...unbounded, openUploads: 1 })
    })

    test('counted afresh from the rows the sums are the same after everything that changes them', async () => {
      const { stores, clock } = await open()
      const ready = await uploadReady(stores)
      await finishNew(stores, { upload: { imageId: ready.image.id }, storedSha256: 'other' })
      await create(stores, { imageId: ready.image.id })
      const rejected = await create(stores)
      await stores.uploads.end(rejected.id, ['pending'], 'rejected', {})
      await finishNew(stores, { state: 'quarantined', storedSha256: 'third' })
      expect(await stores.uploads.recount(false)).toEqual([])
      await stores.images.remove(ready.image.id, [])
      clock.nowMs += 1000
      await stores.objects.abandoned(clock.nowMs, 10)
      expect(await stores.uploads.recount(true)).toEqual([])
      expect(await stores.uploads.usage(owner)).toEqual({
        ...{ storedBytes: 90, reservedBytes: 0, objects: 1, images: 1, openUploads: 0 },
      })
    })
  })

  describe(`${name}: images`, () => {
    test('the served image is that of find and version', async () => {
      const { stores } = await open()
      const { image, version } = await uploadReady(stores)
      expect(await stores.images.findServed(image.id, undefined)).toEqual({ image, version })
      expect(await stores.images.findServed(image.id, 1)).toEqual({ image, version })
      expect(await stores.images.findServed(newId('img'), undefined)).toBeUndefined()
      expect(await stores.images.find(image.id)).toEqual(image)
    })

    test('the change mark moves with every write, of this connection or another, and else stands still', async () => {
      const { stores, second } = await open()
      const other = await second()
      const { image } = await uploadReady(stores)
      // Where changes are heard of by messages, the last ones are still on their way.
      const settled = async () => {
        for (let tries = 0; tries < 100; tries++) {
          const before = stores.images.changeMark()
          await sleep(delayMs / 20)
          if (stores.images.changeMark() === before) return before
        }
        throw new Error('the mark does not come to rest')
      }
      for (const write of [
        () => stores.images.bumpEpoch(image.id),
        () => stores.images.update(image.id, { visibility: 'private' }, []),
        () => create(stores),
      ]) {
        const before = await settled()
        await stores.images.findServed(image.id, undefined)
        expect(stores.images.changeMark()).toBe(before)
        await write()
        expect(stores.images.changeMark()).not.toBe(before)
      }
      for (const write of [
        () => other.images.update(image.id, { visibility: 'public' }, []),
        () => other.images.bumpEpoch(image.id),
        () => finishNew(other, { upload: { imageId: image.id }, storedSha256: 'other' }),
        () => other.images.remove(image.id, []),
      ]) {
        const before = await settled()
        await write()
        await expect.poll(() => stores.images.changeMark(), { timeout: delayMs, interval: 1 }).not.toBe(before)
      }
    })

    test('what is changed is changed, what is not stays, and the message is written along', async () => {
      const { stores, clock } = await open()
      const { image } = await uploadReady(stores, { kind: 'avatar', metadata: { a: '1' } })
      clock.nowMs += 7
      const message = { type: 'image.updated', payload: { id: image.id } }
      const updated = await stores.images.update(image.id, { visibility: 'public', metadata: { b: '2' } }, [message])
      expect(updated).toEqual({ ...image, visibility: 'public', metadata: { b: '2' }, updatedAtMs: clock.nowMs })
      expect(await stores.images.find(image.id)).toEqual(updated)
      expect((await stores.outbox.list({ limit: 9 })).map(({ type }) => type)).toContain('image.updated')
      expect(await stores.images.bumpEpoch(image.id)).toMatchObject({ epoch: 1 })
      await stores.images.remove(image.id, [])
      expect(await stores.images.update(image.id, { visibility: 'private' }, [message])).toBeUndefined()
      expect(await stores.images.bumpEpoch(image.id)).toBeUndefined()
    })

    test('pages come newest first, without gaps or repetitions, also where many were made in one millisecond', async () => {
      const { stores } = await open()
      const made = []
      for (let n = 0; n < 7; n++) made.push(await create(stores, { createdAtMs: n < 5 ? 100 : 200 }))
      await create(stores, { owner: 'another' })
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const asked = { ...owner, states: ['pending'], limit: 3, ...(cursor !== undefined && { cursor }) } as const
        const page = await stores.images.list(asked)
        seen.push(...page.images.map(({ id }) => id))
        cursor = page.cursor
      } while (cursor !== undefined)
      expect(new Set(seen)).toEqual(new Set(made.map(({ imageId }) => imageId)))
      expect(seen).toHaveLength(7)
      expect(new Set(seen.slice(0, 2))).toEqual(new Set(made.slice(5).map(({ imageId }) => imageId)))
    })

    test('lists are filtered by owner, state, kind and subject, and refuse a made-up cursor', async () => {
      const { stores } = await open()
      const { image } = await uploadReady(stores, { kind: 'avatar', subject: 'user-1' })
      await create(stores, { kind: 'banner', subject: 'user-2' })
      const list = async (asked: Partial<Parameters<Stores['images']['list']>[0]>) => {
        const page = await stores.images.list({
          project: owner.project,
          states: ['ready', 'pending'],
          limit: 9,
          ...asked,
        })
        return page.images.map(({ id }) => id)
      }
      expect(await list({})).toHaveLength(2)
      expect(await list({ states: ['ready'] })).toEqual([image.id])
      expect(await list({ states: [] })).toEqual([])
      expect(await list({ kind: 'avatar' })).toEqual([image.id])
      expect(await list({ subject: 'user-1' })).toEqual([image.id])
      expect(await list({ owner: 'another' })).toEqual([])
      expect(await list({ project: 'another' })).toEqual([])
      await expect(list({ cursor: 'made up' })).rejects.toMatchObject({ code: 'bad_request' })
    })

    test('an approved review serves the version', async () => {
      const { stores } = await open()
      const { image, upload } = await finishNew(stores, { state: 'quarantined' })
      const message = { type: 'image.ready', payload: {} }
      expect(await stores.images.review(image.id, 'ready', [message])).toMatchObject({ state: 'ready', version: 1 })
      expect(await stores.images.findServed(image.id, undefined)).toMatchObject({ version: { state: 'ready' } })
      expect(await stores.uploads.find(upload.id)).toMatchObject({ state: 'ready' })
      expect(await stores.images.review(image.id, 'rejected', [message])).toBeUndefined()
    })

    test('a rejecting review releases the object, and leaves an older version in its place', async () => {
      const { stores } = await open()
      const alone = await finishNew(stores, { state: 'quarantined' })
      expect(await stores.images.review(alone.image.id, 'rejected', [])).toMatchObject({ state: 'rejected' })
      expect(await stores.objects.find(alone.version.objectKey)).toMatchObject({ state: 'deleting' })
      expect(await stores.uploads.find(alone.upload.id)).toMatchObject({ state: 'rejected' })
      const { image } = await uploadReady(stores)
      await finishNew(stores, { state: 'quarantined', upload: { imageId: image.id }, storedSha256: 'other' })
      expect(await stores.images.review(image.id, 'rejected', [])).toMatchObject({ state: 'ready', version: 1 })
      expect(await stores.uploads.recount(false)).toEqual([])
    })

    test('a removed image is gone with its uploads, versions and objects, and its quota is free', async () => {
      const { stores } = await open()
      const { image, version, upload } = await uploadReady(stores)
      const replacing = await create(stores, { imageId: image.id })
      expect(await stores.images.remove(image.id, [])).toEqual({ objectKeys: [version.objectKey] })
      expect(await stores.images.remove(image.id, [])).toBeUndefined()
      expect(await stores.images.findServed(image.id, 1)).toBeUndefined()
      expect(await stores.images.find(image.id)).toMatchObject({ state: 'deleted', version: undefined })
      expect(await stores.images.version(image.id, 1)).toMatchObject({ state: 'deleted' })
      expect(await stores.uploads.find(upload.id)).toMatchObject({ state: 'deleted' })
      expect(await stores.uploads.find(replacing.id)).toMatchObject({ state: 'deleted' })
      expect(await stores.objects.find(version.objectKey)).toMatchObject({ state: 'deleting' })
      expect(await stores.uploads.usage(owner)).toEqual({
        ...{ storedBytes: 0, reservedBytes: 0, objects: 0, images: 0, openUploads: 0 },
      })
    })
  })

  describe(`${name}: history`, () => {
    test('what is over goes when it is old; what was taken up again, or is stood on, does not', async () => {
      const { stores, clock } = await open()
      const { history, uploads } = stores
      const live = await uploadReady(stores)
      const removed = await uploadReady(stores, { owner: 'another' })
      await stores.images.remove(removed.image.id, [{ type: 'image.deleted', payload: {} }])
      const rejected = await create(stores, { imageId: live.image.id })
      await uploads.end(rejected.id, ['pending'], 'rejected', {})
      const failed = await create(stores)
      await uploads.end(failed.id, ['pending'], 'failed', {})
      const oldMs = clock.nowMs
      clock.nowMs += 1000
      const young = await create(stores)
      await uploads.end(young.id, ['pending'], 'expired', {})
      const ids = async (...more: [limit?: number, after?: { updatedAtMs: number; id: string }]) =>
        (await history.uploads(oldMs, more[0] ?? 10, more[1])).map(({ id }) => id)
      const all = [rejected.id, failed.id, removed.upload.id].sort()
      expect(await ids()).toEqual(all)
      const [first] = await history.uploads(oldMs, 1)
      expect(await ids(10, first)).toEqual(all.slice(1))
      expect(await history.forgetUpload(young.id, oldMs)).toBe(false)
      expect(await history.forgetUpload(live.upload.id, clock.nowMs)).toBe(false)
      expect(await history.forgetUpload(newId('upl'), clock.nowMs)).toBe(false)
      await uploads.revive(failed.id, unbounded)
      expect(await history.forgetUpload(failed.id, clock.nowMs)).toBe(false)
      for (const id of [rejected.id, removed.upload.id]) expect(await history.forgetUpload(id, oldMs)).toBe(true)
      expect(await stores.images.find(removed.image.id)).toBeUndefined()
      expect(await stores.images.findServed(live.image.id, 1)).toMatchObject({ version: { version: 1 } })
      expect(await uploads.events(rejected.id)).toEqual([])
      expect(await ids()).toEqual([])
      expect(await uploads.recount(false)).toEqual([])
    })

    test('dead messages and jobs go, those that wait do not', async () => {
      const { stores, clock } = await open()
      const { history, outbox, jobs } = stores
      for (const type of ['dead', 'replayed', 'waiting']) await uploadReady(stores, { owner: type })
      const [dead, replayed, waiting] = (await outbox.list({ limit: 3 })).map(({ id }) => id)
      for (const id of [dead, replayed]) await outbox.failed(id ?? '', 'gone', undefined)
      const lost = await create(stores)
      for (const [id, dedupeKey] of [
        ['job_1', 'none'],
        ['job_2', lost.id],
      ] as const) {
        await jobs.add({ id, kind: 'k', payload: '{}', dedupeKey, runAtMs: clock.nowMs })
        const taken = await jobs.take(['k'], clock.nowMs, clock.nowMs + 100)
        await jobs.failed(taken ?? { id: '', lease: 0 }, 'boom', { diedAtMs: clock.nowMs })
      }
      await stores.uploads.end(lost.id, ['pending'], 'failed', {})
      expect(await history.messages(clock.nowMs - 1, 10)).toEqual([])
      expect(await history.messages(clock.nowMs, 10)).toHaveLength(2)
      expect(await history.jobs(clock.nowMs, 10)).toEqual(['job_1'])
      await outbox.replay(replayed ?? '', clock.nowMs)
      const forgotten = [dead, replayed, waiting].map((id) => history.forget('message', id ?? ''))
      expect(await Promise.all(forgotten)).toEqual([true, false, false])
      expect(await history.forget('job', 'job_1')).toBe(true)
      expect(await jobs.stats()).toMatchObject({ dead: 1 })
    })
  })

  describe(`${name}: dead jobs`, () => {
    test('of one project are found behind any number of another, with their uploads, in either order', async () => {
      const { stores, clock } = await open()
      const { jobs } = stores
      const die = async (id: string, project: string, isUpload = true) => {
        const upload = isUpload ? await create(stores, { project }) : undefined
        clock.nowMs += 1000
        await jobs.add({ id, kind: 'k', payload: '{}', dedupeKey: upload?.id ?? 'none', runAtMs: clock.nowMs })
        const taken = await jobs.take(['k'], clock.nowMs, clock.nowMs + 100)
        await jobs.failed(taken ?? { id: '', lease: 0 }, `boom ${id}`, { diedAtMs: clock.nowMs })
        return upload
      }
      const oldest = await die('job_1', 'shop')
      await die('job_2', 'shop')
      for (const id of ['job_3', 'job_4']) await die(id, 'other')
      await die('job_5', 'shop', false)
      const living = await create(stores)
      await jobs.add({ id: 'job_6', kind: 'k', payload: '{}', dedupeKey: living.id, runAtMs: 9e9 })
      const idsOf = async (asked: Partial<Parameters<typeof jobs.deadOf>[0]>) =>
        (await jobs.deadOf({ project: 'shop', first: 'newest', limit: 10, ...asked })).map(({ job }) => job.id)
      expect(await idsOf({})).toEqual(['job_2', 'job_1'])
      expect(await idsOf({ first: 'oldest' })).toEqual(['job_1', 'job_2'])
      expect(await idsOf({ first: 'oldest', limit: 1 })).toEqual(['job_1'])
      expect(await idsOf({ sinceMs: 1_002_000 })).toEqual(['job_2'])
      expect(await idsOf({ project: 'other' })).toEqual(['job_4', 'job_3'])
      expect(await idsOf({ id: 'job_1' })).toEqual(['job_1'])
      expect(await idsOf({ id: 'job_3' })).toEqual([])
      const [found] = await jobs.deadOf({ project: 'shop', first: 'oldest', limit: 1 })
      const job = { id: 'job_1', kind: 'k', payload: '{}', attempts: 1, lastError: 'boom job_1', diedAtMs: 1_001_000 }
      expect(found).toEqual({ job, upload: oldest })
    })
  })

  describe(`${name}: webhooks`, () => {
    test('are disabled once, by project and endpoint, and enabled again', async () => {
      const { stores, second } = await open()
      const { webhooks } = stores
      const one = { project: 'shop', endpoint: 'a', reason: 'answered 410', atMs: 1000 }
      const both = [webhooks, (await second()).webhooks]
      expect((await Promise.all(both.map((store) => store.disable(one)))).sort()).toEqual([false, true])
      expect(await webhooks.disabled('shop')).toEqual(one)
      expect(await webhooks.disabled('other')).toBeUndefined()
      expect(await webhooks.disable({ ...one, atMs: 2000 })).toBe(false)
      expect(await webhooks.disable({ ...one, endpoint: 'b', atMs: 3000 })).toBe(true)
      expect(await webhooks.list()).toEqual([{ ...one, endpoint: 'b', atMs: 3000 }])
      expect(await webhooks.enable('shop')).toBe(true)
      expect(await webhooks.enable('shop')).toBe(false)
    })

    test('dead messages are replayed by what was asked for, each once', async () => {
      const { stores, second, clock } = await open()
      for (let written = 0; written < 3; written += 1) {
        clock.nowMs += 10
        await uploadReady(stores)
      }
      const messages = (await stores.outbox.list({ limit: 9 })).toReversed()
      for (const { id } of messages) await stores.outbox.failed(id, 'gone', undefined)
      const asked = { project: owner.project, limit: 10 }
      const replayDead = (change: object) => stores.outbox.replayDead({ ...asked, ...change }, clock.nowMs)
      expect(await replayDead({ project: 'other' })).toBe(0)
      expect(await replayDead({ type: 'other' })).toBe(0)
      expect(await replayDead({ sinceMs: messages[2]!.createdAtMs })).toBe(1)
      expect(await replayDead({ type: 'image.ready', limit: 1 })).toBe(1)
      expect((await stores.outbox.list({ state: 'dead', limit: 9 })).map(({ id }) => id)).toEqual([messages[1]!.id])
      const both = [stores, await second()]
      const counts = await Promise.all(both.map(({ outbox }) => outbox.replayDead(asked, clock.nowMs)))
      expect(counts.sort()).toEqual([0, 1])
      expect(await stores.outbox.take(9, clock.nowMs, 100)).toMatchObject([{ attempts: 1 }, {}, {}])
    })
  })

  describe(`${name}: objects`, () => {
    const object = (key: string, storedSha256 = 'same', change = {}) => ({
      ...{ ...owner, key, sha256: 'uploaded', storedSha256, byteLength: 90 },
      ...change,
    })

    test('the same bytes of one owner are one object, and count once; it goes with its last image', async () => {
      const { stores } = await open()
      const first = await uploadReady(stores)
      const found = await stores.objects.begin(object('objects/new'))
      expect(found).toMatchObject({ key: first.version.objectKey, state: 'stored' })
      const second = await uploadReady(stores)
      expect(second.version.objectKey).toBe(first.version.objectKey)
      expect(await stores.uploads.usage(owner)).toMatchObject({ storedBytes: 90, objects: 1 })
      expect(await stores.images.remove(first.image.id, [])).toEqual({ objectKeys: [] })
      expect(await stores.images.findServed(second.image.id, undefined)).toBeDefined()
      expect(await stores.images.remove(second.image.id, [])).toEqual({ objectKeys: [first.version.objectKey] })
    })

    test('the same bytes of another owner are another object', async () => {
      const { stores } = await open()
      await uploadReady(stores)
      const theirs = await stores.objects.begin(object('objects/theirs', 'same', { owner: 'another' }))
      expect(theirs).toMatchObject({ key: 'objects/theirs', state: 'writing' })
    })

    test('bytes that two uploads wrote at the same time end as one object, and the other is condemned', async () => {
      const { stores } = await open()
      const keys = [newId('obj'), newId('obj')]
      const uploads = await Promise.all(keys.map(() => create(stores)))
      for (const { id } of uploads) await stores.uploads.move(id, ['pending'], 'processing')
      for (const key of keys) await stores.objects.begin(object(key))
      const result = { state: 'ready', byteLength: 90, sha256: 'uploaded', facts, messages: () => [] } as const
      const done = await Promise.all(
        uploads.map(({ id }, at) => stores.uploads.finish(id, { ...result, objectKey: keys[at] ?? '' })),
      )
      expect(new Set(done.map((one) => one?.version.objectKey)).size).toBe(1)
      const states = await Promise.all(keys.map(async (key) => (await stores.objects.find(key))?.state))
      expect(states.sort()).toEqual(['deleting', 'stored'])
      expect(await stores.uploads.usage(owner)).toMatchObject({ storedBytes: 90, objects: 1, openUploads: 0 })
    })

    test('an object that was condemned meanwhile makes the upload try again, and nothing of it is kept', async () => {
      const { stores, clock } = await open()
      const upload = await create(stores)
      await stores.uploads.move(upload.id, ['pending'], 'processing')
      await stores.objects.begin(object('objects/slow'))
      clock.nowMs += 1000
      expect(await stores.objects.abandoned(clock.nowMs - 1, 10)).toMatchObject([
        { key: 'objects/slow', state: 'deleting' },
      ])
      const result = { state: 'ready', objectKey: 'objects/slow', byteLength: 90, sha256: 'x', facts } as const
      const finish = stores.uploads.finish(upload.id, { ...result, messages: () => [{ type: 't', payload: {} }] })
      await expect(finish).rejects.toMatchObject({ code: 'internal' })
      expect(await stores.uploads.find(upload.id)).toMatchObject({ state: 'processing' })
      expect(await stores.images.versions(upload.imageId)).toEqual([])
      expect(await stores.outbox.list({ limit: 9 })).toEqual([])
      expect(await stores.objects.begin(object('objects/again'))).toMatchObject({ key: 'objects/again' })
    })

    test('abandoned ones are shown by a dry run, condemned by the other, and forgotten when their bytes are gone', async () => {
      const { stores, clock } = await open()
      const { version } = await uploadReady(stores)
      await stores.objects.begin(object('objects/lost', 'lost'))
      expect(await stores.objects.abandoned(clock.nowMs - 1, 10)).toEqual([])
      const dry = await stores.objects.abandoned(clock.nowMs, 10, { isDryRun: true, isDeep: true })
      expect(dry).toMatchObject([{ key: 'objects/lost', state: 'writing' }])
      await stores.objects.forget('objects/lost')
      expect(await stores.objects.find('objects/lost')).toMatchObject({ state: 'writing' })
      await stores.objects.abandoned(clock.nowMs, 10)
      await stores.objects.forget('objects/lost')
      await stores.objects.forget(version.objectKey)
      expect(await stores.objects.find('objects/lost')).toBeUndefined()
      expect(await stores.objects.find(version.objectKey)).toMatchObject({ state: 'stored' })
    })

    test('pages go through every row in key order', async () => {
      const { stores } = await open()
      // Byte by byte, as stores list them, and not as in a dictionary.
      for (const key of ['a', 'ä', '-b', 'B']) await stores.objects.begin(object(key, key))
      const first = await stores.objects.page(undefined, 3)
      expect(first.map(({ key }) => key)).toEqual(['-b', 'B', 'a'])
      expect((await stores.objects.page('a', 3)).map(({ key }) => key)).toEqual(['ä'])
    })
  })

  describe(`${name}: shares, keys, messages, secrets`, () => {
    test('a share is counted until it is used up, expired or revoked', async () => {
      const { stores } = await open()
      const { image } = await uploadReady(stores)
      const share = { imageId: image.id, createdBy: 'key', expiresAtMs: 500, params: 'w=100', createdAtMs: 1 }
      const [id, free] = [newId('shr'), newId('shr')]
      expect(await stores.shares.create({ ...share, id, maxUses: 3 })).toMatchObject({
        uses: 0,
        revokedAtMs: undefined,
      })
      const used = await Promise.all(Array.from({ length: 6 }, () => stores.shares.use(id, 499)))
      expect(used.filter(Boolean)).toHaveLength(3)
      expect(await stores.shares.find(id)).toMatchObject({ ...share, id, maxUses: 3, uses: 3 })
      await stores.shares.create({ ...share, id: free, maxUses: undefined, params: undefined, createdAtMs: 2 })
      expect(await stores.shares.use(free, 499)).toBe(true)
      expect(await stores.shares.use(free, 500)).toBe(false)
      expect(await stores.shares.revoke(newId('img'), free, 7)).toBe(false)
      expect(await stores.shares.revoke(image.id, free, 7)).toBe(true)
      expect(await stores.shares.revoke(image.id, free, 8)).toBe(false)
      expect(await stores.shares.use(free, 9)).toBe(false)
      expect((await stores.shares.list(image.id)).map((one) => one.id)).toEqual([free, id])
    })

    test('an API key is found by the hash of its secret, listed, touched and revoked', async () => {
      const { stores } = await open()
      const key = {
        id: newId('key'),
        name: 'ci',
        project: 'p',
        scopes: ['uploads:write', 'images:read'],
        createdAtMs: 5,
      }
      const made = await stores.apiKeys.create(key, 'hash')
      expect(made).toEqual({ ...key, lastUsedAtMs: undefined, revokedAtMs: undefined })
      expect(await stores.apiKeys.findByHash('hash')).toEqual(made)
      expect(await stores.apiKeys.findByHash('other')).toBeUndefined()
      await stores.apiKeys.touch(key.id, 9)
      expect(await stores.apiKeys.revoke(key.id, 11)).toBe(true)
      expect(await stores.apiKeys.revoke(key.id, 12)).toBe(false)
      expect(await stores.apiKeys.list()).toEqual([{ ...made, lastUsedAtMs: 9, revokedAtMs: 11 }])
    })

    test('a message is taken by one, again after its lease or failure, and kept when given up', async () => {
      const { stores, clock, second } = await open()
      await uploadReady(stores)
      const both = [stores, await second()]
      const takes = await Promise.all(both.map((one) => one.outbox.take(10, clock.nowMs, 100)))
      const [message] = takes.flat()
      expect(takes.flat()).toHaveLength(1)
      if (!message) throw new Error('no message')
      expect(message).toMatchObject({ attempts: 1, type: 'image.ready' })
      expect(await stores.outbox.take(10, clock.nowMs + 99, 100)).toEqual([])
      expect(await stores.outbox.take(10, clock.nowMs + 100, 100)).toMatchObject([{ attempts: 2 }])
      await stores.outbox.failed(message.id, 'connection refused', clock.nowMs + 500)
      expect(await stores.outbox.take(10, clock.nowMs + 499, 100)).toEqual([])
      await stores.outbox.failed(message.id, 'gone', undefined)
      const dead = { project: owner.project, state: 'dead', limit: 5 } as const
      expect(await stores.outbox.list(dead)).toMatchObject([{ id: message.id, lastError: 'gone' }])
      expect(await stores.outbox.replay(message.id, clock.nowMs)).toBe(true)
      // One that waits for its next attempt, too.
      expect(await stores.outbox.replay(message.id, clock.nowMs)).toBe(true)
      expect(await stores.outbox.replay('msg_none', clock.nowMs)).toBe(false)
      expect(await stores.outbox.take(10, clock.nowMs, 100)).toMatchObject([{ attempts: 1 }])
      await stores.outbox.delivered(message.id, clock.nowMs)
      expect(await stores.outbox.list({ state: 'delivered', limit: 5 })).toHaveLength(1)
      expect(await stores.outbox.forgetDelivered(clock.nowMs - 1)).toBe(0)
      expect(await stores.outbox.forgetDelivered(clock.nowMs)).toBe(1)
    })

    test('a secret is that of the first, in every process', async () => {
      const { stores, second } = await open()
      const other = await second()
      const values = await Promise.all([
        stores.secrets.getOrCreate('a', 'one'),
        stores.secrets.getOrCreate('a', 'two'),
        other.secrets.getOrCreate('a', 'three'),
      ])
      expect(new Set(values).size).toBe(1)
      expect(await other.secrets.getOrCreate('b', 'four')).toBe('four')
    })
  })
}
