import { describe, expect, test } from 'vitest'
import { blobFile, isBlobKey, keyOfFile } from '../../../../src/uploads/targets/blob-key.ts'

describe('keys of uploaded bytes', () => {
  test.each([
    ['staging/upl_0123456789abcdefghjkmnpqrs', true],
    ['objects/obj_7h3k', true],
    ['objects/ab', true],
    ['objects/ab/cd/e.jpg', true],
    ['objects/a', false],
    ['objects/', false],
    ['objects', false],
    ['', false],
    ['tmp/abc', false],
    ['parts/abc', false],
    ['staging/../objects/abc', false],
    ['staging/ab/../../objects/abc', false],
    ['staging/ab/.hidden', false],
    ['staging/..', false],
    ['staging//abc', false],
    ['/staging/abc', false],
    ['staging/abc/', false],
    ['staging/ABC', false],
    ['staging/a%2fb', false],
    ['staging/ab\0', false],
    ['staging/ab\n', false],
    ['staging/äbc', false],
    [`staging/${'a'.repeat(192)}`, true],
    [`staging/${'a'.repeat(193)}`, false],
  ])('%s', (key, isKey) => {
    expect(isBlobKey(key)).toBe(isKey)
    if (!isKey) expect(() => blobFile('/data', key)).toThrow('')
  })

  test('are spread over folders by what is random in them', () => {
    expect(blobFile('/data', 'staging/upl_7h3k').file).toBe('/data/staging/upl_7h/upl_7h3k')
    expect(blobFile('/data', 'objects/7h3k').file).toBe('/data/objects/7h/7h3k')
  })

  test('come back from the names of files, slashes included, and foreign files have none', () => {
    const { file } = blobFile('/data', 'objects/ab/cd')
    expect(keyOfFile('objects', file.split('/').at(-1) ?? '')).toBe('objects/ab/cd')
    for (const name of ['.DS_Store', 'README', 'x', 'a b']) expect(keyOfFile('objects', name)).toBeUndefined()
  })
})
