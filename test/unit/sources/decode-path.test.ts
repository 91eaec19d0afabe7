import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertDecodedPath, decodePath } from '../../../src/sources/decode-path.ts'

/** Spellings that were used somewhere to leave a folder or to smuggle a name; none may get through. */
const refused = [
  // dots, plain and encoded
  '/..', '/../', '/../etc/passwd', '/a/../b', '/a/..', '/.', '/./a', '/a/.', '/a/./b', '/...', '/..a', '/.a/b', '/a/.b',
  '/%2e%2e', '/%2E%2E/etc/passwd', '/%2e./x', '/.%2e/x', '/.%2E/x', '/a/%2e%2e/b', '/%2e', '/%2e/', '/%2ehtaccess',
  '/.env', '/.git/config', '/a/.DS_Store', '/.well-known/x',
  // slashes that a decoder may make
  '/a%2fb', '/a%2Fb', '/..%2f..%2fetc%2fpasswd', '/%2e%2e%2fetc', '/%2fetc%2fpasswd', '/a%2F', '/%2F',
  '//etc/passwd', '//', '/a//b', '///a',
  // backslashes
  '/..\\..\\windows', '/a\\b', '/a%5cb', '/..%5c..%5cwindows', '/%5C',
  // control characters and NUL
  '/a%00.jpg', '/a.jpg%00', '/%00', '/a\0.jpg', '/a%0a', '/a%0d%0aX: y', '/a\n', '/a%7f', '/a%1b[2J', '/a%09b', '/a%C2%85',
  // broken percent-encoding
  '/%', '/a%', '/a%2', '/a%zz', '/a%%32', '/%u002e%u002e/', '/a% 20', '/%-1',
  // overlong and broken UTF-8
  '/%c0%ae%c0%ae/', '/%c0%af', '/%e0%80%ae', '/%e0%80%af', '/%f0%80%80%af', '/%c1%9c', '/%c0%80', '/%ff', '/%80', '/a%c3', '/%e0%a4%a',
  '/%ed%a0%80', '/%ed%b0%80', '/%f4%90%80%80', '/%fe%fe%ff%ff', '/\u00fc.jpg', '/\u2025/a', '/日本',
  // too long, and not absolute
  `/${'a'.repeat(256)}`, `/${'%c3%a4'.repeat(128)}`, '', 'a', 'a/b', '..', '%2fetc', '*', 'http://host/a',
] // prettier-ignore

const accepted: readonly (readonly [string, string])[] = [
  ['/', '/'],
  ['/a.jpg', '/a.jpg'],
  ['/a/b/c.jpg', '/a/b/c.jpg'],
  ['/a/', '/a/'],
  ['/a%20b.jpg', '/a b.jpg'],
  ['/a+b.jpg', '/a+b.jpg'],
  ['/%C3%BC.jpg', '/ü.jpg'],
  ['/\u00c3\u00bc.jpg', '/ü.jpg'],
  ['/%E6%97%A5.png', '/日.png'],
  ['/%F0%9F%98%80.gif', '/😀.gif'],
  ['/100%25.jpg', '/100%.jpg'],
  ['/a..b', '/a..b'],
  ['/a.', '/a.'],
  ['/a%2520b', '/a%20b'],
  // Encoded twice: decoded once it is an ordinary, if odd, name.
  ['/%252e%252e', '/%2e%2e'],
  ['/%252e%252e%252fetc', '/%2e%2e%2fetc'],
  ['/%25c0%25ae', '/%c0%ae'],
  // Only look like dots and slashes.
  ['/%EF%BC%8E%EF%BC%8E', '/．．'],
  ['/%E2%88%95etc', '/∕etc'],
  ['/a%3Fb%23c', '/a?b#c'],
  ['/a:b;c=d&e', '/a:b;c=d&e'],
  ['/~root', '/~root'],
  [`/${'a'.repeat(255)}`, `/${'a'.repeat(255)}`],
]

describe('decodePath', () => {
  test.each(refused)('refuses %j', (raw) => {
    expect(() => decodePath(raw)).toThrow(expect.objectContaining({ code: 'path_invalid' }))
  })

  test.each(accepted)('%j is %j', (raw, decoded) => {
    expect(decodePath(raw)).toBe(decoded)
  })

  test('says what is wrong', () => {
    expect(() => decodePath('/a%2Fb')).toThrow('The path is not valid: it has an encoded slash.')
  })

  test('whatever comes through stays below the root', () => {
    const alphabet = ['/', '.', '%', '2', 'e', 'E', 'f', 'F', '5', 'c', '0', 'a', '\\', '\0', '~', 'ü', '\u00c3']
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...alphabet), maxLength: 24 }), (text) => {
        let decoded: string
        try {
          decoded = decodePath(`/${text}`)
        } catch {
          return
        }
        expect(() => assertDecodedPath(decoded)).not.toThrow()
        expect(decoded.split('/')).not.toContain('..')
        expect(new URL(`file:///root${decoded.split('/').map(encodeURIComponent).join('/')}`).pathname).toMatch(
          /^\/root/,
        )
      }),
      { numRuns: 5000 },
    )
  })

  test('every decoded name can be asked for', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 4 }),
        (names) => {
          const path = `/${names.join('/')}`
          try {
            assertDecodedPath(path)
          } catch {
            return
          }
          expect(decodePath(`/${path.slice(1).split('/').map(encodeURIComponent).join('/')}`)).toBe(path)
        },
      ),
    )
  })
})
