import { describe, expect, test } from 'vitest'
import { readPermission, signPermission, type BlobPermission } from '../../../../src/uploads/targets/blob-permission.ts'

const permission: BlobPermission = {
  method: 'PUT',
  key: 'staging/upl_a',
  byteLength: 1000,
  contentType: 'image/jpeg',
  sha256: 'ab'.repeat(32),
  expiresAtSeconds: 2000,
  part: undefined,
}
const part: BlobPermission = {
  ...permission,
  contentType: undefined,
  sha256: undefined,
  part: { multipartId: 'f'.repeat(32), number: 3 },
}
const show = (fields: Record<string, string>, changes: Partial<{ method: 'PUT' | 'POST'; key: string }> = {}) => ({
  ...{ method: 'PUT' as const, key: 'staging/upl_a', fields: new Map(Object.entries(fields)) },
  ...changes,
})
const codeOf = (work: () => unknown): unknown => {
  try {
    return work()
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('the permission in a signed URL of the disk target', () => {
  test.each([permission, part, { ...permission, sha256: undefined }])('is read as it was signed', (signed) => {
    expect(readPermission(show(signPermission('secret', signed)), 'secret', 1_999_999)).toEqual(signed)
  })

  test('does not stand in the URL in the open where it could be guessed: another secret signs otherwise', () => {
    expect(signPermission('secret', permission)['sig']).not.toBe(signPermission('other', permission)['sig'])
    expect(signPermission('secret', permission)['sig']).toMatch(/^[\w-]{43}$/)
  })

  test.each<readonly [string, ReturnType<typeof show>]>([
    ['another secret', show(signPermission('other', permission))],
    ['another key', show(signPermission('secret', permission), { key: 'staging/upl_b' })],
    ['another method', show(signPermission('secret', permission), { method: 'POST' as const })],
    ...(['length', 'type', 'sha256', 'expires', 'sig'] as const).map(
      (name) => [`another ${name}`, show({ ...signPermission('secret', permission), [name]: '3000' })] as const,
    ),
    ...(['length', 'type', 'sha256', 'expires'] as const).map((name) => {
      const { [name]: _gone, ...rest } = signPermission('secret', permission)
      return [`no ${name}`, show(rest)] as const
    }),
    ['one condition more', show({ ...signPermission('secret', permission), acl: 'public' })],
    ['a part of it', show({ ...signPermission('secret', permission), part: '1', upload: 'x' })],
    ['another part', show({ ...signPermission('secret', part), part: '4' })],
    ['another upload', show({ ...signPermission('secret', part), upload: 'e'.repeat(32) })],
    ['a number that is none', show({ ...signPermission('secret', permission), length: '1e3' })],
    ['a longer signature', show({ ...signPermission('secret', permission), sig: 'a'.repeat(99) })],
  ])('%s: refused', (_what, shown) => {
    expect(codeOf(() => readPermission(shown, 'secret', 0))).toBe('signature_invalid')
  })

  test('without a signature, and after its time', () => {
    const { sig: _gone, ...bare } = signPermission('secret', permission)
    expect(codeOf(() => readPermission(show(bare), 'secret', 0))).toBe('signature_required')
    const shown = show(signPermission('secret', permission))
    expect(codeOf(() => readPermission(shown, 'secret', 2_000_000))).toBe('signature_expired')
    expect(readPermission(shown, 'secret', 1_999_999)).toEqual(permission)
  })
})
