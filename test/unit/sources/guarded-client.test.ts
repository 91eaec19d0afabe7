import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { parseBlocks } from '../../../src/sources/address-guard.ts'
import { createGuardedClient } from '../../../src/sources/guarded-client.ts'
import { createHostResolver } from '../../../src/sources/resolve-host.ts'

const patient = new AbortController().signal
let server: Server
let url: URL
let connections = 0

beforeAll(async () => {
  server = createServer((_request, response) => response.end('here'))
  server.on('connection', () => (connections += 1))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
})
afterAll(() => server.close())

const limits = {
  ...{ connectTimeoutMs: 5000, firstByteTimeoutMs: 5000, idleTimeoutMs: 5000, totalTimeoutMs: 10_000, maxRedirects: 0 },
}
const client = (allowed: readonly string[]) =>
  createGuardedClient({
    ...{ limits, ownHosts: new Set<string>(), via: 'test', connections: 2, resolveHost: createHostResolver() },
    allowed: parseBlocks(allowed),
  })
const ask = (door: ReturnType<typeof client>, signal = patient) =>
  door.get({ url, headers: {}, privateHeaders: {}, maxBytes: 100, assertAllowed: () => undefined }, signal)

test('the guard is in force on the first request, and on several first ones at once', async () => {
  const door = client([])
  const answers = await Promise.allSettled([ask(door), ask(door), ask(door)])
  expect(answers).toMatchObject(Array.from({ length: 3 }, () => ({ reason: { code: 'source_address_refused' } })))
  expect(connections).toBe(0)
  await door.close()
})

test('what could not be loaded is a failure of the source, and loaded by who asks next', async () => {
  const door = client(['127.0.0.1/32'])
  vi.doMock('../../../src/sources/guarded-connector.ts', () => {
    throw new Error('too many open files')
  })
  await expect(ask(door)).rejects.toMatchObject({ code: 'source_failed' })
  vi.doUnmock('../../../src/sources/guarded-connector.ts')
  expect((await ask(door)).body.toString()).toBe('here')
  await door.close()
})

test('once it is closed it opens nothing any more, used before or not', async () => {
  const [used, unused] = [client(['127.0.0.1/32']), client(['127.0.0.1/32'])]
  expect((await ask(used)).status).toBe(200)
  for (const door of [used, unused]) {
    await door.close()
    await expect(ask(door)).rejects.toMatchObject({ code: 'shutting_down' })
  }
})

test('who gives up while it is loaded does not wait for it', async () => {
  const door = client(['127.0.0.1/32'])
  const leaving = new AbortController()
  const asked = ask(door, leaving.signal)
  leaving.abort(new Error('gone'))
  await expect(asked).rejects.toThrow('gone')
  await door.close()
})
