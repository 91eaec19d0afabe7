import { connect, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load-config.ts'
import { problemAnswer } from '../../../src/delivery/problem-response.ts'
import { AppError } from '../../../src/errors.ts'
import { createServer, type ServerDeps } from '../../../src/http/create-server.ts'
import { projectRoot } from '../../helpers/start-halftone.ts'

test('of misses that arrive together one begins in each turn of the event loop', async () => {
  const loaded = loadConfig({}, { cwd: projectRoot, packageDir: projectRoot })
  if (!loaded.ok) throw new Error('the defaults are faulty')
  const { server: limits, delivery } = loaded.config
  let turn = 0
  let isCounting = true
  const count = () => {
    turn += 1
    if (isCounting) setImmediate(count)
  }
  const began: number[] = []
  const server = createServer({
    ...{
      server: limits,
      delivery,
      via: 'test',
      hasHits: false,
      hotLane: { find: () => undefined, findStored: () => undefined },
    },
    deliverImage: ({ id, target }: { id: string; target: string }) => {
      began.push(turn)
      const about = { requestId: id, instance: target, negotiated: false, isPrivate: false, delivery }
      return Promise.resolve(problemAnswer(new AppError('not_found'), about))
    },
    onAnswered: () => undefined,
  } as unknown as ServerDeps)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const sockets = Array.from({ length: 20 }, () => connect(port, '127.0.0.1'))
  const ask = () => {
    for (const socket of sockets) socket.write('GET /a.jpg HTTP/1.1\r\nHost: a\r\n\r\n')
    return Promise.all(sockets.map((socket) => once(socket, 'data')))
  }
  // Connections are accepted one in a turn, too.
  await ask()
  began.length = 0
  count()
  await ask()
  for (const socket of sockets) socket.destroy()
  isCounting = false
  server.close()
  expect(began).toHaveLength(20)
  expect(new Set(began).size).toBe(20)
})
