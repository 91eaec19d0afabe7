import { describe, expect, test } from 'vitest'
import type { KindConfig, ProjectConfig } from '../../../src/config/config.ts'
import {
  assertFacts,
  assertIntent,
  assertSameType,
  normalType,
  rulesFor,
  rulesOfRecord,
} from '../../../src/uploads/upload-policy.ts'

const project: ProjectConfig = {
  types: ['image/jpeg', 'image/png'],
  maxBytes: 1000,
  maxPixels: 1_000_000,
  quota: { bytes: undefined, objects: undefined, openUploads: undefined },
  uploadsPerMinute: { owner: 1, address: 1 },
  publicUploads: false,
  visibility: 'private',
  webhook: undefined,
  kinds: {
    avatar: { types: ['image/png'], maxBytes: 100, visibility: 'public', minWidth: 64, animated: false },
    poster: { maxBytes: 5000 },
  },
}

const codeOf = (work: () => unknown): unknown => {
  try {
    work()
    return 'fine'
  } catch (error) {
    return (error as { code?: unknown }).code
  }
}

describe('the rules', () => {
  test.each([
    ['of the project', {}, { types: project.types, maxBytes: 1000, visibility: 'private' }],
    ['of a kind', { kind: 'avatar' }, { types: ['image/png'], maxBytes: 100, visibility: 'public' }],
    ['of a kind, never wider than the project', { kind: 'poster' }, { maxBytes: 1000, visibility: 'private' }],
    [
      'with the visibility that is asked for',
      { kind: 'avatar', visibility: 'private' } as const,
      { visibility: 'private' },
    ],
  ])('%s', (_, asked, wanted) => {
    expect(rulesFor(project, { kind: undefined, ...asked })).toMatchObject(wanted)
  })

  test.each(['banner', 'toString', '__proto__'])('an unknown kind %s is refused, with those that there are', (kind) => {
    expect(() => rulesFor(project, { kind })).toThrow(/expected one of avatar, poster/)
  })

  test('an upload of a kind that was taken out of the configuration goes on by the rules of the project', () => {
    expect(rulesOfRecord(project, { kind: 'banner', visibility: 'public' })).toMatchObject({
      ...{ maxBytes: 1000, visibility: 'public', kind: undefined },
    })
  })
})

test.each([
  ['image/png', 1000, 'fine'],
  ['image/png', 1001, 'too_large'],
  ['image/png', undefined, 'fine'],
  ['image/gif', 10, 'type_not_allowed'],
])('a permission for %s of %s bytes: %s', (contentType, byteLength, wanted) => {
  const rules = rulesFor(project, { kind: undefined })
  expect(codeOf(() => assertIntent(rules, { contentType, byteLength }))).toBe(wanted)
})

test.each([
  ['IMAGE/JPEG; charset=binary', 'image/jpeg'],
  ['image/jpg', 'image/jpeg'],
  ['image/heif', 'image/heic'],
  [' image/png ', 'image/png'],
  ['', ''],
])('the type %j is %j', (declared, wanted) => {
  expect(normalType(declared)).toBe(wanted)
})

test.each([
  ['image/jpeg', 'jpeg', 'fine'],
  ['image/png', 'jpeg', 'type_mismatch'],
  ['image/png', undefined, 'type_mismatch'],
] as const)('declared as %s, found as %s: %s', (declared, found, wanted) => {
  expect(codeOf(() => assertSameType(declared, found))).toBe(wanted)
})

describe('dimensions', () => {
  const square: KindConfig = { aspect: { ratio: 1, tolerance: 0.02 } }
  test.each<[KindConfig | undefined, [number, number, number], string]>([
    [undefined, [1000, 1000, 1], 'fine'],
    [undefined, [1001, 1000, 1], 'too_many_pixels'],
    [undefined, [10, 10, 50], 'fine'],
    [{ minWidth: 64 }, [63, 64, 1], 'dimensions_not_allowed'],
    [{ minWidth: 64 }, [64, 1, 1], 'fine'],
    [{ minHeight: 64 }, [64, 63, 1], 'dimensions_not_allowed'],
    [{ maxWidth: 64 }, [65, 1, 1], 'dimensions_not_allowed'],
    [{ maxHeight: 64 }, [1, 65, 1], 'dimensions_not_allowed'],
    [square, [100, 100, 1], 'fine'],
    [square, [102, 100, 1], 'fine'],
    [square, [103, 100, 1], 'dimensions_not_allowed'],
    [square, [100, 103, 1], 'dimensions_not_allowed'],
    [{ animated: false }, [10, 10, 2], 'too_many_frames'],
    [{ animated: false }, [10, 10, 1], 'fine'],
    [{ animated: true }, [10, 10, 2], 'fine'],
  ])('%j of %j: %s', (kind, [width, height, frames], wanted) => {
    const rules = { ...rulesFor(project, { kind: undefined }), kind }
    expect(codeOf(() => assertFacts(rules, { width, height, frames }))).toBe(wanted)
  })
})
