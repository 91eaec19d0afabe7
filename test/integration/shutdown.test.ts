import { connect } from 'node:net'
import { once } from 'node:events'
import { expect, test } from 'vitest'
import { startHalftone } from '../helpers/start-halftone.ts'

test('connections that never said anything do not hold up the end', async () => {
  const halftone = await startHalftone({
    HALFTONE_SHUTDOWN_TIMEOUT_SECONDS: '20',
    HALFTONE_SOURCE: import.meta.dirname,
  })
  const silent = connect(Number(new URL(halftone.origin).port), '127.0.0.1')
  await once(silent, 'connect')
  const closed = once(silent, 'close')
  const stopped = halftone.stop()
  const first = await Promise.race([
    stopped.then(() => 'stopped'),
    new Promise((resolve) => setTimeout(resolve, 8000, 'still waiting')),
  ])
  expect(first).toBe('stopped')
  await closed
})
