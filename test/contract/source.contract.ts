import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import type { Source } from '../../src/sources/source.ts'

/** What a kind of source must bring so that the suite can run against it. */
export type SourceUnderTest = {
  readonly source: Source
  /** The size limit that the source was made with. */
  readonly maxBytes: number
  /** Puts an original there, or replaces it. */
  put(path: string, bytes: Buffer): Promise<void>
  remove(path: string): Promise<void>
  close(): Promise<void>
}

/** The behaviour that every source shares; each implementation's test calls it. */
export function describeSource(kind: string, create: () => Promise<SourceUnderTest>): void {
  describe(`source contract: ${kind}`, () => {
    let under: SourceUnderTest
    const signal = new AbortController().signal
    beforeAll(async () => {
      under = await create()
    })
    afterAll(() => under.close())

    test('gives the bytes with the state that stat tells', async () => {
      const bytes = Buffer.from('some picture')
      await under.put('/plain.jpg', bytes)
      const state = await under.source.stat('/plain.jpg', signal)
      const original = await under.source.read('/plain.jpg', signal)
      expect(original).toEqual({ ...state, freshUntilMs: original?.freshUntilMs, bytes })
      if (state) expect((await under.source.read('/plain.jpg', signal, state))?.bytes).toEqual(bytes)
      expect(original?.byteLength).toBe(bytes.length)
      expect(Math.abs((original?.lastModifiedMs ?? 0) - Date.now())).toBeLessThan(120_000)
    })

    test.each([
      '/deep/er/cat.jpg',
      '/with space & ümlaut.jpg',
      '/100%.jpg',
      '/a+b?c#d.jpg',
      '/日本.png',
      '/%2e%2e.jpg',
    ])('takes %s literally', async (path) => {
      const bytes = Buffer.from(path)
      await under.put(path, bytes)
      expect((await under.source.read(path, signal))?.bytes).toEqual(bytes)
    })

    test.each(['/missing.jpg', '/deep', '/deep/', '/deep/er', '/plain.jpg/', '/plain.jpg/below.jpg', '/'])(
      '%s is absent, not a failure',
      async (path) => {
        expect(await under.source.stat(path, signal)).toBeUndefined()
        expect(await under.source.read(path, signal)).toBeUndefined()
      },
    )

    test('has another version whenever the bytes are others, also of the same size at once', async () => {
      const versions = new Set<string>()
      for (let round = 0; round < 20; round++) {
        const bytes = Buffer.from(`round ${String(round).padStart(3, '0')}`)
        await under.put('/changing.jpg', bytes)
        const original = await under.source.read('/changing.jpg', signal)
        expect(original?.bytes).toEqual(bytes)
        versions.add(original?.version ?? '')
      }
      expect(versions.size).toBe(20)
    })

    test('keeps its version while nothing changes', async () => {
      await under.put('/still.jpg', Buffer.from('x'))
      const first = await under.source.stat('/still.jpg', signal)
      const second = await under.source.stat('/still.jpg', signal)
      // How long it is believed moves on; all else stays.
      expect({ ...second, freshUntilMs: 0 }).toEqual({ ...first, freshUntilMs: 0 })
    })

    test('is absent again after removal', async () => {
      await under.put('/leaving.jpg', Buffer.from('x'))
      await under.remove('/leaving.jpg')
      expect(await under.source.read('/leaving.jpg', signal)).toBeUndefined()
    })

    test('an empty original is an original', async () => {
      await under.put('/empty.jpg', Buffer.alloc(0))
      expect((await under.source.read('/empty.jpg', signal))?.bytes).toHaveLength(0)
    })

    test('refuses what is larger than allowed, and gives what just fits', async () => {
      await under.put('/fits.jpg', Buffer.alloc(under.maxBytes, 1))
      expect((await under.source.read('/fits.jpg', signal))?.byteLength).toBe(under.maxBytes)
      await under.put('/large.jpg', Buffer.alloc(under.maxBytes + 1, 1))
      const expected = {
        code: 'source_too_large',
        details: { limitBytes: under.maxBytes, byteLength: under.maxBytes + 1 },
      }
      await expect(under.source.read('/large.jpg', signal)).rejects.toMatchObject(expected)
    })

    test.each([
      '/../secret',
      '/a/../../secret',
      '/.hidden',
      '/a\0.jpg',
      '/a\\b.jpg',
      '//a.jpg',
      'a.jpg',
      '/./a.jpg',
      '/a\n.jpg',
    ])('refuses the path %j whoever sends it', async (path) => {
      await expect(under.source.stat(path, signal)).rejects.toMatchObject({ code: 'path_invalid' })
      await expect(under.source.read(path, signal)).rejects.toMatchObject({ code: 'path_invalid' })
    })

    test('stops with the reason of the abort', async () => {
      const gone = new Error('the client left')
      await expect(under.source.read('/plain.jpg', AbortSignal.abort(gone))).rejects.toBe(gone)
      await expect(under.source.stat('/plain.jpg', AbortSignal.abort(gone))).rejects.toBe(gone)
    })

    test('a deadline that passed is the failure of the source', async () => {
      const late = AbortSignal.abort(new DOMException('too late', 'TimeoutError'))
      await expect(under.source.read('/plain.jpg', late)).rejects.toSatisfy(
        (error) => error instanceof AppError && error.code === 'source_timeout',
      )
    })
  })
}
