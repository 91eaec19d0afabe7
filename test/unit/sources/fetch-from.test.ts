import { expect, test } from 'vitest'
import { fetchFrom } from '../../../src/sources/fetch-from.ts'
import type { GuardedClient } from '../../../src/sources/guarded-client.ts'

const never = new AbortController().signal

function answering(status: number, onAsked: () => void = () => undefined): GuardedClient {
  const answer = { status, headers: {}, body: Buffer.from('picture') }
  const client: Partial<GuardedClient> = {
    get: () => {
      onAsked()
      return Promise.resolve(answer as unknown as Awaited<ReturnType<GuardedClient['get']>>)
    },
  }
  return client as GuardedClient
}

test('few bodies are held at once, each until it has been used, and those in line are served after them', async () => {
  let [held, most] = [0, 0]
  const lend = fetchFrom(answering(200, () => (most = Math.max(most, (held += 1)))))
  const use = async (body: Buffer) => {
    await new Promise((resolve) => setTimeout(resolve, 5))
    held -= 1
    return body.length
  }
  const lent = Array.from({ length: 24 }, () => lend('http://pictures.example/a.jpg', 100, use, never))
  expect(await Promise.all(lent)).toEqual(Array.from({ length: 24 }, () => 7))
  expect(most).toBe(4)
})

test('too long a line is refused, and whoever leaves it gives the place away', async () => {
  const lend = fetchFrom(answering(200))
  const gate = Promise.withResolvers<void>()
  const leaving = new AbortController()
  const ask = (signal: AbortSignal) => lend('http://pictures.example/a.jpg', 100, () => gate.promise, signal)
  const all = [...Array.from({ length: 63 }, () => ask(never)), ask(leaving.signal)]
  await expect(ask(never)).rejects.toMatchObject({ code: 'overloaded' })
  leaving.abort(new Error('gone'))
  await expect(all.at(-1)).rejects.toThrow('gone')
  const late = ask(never)
  gate.resolve()
  await Promise.all([...all.slice(0, -1), late])
})

test.each([
  [404, 'not_found'],
  [403, 'source_denied'],
  [500, 'source_failed'],
])('status %i is %s, and holds no place', async (status, code) => {
  const lend = fetchFrom(answering(status))
  for (let count = 0; count < 10; count++) {
    const lent = lend('http://pictures.example/a.jpg', 100, () => Promise.resolve(), never)
    await expect(lent).rejects.toMatchObject({ code })
  }
})
