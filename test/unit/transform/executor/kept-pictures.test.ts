import { describe, expect, test } from 'vitest'
import { createKeptPictures } from '../../../../src/transform/executor/kept-pictures.ts'
import { createSourceMemory } from '../../../../src/transform/executor/source-memory.ts'

function start(maxBytes = 100) {
  const clock = { ms: 0 }
  return { clock, kept: createKeptPictures<string>({ maxBytes, keepMs: 1000, nowMs: () => clock.ms }) }
}

describe('kept pictures', () => {
  test('bytes stay within the bound; the least recently used goes first', () => {
    const { kept } = start()
    kept.keep('s', 'a', 'A', 40)
    kept.keep('s', 'b', 'B', 40)
    kept.get('s', 'a')
    kept.keep('s', 'c', 'C', 40)
    expect([kept.get('s', 'a'), kept.get('s', 'b'), kept.get('s', 'c')]).toEqual(['A', undefined, 'C'])
    expect(kept.bytes()).toBe(80)
    kept.keep('s', 'whole', 'W', 101)
    expect([kept.get('s', 'whole'), kept.bytes()]).toEqual([undefined, 80])
    kept.keep('s', 'a', 'A2', 100)
    expect([kept.get('s', 'a'), kept.bytes()]).toEqual(['A2', 100])
  })

  test('what is not used for a while is forgotten, asked for or not', () => {
    const { kept, clock } = start()
    kept.keep('s', 'a', 'A', 10)
    kept.keep('s', 'b', 'B', 10)
    clock.ms = 900
    expect(kept.get('s', 'a')).toBe('A')
    clock.ms = 1500
    kept.sweep()
    expect(kept.bytes()).toBe(10)
    expect([kept.get('s', 'a'), kept.get('s', 'b')]).toEqual(['A', undefined])
    clock.ms = 2500
    expect([kept.get('s', 'a'), kept.bytes()]).toEqual([undefined, 0])
  })

  test('one source can be forgotten', () => {
    const { kept } = start()
    kept.keep('s', 'a', 'A', 10)
    kept.keep('t', 'a', 'T', 10)
    kept.forget('s')
    expect([kept.get('s', 'a'), kept.get('t', 'a'), kept.bytes()]).toEqual([undefined, 'T', 10])
  })
})

describe('source memory', () => {
  test('an original is shared while two jobs want it, and for a while after one', () => {
    const clock = { ms: 0 }
    const memory = createSourceMemory({ maxEntries: 2, keepMs: 1000, nowMs: () => clock.ms })
    memory.enter('s')
    expect(memory.isShared('s')).toBe(false)
    memory.enter('s')
    expect(memory.isShared('s')).toBe(true)
    memory.leave('s')
    memory.leave('s')
    clock.ms = 500
    memory.enter('s')
    expect(memory.isShared('s')).toBe(true)
    memory.leave('s')
    clock.ms = 5000
    memory.enter('s')
    expect(memory.isShared('s')).toBe(false)
    memory.enter('t')
    memory.enter('u')
    memory.leave('s')
    expect(memory.isShared('s')).toBe(false)
  })
})
