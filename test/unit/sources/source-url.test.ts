import { describe, expect, test } from 'vitest'
import {
  assertFetchable,
  assertListedHost,
  assertNoDowngrade,
  assertWebPort,
  parseSourceUrl,
} from '../../../src/sources/source-url.ts'
import { decodeWebPath, rawPathBelow } from '../../../src/sources/web-path.ts'

const url = (text: string) => parseSourceUrl(text)
const codeOf = (work: () => void) => {
  try {
    work()
    return 'fine'
  } catch (error) {
    return (error as { code?: string }).code
  }
}

test.each([
  ['https://a.example/', 'http://a.example/', 'source_url_refused'],
  ['https://a.example/', 'https://b.example/', 'fine'],
  ['http://a.example/', 'https://a.example/', 'fine'],
  ['http://a.example/', 'http://b.example/', 'fine'],
])('a redirect from %s to %s is %s', (from, to, expected) => {
  expect(codeOf(() => assertNoDowngrade(url(from), url(to)))).toBe(expected)
})

test.each([
  ['http://a.example/', 'fine'],
  ['https://a.example:80/', 'fine'],
  ['http://a.example:443/', 'fine'],
  ['http://a.example:1024/', 'fine'],
  ['http://a.example:8080/', 'fine'],
  ['http://a.example:22/', 'source_url_refused'],
  ['http://a.example:25/', 'source_url_refused'],
  ['http://a.example:0/', 'source_url_refused'],
  ['https://a.example:1023/', 'source_url_refused'],
])('the port of %s is %s', (text, expected) => {
  expect(codeOf(() => assertWebPort(url(text)))).toBe(expected)
})

describe('own hosts', () => {
  const own = new Set(['img.example', 'localhost:8080', '::1:8080'])
  test.each([
    ['https://img.example/a', 'source_loop'],
    ['https://IMG.example.:99/a', 'source_loop'],
    ['http://localhost:8080/a', 'source_loop'],
    ['http://[::1]:8080/a', 'source_loop'],
    ['http://localhost:8081/a', 'fine'],
    ['http://ximg.example/a', 'fine'],
    ['http://user@other.example/', 'source_url_refused'],
    ['ftp://other.example/', 'source_url_refused'],
  ])('%s is %s', (text, expected) => {
    expect(codeOf(() => assertFetchable(url(text), own))).toBe(expected)
  })
})

test.each([
  ['münchen.example', ['xn--mnchen-3ya.example'], 'fine'],
  ['a.example', ['*.example'], 'fine'],
  ['a.b.example', ['*.example'], 'source_url_refused'],
  ['a.b.example', ['*.*.example'], 'fine'],
  ['a.b.example', ['**.example'], 'fine'],
  ['example', ['**.example'], 'source_url_refused'],
  ['1.2.3.4', ['1.2.3.4'], 'fine'],
  ['[2606:4700::1111]', ['2606:4700::1111'], 'fine'],
])('host %s against %j: %s', (host, patterns, expected) => {
  expect(codeOf(() => assertListedHost(url(`http://${host}/`), patterns))).toBe(expected)
})

test.each([
  ['/', '/a/b', '/a/b'],
  ['/web', '/web/http%3A%2F%2Fx', '/http%3A%2F%2Fx'],
  ['/web', '/w%65b/http://x//y', '/http://x//y'],
  ['/web', '/website/http://x', undefined],
  ['/web', '/web', '/'],
  ['/a b', '/a%20b/x', '/x'],
  ['/web', '/%ff/x', undefined],
])('below %s of %s lies %s', (prefix, path, expected) => {
  expect(rawPathBelow(prefix, path)).toBe(expected)
})

test.each([
  ['/http%3A%2F%2Favatars.com%2Fjohn-smith.png', 'http://avatars.com/john-smith.png'],
  ['/https%3A%2F%2Fex.com%2Fa%20b%2Fc%2520d.jpg%3Fv%3D1%26x%3D%C3%A9', 'https://ex.com/a%20b/c%20d.jpg?v=1&x=%C3%A9'],
  ['/https:/ex.com/a.jpg', 'https://ex.com/a.jpg'],
  ['/HTTPS://EX.com:443/a.jpg', 'https://ex.com/a.jpg'],
  ['//https://ex.com/a.jpg', 'https://ex.com/a.jpg'],
])('%s names %s', (path, expected) => {
  expect(decodeWebPath(path)).toBe(expected)
})
