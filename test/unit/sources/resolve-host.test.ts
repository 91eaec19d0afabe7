import { expect, test } from 'vitest'
import { createHostResolver } from '../../../src/sources/resolve-host.ts'

test('one question for everybody who wants a name now, and few at a time', async () => {
  const asked: string[] = []
  const answers: (() => void)[] = []
  const resolve = createHostResolver((hostname) => {
    asked.push(hostname)
    return new Promise((answer) => answers.push(() => answer([{ address: '192.0.2.1', family: 4 }])))
  })
  const all = ['a', 'a', 'b', 'c', 'a'].map((hostname) => resolve(hostname))
  await Promise.resolve()
  expect(asked).toEqual(['a', 'b'])
  answers[0]?.()
  await all[0]
  await new Promise((done) => setImmediate(done))
  expect(asked).toEqual(['a', 'b', 'c'])
  for (const answer of answers) answer()
  expect(await Promise.all(all)).toHaveLength(5)
  // Nothing is kept: the next to ask gets a new answer.
  void resolve('a')
  await new Promise((done) => setImmediate(done))
  expect(asked).toEqual(['a', 'b', 'c', 'a'])
})

test('the hosts file counts, as in every other program', async () => {
  const found = await createHostResolver()('localhost')
  expect(found.map(({ address }) => address)).toContain('127.0.0.1')
})
