import { expect, test } from 'vitest'
import { costMovedTo, costOn } from '../../../../src/transform/executor/place-job.ts'

const forecast = {
  isKnown: true,
  coldMs: 100,
  decodedMs: 40,
  decode: 'decoded',
  drawnMs: 30,
  drawing: 'drawn',
} as const
const job = { forecast: () => forecast }

function placement(
  warm: Readonly<Record<string, readonly string[]>>,
  backlog: Readonly<Record<string, number>> = {},
  spared: Readonly<Record<string, number>> = {},
) {
  return {
    renderers: ['here', 'there'],
    isWarm: (renderer: string, picture: string) => warm[renderer]?.includes(picture) ?? false,
    backlogMs: (renderer: string) => backlog[renderer] ?? 0,
    sparedMs: (renderer: string) => spared[renderer] ?? 0,
  }
}

test.each([
  ['cold everywhere', {}, 0, 100, 100],
  ['decoded here', { here: ['decoded'] }, 0, 40, 40],
  ['drawn here', { here: ['decoded', 'drawn'], there: ['decoded'] }, 0, 30, 30],
  [
    'drawn there, which is soon free, and only decoded here',
    { here: ['decoded'], there: ['drawn'] },
    110,
    undefined,
    undefined,
  ],
  [
    'drawn there, which is busy for long, and only decoded here',
    { here: ['decoded'], there: ['drawn'] },
    130,
    undefined,
    40,
  ],
  ['decoded on both', { here: ['decoded'], there: ['decoded'] }, 0, 40, 40],
  ['decoded there, which is soon free', { there: ['decoded'] }, 50, undefined, undefined],
  ['decoded there, which is busy for long', { there: ['decoded'] }, 1000, undefined, 100],
])('%s', (_, warm, backlogMs, want, wantMoved) => {
  const where = placement(warm, { there: backlogMs })
  expect(costOn(job, 'here', where)).toBe(want)
  expect(costMovedTo(job, 'here', where)).toBe(wantMoved)
})

test('a small job is moved later than a large one, because decoding twice would waste more than it is worth', () => {
  const small = { forecast: () => ({ ...forecast, decodedMs: 5, drawnMs: 2 }) }
  const where = placement({ there: ['decoded'] }, { there: 700 })
  expect(costMovedTo(job, 'here', where)).toBe(100)
  expect(costMovedTo(small, 'here', where)).toBeUndefined()
})

test('what a renderer has stood by for counts like what it would wait for', () => {
  expect(costMovedTo(job, 'here', placement({ there: ['decoded'] }, { there: 200 }, { here: 300 }))).toBeUndefined()
  expect(costMovedTo(job, 'here', placement({ there: ['decoded'] }, { there: 200 }, { here: 400 }))).toBe(100)
})
