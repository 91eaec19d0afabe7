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
  const clock = { nowMs: 0 }
  let cut = 0
  const unsent = createUnsentAnswers({ maxBytes, onCut: () => (cut += 1), nowMs: () => clock.nowMs })
  const connect = () => new FakeConnection()
  /** One more client that is slow to take so many bytes, a second after the one before. */
  const slow = (byteLength: number) => {
    clock.nowMs += 1000
    const connection = connect()
    unsent.add(connection, {}, { byteLength })
    return connection
  }
  return { unsent, clock, cuts: () => cut, connect, slow }
}
const isCut = (connections: readonly FakeConnection[]) => connections.map(({ destroyed }) => destroyed)

test('nothing is cut up to the bound; beyond it, of equals those go that have been behind for longest', () => {
  const { cuts, slow } = start(90)
  const connections = [30, 30, 30].map(slow)
  expect(cuts()).toBe(0)
  connections.push(slow(30), slow(30))
  expect(isCut(connections)).toEqual([true, true, false, false, false])
  expect(cuts()).toBe(2)
})

test('who keeps much memory goes before who keeps a little for somewhat longer', () => {
  const { slow } = start(100)
  const small = slow(20)
  const large = [50, 50].map(slow)
  expect(isCut([small, ...large])).toEqual([false, true, false])
})

test('but not for ever: memory counts by the time that it is kept', () => {
  const { clock, slow } = start(100)
  const small = slow(20)
  clock.nowMs += 60_000
  const large = [50, 50].map(slow)
  expect(isCut([small, ...large])).toEqual([true, false, false])
})

test('one that has caught up, or is gone, counts no more', () => {
  const { unsent, cuts, connect } = start(100)
  const [first, second, third] = [connect(), connect(), connect()]
  const answer = {}
  unsent.add(first, answer, { byteLength: 90 })
  unsent.taken(first, answer)
  unsent.taken(first, answer)
  unsent.add(second, {}, { byteLength: 90 })
  second.emit('close')
  unsent.add(third, {}, { byteLength: 90 })
  expect(cuts()).toBe(0)
})

test('the time that a connection has been behind begins anew when it has caught up', () => {
  const { unsent, clock, connect, slow } = start(100)
  const patient = connect()
  unsent.add(patient, patient, { byteLength: 40 })
  unsent.taken(patient, patient)
  clock.nowMs += 60_000
  const trickling = slow(40)
  unsent.add(patient, patient, { byteLength: 40 })
  slow(40)
  expect(isCut([patient, trickling])).toEqual([false, true])
})

test('a body that many are sent counts once, until the last has it', () => {
  const { unsent, cuts, connect, slow } = start(100)
  const body = Buffer.alloc(60)
  const clients = [connect(), connect(), connect()]
  // Ranges are parts of the same memory.
  for (const [index, client] of clients.entries()) unsent.add(client, client, body.subarray(index).buffer)
  const other = slow(30)
  expect(cuts()).toBe(0)
  for (const client of clients.slice(1)) unsent.taken(client, client)
  slow(20)
  expect(isCut([...clients, other])).toEqual([true, false, false, false])
})

test('clients that wait for one body have a share of it each: who keeps one alone goes first', () => {
  const { unsent, connect, slow } = start(100)
  const body = { byteLength: 60 }
  const many = Array.from({ length: 50 }, connect)
  for (const client of many) unsent.add(client, client, body)
  const hostile = [30, 30, 30].map(slow)
  expect(isCut(many)).toEqual(many.map(() => false))
  expect(isCut(hostile)).toEqual([true, true, false])
})

test('a single body larger than the bound is let through, several on one connection are not', () => {
  const { unsent, connect } = start(100)
  const [alone, greedy] = [connect(), connect()]
  unsent.add(alone, {}, { byteLength: 150 })
  expect(alone.destroyed).toBe(false)
  alone.emit('close')
  unsent.add(greedy, {}, { byteLength: 150 })
  unsent.add(greedy, {}, { byteLength: 150 })
  expect(greedy.destroyed).toBe(true)
})

test('a connection that is gone already is not kept, and one that falls behind often is listened to once', () => {
  const { unsent, cuts, connect } = start(100)
  const [gone, often] = [connect(), connect()]
  gone.destroy()
  unsent.add(gone, {}, { byteLength: 90 })
  for (let time = 0; time < 20; time += 1) {
    unsent.add(often, often, { byteLength: 90 })
    unsent.taken(often, often)
  }
  expect(cuts()).toBe(0)
  expect(often.listenerCount('close')).toBe(1)
})
