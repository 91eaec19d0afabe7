import { afterEach, beforeEach, expect, test } from 'vitest'
import { openStores } from '../../../src/db/open-stores.ts'
import { createServedOriginals } from '../../../src/uploads/served-originals.ts'
import { addReady, openStage, type Stage } from '../../helpers/upload-stage.ts'

let stage: Stage
beforeEach(async () => {
  stage = await openStage()
})
afterEach(() => stage.close())

/** With a count of how often the database is asked. */
function open({ maxEntries = 100 } = {}) {
  const { images } = stage.stores
  let asked = 0
  const findServed: typeof images.findServed = (...given) => {
    asked += 1
    return images.findServed(...given)
  }
  const find = createServedOriginals({ findServed, changeMark: () => images.changeMark() }, { maxEntries })
  return { find, asked: () => asked }
}

test('what was read is believed while nothing changes', async () => {
  const { image, key } = await addReady(stage)
  const { find, asked } = open()
  expect(await find(image.id, 1)).toMatchObject({ objectKey: key, version: 1, visibility: 'private' })
  await find(image.id, 1)
  expect(asked()).toBe(1)
  expect(await find(image.id, 2)).toBeUndefined()
  await find(image.id, 2)
  expect(asked()).toBe(2)
})

test.each([
  ['deleting', (id: string, { images }: Stage['stores']) => images.remove(id, [])],
  [
    'changing the visibility',
    (id: string, { images }: Stage['stores']) => images.update(id, { visibility: 'public' }, []),
  ],
  ['purging', (id: string, { images }: Stage['stores']) => images.bumpEpoch(id)],
])('%s is seen with the very next request, whoever did it', async (_, change) => {
  const { image } = await addReady(stage)
  const { find } = open()
  const before = await find(image.id, undefined)
  await change(image.id, stage.stores)
  const after = await find(image.id, undefined)
  expect(after).not.toEqual(before)

  const { image: second } = await addReady(stage)
  const earlier = await find(second.id, undefined)
  const other = await openStores({ file: stage.file })
  await change(second.id, other)
  expect(await find(second.id, undefined)).not.toEqual(earlier)
  await other.close()
})

test('an answer that was on its way while something changed is not remembered', async () => {
  const { image } = await addReady(stage)
  const { images } = stage.stores
  let isFirst = true
  const findServed: typeof images.findServed = async (...given) => {
    const served = await images.findServed(...given)
    if (!isFirst) return served
    isFirst = false
    await images.remove(image.id, [])
    // Somebody else asks meanwhile, and has seen the change.
    await find('img_other', undefined)
    return served
  }
  const find = createServedOriginals({ findServed, changeMark: () => images.changeMark() }, { maxEntries: 100 })
  await find(image.id, undefined)
  expect(await find(image.id, undefined)).toBeUndefined()
})

test('no more is remembered than it may be', async () => {
  const made = await Promise.all([1, 2, 3].map(() => addReady(stage)))
  const { find, asked } = open({ maxEntries: 2 })
  for (const { image } of made) await find(image.id, undefined)
  await find(made[2]?.image.id ?? '', undefined)
  expect(asked()).toBe(3)
  await find(made[0]?.image.id ?? '', undefined)
  expect(asked()).toBe(4)
})
