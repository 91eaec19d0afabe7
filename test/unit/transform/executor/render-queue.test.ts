import { describe, expect, test } from 'vitest'
import { createRenderQueue, workBefore } from '../../../../src/transform/executor/render-queue.ts'
import type { QueueEntry } from '../../../../src/transform/executor/render-queue.ts'

const agingRate = 0.25

type Entry = QueueEntry & { readonly name: string }

function entry(name: string, costMs: number, queuedAtMs = 0, sourceName = 'a', bytes = 1): Entry {
  return { name, sourceName, bytes, queuedAtMs, costMs: () => costMs }
}

/** Names in the order in which they leave. */
function drain(entries: readonly Entry[]): string[] {
  const queue = createRenderQueue<Entry>({ agingRate })
  for (const each of entries) queue.push(each)
  const order: string[] = []
  for (;;) {
    const next = queue.pick((each) => each.costMs())
    if (!next) return order
    order.push(next.name)
  }
}

describe('order', () => {
  test.each([
    ['equal ones as they came', [entry('1', 50), entry('2', 50), entry('3', 50)], ['1', '2', '3']],
    ['the smallest first', [entry('big', 900), entry('small', 20), entry('middle', 200)], ['small', 'middle', 'big']],
    ['one that has waited before a smaller one', [entry('small', 20, 9000), entry('big', 900)], ['big', 'small']],
    [
      'sources take turns, however much one of them asks for',
      [1, 2, 3, 4].map((n) => entry(`a${n}`, 100)).concat(entry('b1', 100, 5, 'b'), entry('b2', 100, 6, 'b')),
      ['a1', 'b1', 'a2', 'b2', 'a3', 'a4'],
    ],
    [
      'a source of slow jobs gets fewer turns',
      [1, 2, 3].map((n) => entry(`slow${n}`, 1000)).concat([1, 2, 3].map((n) => entry(`quick${n}`, 10, 0, 'b'))),
      ['quick1', 'slow1', 'quick2', 'quick3', 'slow2', 'slow3'],
    ],
  ])('%s', (_, entries, want) => {
    expect(drain(entries)).toEqual(want)
  })

  test('what nobody waits for comes last, takes no turns, delays nobody and is the first to go', () => {
    const background = { ...entry('upload', 1, 0, 'uploads'), isBackground: true }
    const waiting = [background, entry('photo', 900), entry('other', 500, 0, 'b')]
    expect(drain(waiting)).toEqual(['other', 'photo', 'upload'])
    expect(workBefore(waiting, waiting[1]!, agingRate)).toBe(500)
    expect(workBefore(waiting, background, agingRate)).toBe(2)
    const queue = createRenderQueue<Entry>({ agingRate })
    for (const each of waiting) queue.push(each)
    expect(queue.excess({ maxEntries: 2, maxBytes: 100 })?.name).toBe('upload')
  })

  test('a large job is not starved by small ones that never cease', () => {
    const queue = createRenderQueue<Entry>({ agingRate })
    queue.push(entry('large', 2000))
    let nowMs = 0
    let left: Entry | undefined
    while (left?.name !== 'large' && nowMs < 60_000) {
      // Two come for each one that is done.
      queue.push(entry('small', 50, nowMs))
      queue.push(entry('small', 50, nowMs))
      left = queue.pick((each) => each.costMs())
      nowMs += 50
    }
    expect(left?.name).toBe('large')
    expect(nowMs).toBeLessThanOrEqual((2000 / agingRate) * 2)
  })

  test('a source that was away has not saved up turns', () => {
    const queue = createRenderQueue<Entry>({ agingRate })
    for (let n = 0; n < 20; n++) {
      queue.push(entry('a', 100))
      queue.pick((each) => each.costMs())
    }
    for (let n = 0; n < 3; n++) queue.push(entry('a', 100))
    for (let n = 0; n < 3; n++) queue.push(entry('b', 100, 0, 'b'))
    const order = Array.from({ length: 4 }, () => queue.pick((each) => each.costMs())?.name)
    expect(order.filter((name) => name === 'a').length).toBeGreaterThan(0)
  })

  test('what whoever picks may not take stays', () => {
    const queue = createRenderQueue<Entry>({ agingRate })
    queue.push(entry('a', 1))
    queue.push(entry('b', 2))
    expect(queue.pick(({ name }) => (name === 'a' ? undefined : 2))?.name).toBe('b')
    expect(queue.pick(() => undefined)).toBeUndefined()
    expect(queue.entries().map(({ name }) => name)).toEqual(['a'])
  })
})

describe('bounds', () => {
  const bounds = { maxEntries: 3, maxBytes: 100 }
  test.each([
    ['within them nobody goes', [entry('1', 1), entry('2', 1), entry('3', 1)], undefined],
    ['the newcomer of the only source goes', [1, 2, 3, 4].map((n) => entry(`${n}`, 1)), '4'],
    [
      'the newest of the source with most places goes, not the newcomer of another',
      [entry('a1', 1), entry('a2', 1), entry('a3', 1), entry('b1', 1, 0, 'b')],
      'a3',
    ],
    [
      'bytes count as well as places',
      [entry('small', 1, 0, 'a', 10), entry('huge', 1, 0, 'b', 80), entry('more', 1, 0, 'a', 20)],
      'huge',
    ],
  ])('%s', (_, entries, want) => {
    const queue = createRenderQueue<Entry>({ agingRate })
    for (const each of entries) queue.push(each)
    expect(queue.excess(bounds)?.name).toBe(want)
  })
})

describe('predicted wait', () => {
  const own = entry('own', 100, 1000)
  test.each([
    ['nobody', [], 0],
    ['earlier ones of its source', [entry('x', 50), entry('y', 70)], 120],
    ['not the larger ones', [entry('x', 5000, 999)], 0],
    ['as much of another source as of its own', [entry('x', 50), entry('b', 10_000, 0, 'b')], 50 + 150],
    ['no more than there is', [entry('b', 30, 0, 'b')], 30],
  ])('%s', (_, others, want) => {
    expect(workBefore([...others, own], own, agingRate)).toBe(want)
  })
})
