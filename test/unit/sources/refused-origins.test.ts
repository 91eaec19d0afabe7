import { expect, test } from 'vitest'
import { refusedOrigins } from '../../../src/sources/refused-origins.ts'
import { remoteConfig } from '../../helpers/remote-source.ts'

const http = (url: string) => ({ kind: 'http', url, authorization: undefined }) as const

test.each([
  ['http://localhost:3000', [], ['localhost']],
  ['http://pictures.localhost', [], ['pictures.localhost']],
  ['http://127.0.0.1', [], ['127.0.0.1']],
  ['http://localhost./', [], ['localhost']],
  ['http://0x7f.1', [], ['127.0.0.1']],
  ['http://[::1]:80', [], ['::1']],
  ['http://10.1.2.3/a', ['192.168.0.0/16'], ['10.1.2.3']],
  ['http://10.1.2.3/a', ['10.0.0.0/8'], []],
  ['http://localhost', ['127.0.0.0/8'], []],
  ['http://93.184.216.34', [], []],
  // Where a name leads is told by the first request.
  ['http://intranet.example', [], []],
] as const)('%s with %j allowed', (url, allowAddresses, hosts) => {
  expect(refusedOrigins([remoteConfig(http(url), { allowAddresses })]).map(({ host }) => host)).toEqual(hosts)
})

test('each origin of a source, and which source', () => {
  const second = http('http://169.254.169.254')
  const source = remoteConfig(http('https://cdn.example'), { name: 'shop', allowAddresses: [] })
  expect(refusedOrigins([{ ...source, origins: [...source.origins, second] }])).toEqual([
    { source: 'shop', host: '169.254.169.254' },
  ])
})
