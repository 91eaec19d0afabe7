import { EventEmitter } from 'node:events'
import { expect, test } from 'vitest'
import { createUnsentAnswers, type Connection } from '../../../src/http/unsent-answers.ts'

class FakeConnection extends EventEmitter implements Connection {
  destroyed = false
  destroy(): void {
    this.destroyed = true
    this.emit('close')
  }
}

function start(maxBytes: number) {
  let cut = 0
  const unsent = createUnsentAnswers(maxBytes, () => (cut += 1))
  return { unsent, cuts: () => cut, connect: () => new FakeConnection() }
}

test('beyond the bound, those go that have been behind for longest', () => {
  const { unsent, cuts, connect } = start(100)
  const [first, second, third, fourth] = [connect(), connect(), connect(), connect()]
  for (const connection of [first, second, third]) unsent.add(connection, {}, Buffer.alloc(30))
  expect(cuts()).toBe(0)
  unsent.add(fourth, {}, Buffer.alloc(60))
  expect([first, second, third, fourth].map(({ destroyed }) => destroyed)).toEqual([true, true, false, false])
  expect(cuts()).toBe(2)
})

test('one that has caught up, or is gone, counts no more', () => {
  const { unsent, cuts, connect } = start(100)
  const [first, second, third] = [connect(), connect(), connect()]
  const answer = {}
  unsent.add(first, answer, Buffer.alloc(90))
  unsent.taken(first, answer)
  unsent.taken(first, answer)
  unsent.add(second, {}, Buffer.alloc(90))
  second.emit('close')
  unsent.add(third, {}, Buffer.alloc(90))
  expect(cuts()).toBe(0)
})

test('a body that many are sent counts once, until the last has it', () => {
  const { unsent, cuts, connect } = start(100)
  const body = Buffer.alloc(60)
  const clients = [connect(), connect(), connect()]
  for (const client of clients) unsent.add(client, client, body)
  expect(cuts()).toBe(0)
  for (const client of clients.slice(1)) unsent.taken(client, client)
  unsent.add(connect(), {}, Buffer.alloc(60))
  expect(clients.map(({ destroyed }) => destroyed)).toEqual([true, false, false])
})

test('a single body larger than the bound is let through, several on one connection are not', () => {
  const { unsent, connect } = start(100)
  const [alone, greedy] = [connect(), connect()]
  unsent.add(alone, {}, Buffer.alloc(150))
  expect(alone.destroyed).toBe(false)
  alone.emit('close')
  unsent.add(greedy, {}, Buffer.alloc(150))
  unsent.add(greedy, {}, Buffer.alloc(150))
  expect(greedy.destroyed).toBe(true)
})

test('a connection that is gone already is not kept, and one that falls behind often is listened to once', () => {
  const { unsent, cuts, connect } = start(100)
  const [gone, often] = [connect(), connect()]
  gone.destroy()
  unsent.add(gone, {}, Buffer.alloc(90))
  for (let time = 0; time < 20; time += 1) {
    unsent.add(often, often, Buffer.alloc(90))
    unsent.taken(often, often)
  }
  expect(cuts()).toBe(0)
  expect(often.listenerCount('close')).toBe(1)
})
