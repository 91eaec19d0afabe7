import { expect, test } from 'vitest'
import { describeParams } from '../../../../src/transform/params/describe-params.ts'
import { spellings } from '../../../../src/transform/params/registry.ts'

const tierOne =
  'w h fit crop ar rect max-w max-h min-w min-h fp-x fp-y fp-z dpr fm q lossless cs dl auto bg fill fill-color orient flip expires s ixlib ixid preset'

test('describes every parameter of tier 1 in plain JSON', () => {
  const rows = describeParams()
  const names = rows.map(({ name }) => name)
  expect(names).toEqual(expect.arrayContaining(tierOne.split(' ')))
  expect(new Set(names).size).toBe(names.length)
  expect(JSON.parse(JSON.stringify(rows))).toEqual(rows)
  for (const row of rows) expect(row.summary).toMatch(/^\S.{10,150}\.$/)
})

test('no spelling stands for two parameters', () => {
  const all = describeParams().flatMap(({ name, aliases, base64 }) =>
    [name, ...aliases].flatMap((spelling) => (base64 ? [spelling, `${spelling}64`] : [spelling])),
  )
  expect(new Set(all).size).toBe(all.length)
  expect([...spellings.keys()].toSorted()).toEqual(all.toSorted())
})

test('says what docs and playground need of a parameter', () => {
  expect(describeParams().find(({ name }) => name === 'fit')).toMatchObject({
    aliases: ['f'],
    category: 'size',
    default: 'clip',
    base64: true,
    values: ['clip', 'max', 'crop', 'fill', 'fillmax', 'clamp', 'min', 'scale', 'facearea'],
  })
  expect(describeParams().find(({ name }) => name === 'auto')?.base64).toBe(false)
})
