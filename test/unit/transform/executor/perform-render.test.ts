import { expect, test } from 'vitest'
import { performRender, type PerformDeps, type RenderJob } from '../../../../src/transform/executor/perform-render.ts'
import { createCostCorrection } from '../../../../src/transform/executor/predict-cost.ts'
import type { RendererReply, RendererRequest } from '../../../../src/transform/executor/renderer-messages.ts'
import type { RendererProcess } from '../../../../src/transform/executor/renderer-process.ts'
import { createSourceMemory } from '../../../../src/transform/executor/source-memory.ts'
import { createWarmRenderers } from '../../../../src/transform/executor/warm-renderers.ts'
import { metadataOf } from '../../../helpers/plan-request.ts'
import { planOf } from '../../../helpers/render-fixtures.ts'

const metadata = metadataOf(400, 300)
const webp = { format: 'webp', quality: 76, effort: 0, lossless: false } as const
const plan = planOf(metadata, [{ op: 'resize', width: 200, height: 150 }], { output: webp })
const rendered: RendererReply = {
  ...{ kind: 'rendered', body: Buffer.from('picture'), width: 200, height: 150, frames: 1 },
  ...{ sharing: 'none', renderMs: 1, rssBytes: 1 },
}

/** What is said between front and renderer; `forgets` makes the renderer one that has kept nothing. */
function listen(sharedBytes = 1e6) {
  const said: string[] = []
  const state = { forgets: false }
  const answer = (request: RendererRequest): RendererReply => {
    said.push(request.kind === 'plan' && request.sourceKey !== undefined ? 'recalling plan' : request.kind)
    if (request.kind !== 'plan') return { kind: 'probed', metadata, probeMs: 1 }
    return request.sourceKey !== undefined && state.forgets ? { kind: 'unknown' } : rendered
  }
  const renderer = { ask: (request: RendererRequest) => Promise.resolve(answer(request)) } as RendererProcess
  const clock = { keepMs: 10_000, nowMs: () => 0 }
  const events: string[] = []
  const deps: PerformDeps & { queueMs: number } = {
    memory: createSourceMemory({ maxEntries: 10, ...clock }),
    warmRenderers: createWarmRenderers(clock),
    correction: createCostCorrection(),
    ...{ sharedBytes, queueMs: 0, onHeaderRead: () => undefined },
    onEvent: (event) => void events.push(event),
  }
  const original = Buffer.alloc(1000)
  const job: RenderJob = { original, sourceKey: 'a.jpg', sourceName: 'originals', planFor: () => plan }
  const render = async () => {
    deps.memory.enter(job.sourceKey)
    const { body } = await performRender(job, renderer, deps)
    deps.memory.leave(job.sourceKey)
    expect(body.toString()).toBe('picture')
    return said.splice(0)
  }
  return { render, state, events }
}

test('an original that the renderer has is recalled with the plan', async () => {
  const { render, events } = listen()
  expect(await render()).toEqual(['probe', 'plan'])
  expect(await render()).toEqual(['recalling plan'])
  expect(events).toEqual(['original_recalled'])
})

test('one that it has forgotten is sent again, once', async () => {
  const { render, state } = listen()
  await render()
  state.forgets = true
  expect(await render()).toEqual(['recalling plan', 'probe', 'plan'])
  state.forgets = false
  expect(await render()).toEqual(['recalling plan'])
})

test('one that is too large to be kept is not asked for', async () => {
  const { render } = listen(3999)
  expect(await render()).toEqual(['probe', 'plan'])
  expect(await render()).toEqual(['probe', 'plan'])
})
