import { expect, test } from 'vitest'
import { closeParts } from '../../../src/lib/close-parts.ts'

test('parts that fail or never end keep no other open, and are named', async () => {
  const closed: string[] = []
  const failed: string[] = []
  const closing = (name: string) => () => Promise.resolve(void closed.push(name))
  const startedMs = performance.now()
  await closeParts(
    [
      { a: closing('a'), stuck: () => new Promise<void>(() => {}) },
      { broken: () => Promise.reject(new Error('no disk')), b: closing('b'), none: () => undefined },
      {
        thrown: () => {
          throw new Error('no')
        },
      },
      { c: closing('c') },
    ],
    { withinMs: 400, onFailed: (part, error) => void failed.push(`${part}: ${String(error)}`) },
  )
  expect(closed).toEqual(['a', 'b', 'c'])
  expect(failed).toEqual(['stuck: Error: did not end in time', 'broken: Error: no disk', 'thrown: Error: no'])
  expect(performance.now() - startedMs).toBeLessThan(2000)
})

test('a stage begins when the one before has ended', async () => {
  const seen: string[] = []
  const slow = async () => {
    await new Promise((resolve) => setTimeout(resolve, 50))
    seen.push('slow')
  }
  await closeParts([{ slow }, { next: () => Promise.resolve(void seen.push('next')) }], {
    withinMs: 5000,
    onFailed: (part) => void seen.push(`failed ${part}`),
  })
  expect(seen).toEqual(['slow', 'next'])
})
