import { expect, test } from 'vitest'
import { renderImage, type RenderDeps } from '../../../src/delivery/render-image.ts'
import type { ImageRequest } from '../../../src/delivery/image-request.ts'
import { createOriginalBudget } from '../../../src/delivery/original-budget.ts'
import { createSlowSources } from '../../../src/delivery/slow-sources.ts'

const never = new AbortController().signal
const state = { version: '1', byteLength: 3, lastModifiedMs: 0 }
const held = {
  ...state,
  heldPath: '/proc/1/fd/1',
  isUnchanged: () => Promise.resolve(true),
  read: () => Promise.resolve(Buffer.from('abc')),
  close: () => undefined,
}

const source = {
  name: 'folder',
  stat: () => Promise.resolve(state),
  read: () => Promise.resolve({ ...state, bytes: Buffer.from('abc') }),
  hold: () => Promise.resolve(held),
  close: () => Promise.resolve(),
}
const request = { source, path: '/a.jpg' } as unknown as ImageRequest

test('after a disk has kept a renderer waiting, the front reads the originals of that source', async () => {
  const given: unknown[] = []
  const deps = {
    rendererPool: {
      render({ original }: Parameters<RenderDeps['rendererPool']['render']>[0]) {
        given.push(Buffer.isBuffer(original) ? 'bytes' : 'file')
        if (!Buffer.isBuffer(original)) original.onSlow()
        return Promise.resolve({ body: Buffer.from('x'), format: 'png', width: 1, height: 1 })
      },
    },
    originalBudget: createOriginalBudget(1000),
    slowSources: createSlowSources({ nowMs: () => 0, onSlow: () => undefined }),
    sourceTimeoutMs: 1000,
    onRendered: () => undefined,
    onRenderFailed: () => undefined,
  } as unknown as RenderDeps
  for (let time = 0; time < 2; time++) await renderImage(request, { state, etag: 'e', nowMs: 0 }, deps, never)
  expect(given).toEqual(['file', 'bytes'])
})

test('originals that renderers read themselves take nothing of the memory for originals', async () => {
  const rendering = Promise.withResolvers<unknown>()
  const slowSources = createSlowSources({ nowMs: () => 0, onSlow: () => undefined })
  const deps = {
    rendererPool: { render: () => rendering.promise },
    ...{ originalBudget: createOriginalBudget(4), slowSources, sourceTimeoutMs: 1000 },
    ...{ onRendered: () => undefined, onRenderFailed: () => undefined },
  } as unknown as RenderDeps
  const render = () => renderImage(request, { state, etag: 'e', nowMs: 0 }, deps, never)
  const all = [render(), render()]
  slowSources.note('folder')
  // From here on they are read in front: the first is let through, the second does not fit beside it.
  all.push(render())
  await expect(render()).rejects.toMatchObject({ code: 'overloaded' })
  rendering.resolve({ body: Buffer.from('x'), format: 'png', width: 1, height: 1 })
  expect(await Promise.all(all)).toHaveLength(3)
})
