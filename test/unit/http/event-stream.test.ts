import type { Response } from 'express'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { sendEvents } from '../../../src/http/event-stream.ts'

test('who does not read the events is let go before they fill the memory', async () => {
  let sent = 0
  const isOver = new AbortController()
  const server = createServer((_request, response) => {
    const events = async function* () {
      for (; !response.destroyed && sent < 5000; sent += 1) {
        yield { id: String(sent), event: 'image', data: 'x'.repeat(100_000) }
        await nextTurn()
      }
    }
    void sendEvents(response as Response, events()).then(() => isOver.abort())
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => {})
  onTestFinished(() => {
    socket.destroy()
    server.close()
  })
  socket.pause().write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  if (!isOver.signal.aborted) await once(isOver.signal, 'abort')
  // The kernel takes some megabytes.
  expect(sent).toBeLessThan(500)
})
