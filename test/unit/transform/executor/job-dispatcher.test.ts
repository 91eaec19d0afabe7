import { describe, expect, test } from 'vitest'
import { createJobDispatcher } from '../../../../src/transform/executor/job-dispatcher.ts'
import { createRefusedSources } from '../../../../src/transform/executor/refused-sources.ts'
import { quickRenderConfig } from '../../../helpers/render-fixtures.ts'

const never = new AbortController().signal

/** A queue before renderers that are not there yet: everything waits. */
function startDispatcher(limits: { readonly deadlineMs: number; readonly queueLength: number }) {
  const dispatcher = createJobDispatcher({
    config: { ...quickRenderConfig, renderers: 2, ...limits },
    slots: { idle: () => [], take: () => undefined, release: () => undefined },
    refusedSources: createRefusedSources({ refuseMs: 1000, maxEntries: 10 }),
    warmRenderers: { isWarm: () => false },
    log: () => undefined,
    onEvent: () => undefined,
  })
  return {
    submit: (coldMs: number) =>
      dispatcher.submit(
        {
          sourceKey: 'a.jpg',
          sourceName: 'originals',
          bytes: 0,
          forecast: () => ({
            ...{ isKnown: true, coldMs, decodedMs: coldMs, drawnMs: coldMs },
            ...{ decode: undefined, drawing: undefined },
          }),
          plan: () => undefined,
          perform: () => Promise.reject(new Error('there is no renderer')),
        },
        never,
      ),
    close: () => dispatcher.drain(AbortSignal.abort()),
  }
}

describe('what a refused job is told', () => {
  test.each([
    // 16 s wait for two renderers: in 2 s, a job of 4 s would be done within 10.
    { when: 'it could not be done in time', limits: { deadlineMs: 10_000, queueLength: 100 }, retryAfterSeconds: 2 },
    // A quarter of 16 s of work is done by two renderers in 2 s.
    { when: 'the queue is full', limits: { deadlineMs: 60_000, queueLength: 4 }, retryAfterSeconds: 2 },
  ])('to come back when it would be let in, where $when', async ({ limits, retryAfterSeconds }) => {
    const dispatcher = startDispatcher(limits)
    const waiting = Array.from({ length: 4 }, () => dispatcher.submit(4000).catch((error: unknown) => error))
    await expect(dispatcher.submit(4000)).rejects.toMatchObject({ code: 'overloaded', details: { retryAfterSeconds } })
    await dispatcher.close()
    expect(await Promise.all(waiting)).toEqual(Array(4).fill(expect.objectContaining({ code: 'shutting_down' })))
  })
})
