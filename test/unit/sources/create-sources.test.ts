import { expect, test } from 'vitest'
import type { SourceConfig } from '../../../src/config/config.ts'
import { createSources } from '../../../src/sources/create-sources.ts'

function sourceConfig(name: string, host: string | undefined, pathPrefix: string): SourceConfig {
  return {
    name,
    kind: 'folder',
    folder: '/nowhere',
    host,
    pathPrefix,
    visibility: 'public',
    signed: 'private',
    strict: false,
    defaultParams: '',
    variants: { kind: 'exact' },
    immutable: false,
    maxAgeSeconds: 1,
    staleWhileRevalidateSeconds: 1,
    maxBytes: 1,
  }
}

const sources = createSources([
  sourceConfig('all', undefined, '/'),
  sourceConfig('photos', undefined, '/photos'),
  sourceConfig('deep', undefined, '/photos/2026'),
  sourceConfig('shop', 'Shop.example.com', '/'),
  sourceConfig('shop-art', 'shop.example.com', '/art'),
  sourceConfig('six', '[::1]', '/'),
])

test.each([
  ['any.host', '/a.jpg', 'all', '/a.jpg'],
  [undefined, '/a.jpg', 'all', '/a.jpg'],
  ['any.host', '/photos/a.jpg', 'photos', '/a.jpg'],
  ['any.host', '/photos/2026/a.jpg', 'deep', '/a.jpg'],
  ['any.host', '/photos', 'photos', '/'],
  ['any.host', '/photos/', 'photos', '/'],
  ['any.host', '/photosynthesis/a.jpg', 'all', '/photosynthesis/a.jpg'],
  ['any.host', '/Photos/a.jpg', 'all', '/Photos/a.jpg'],
  ['shop.example.com', '/photos/a.jpg', 'shop', '/photos/a.jpg'],
  ['SHOP.example.COM:8080', '/art/a.jpg', 'shop-art', '/a.jpg'],
  ['shop.example.com.', '/a.jpg', 'shop', '/a.jpg'],
  ['xshop.example.com', '/a.jpg', 'all', '/a.jpg'],
  ['[::1]:8080', '/a.jpg', 'six', '/a.jpg'],
  ['[::1]', '/a.jpg', 'six', '/a.jpg'],
])('%s %s is %s %s', (host, path, name, inside) => {
  const resolved = sources.resolve(host, path)
  expect([resolved?.config.name, resolved?.source.name, resolved?.path]).toEqual([name, name, inside])
})

test('nothing answers for a host and path that nobody configured', () => {
  const one = createSources([sourceConfig('shop', 'shop.example.com', '/art')])
  expect(one.resolve('shop.example.com', '/a.jpg')).toBeUndefined()
  expect(one.resolve('other.example.com', '/art/a.jpg')).toBeUndefined()
  expect(one.resolve(undefined, '/art/a.jpg')).toBeUndefined()
})
