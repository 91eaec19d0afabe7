import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { amongAllowed, createJobDispatcher } from '../../../../src/transform/executor/job-dispatcher.ts'
import { createRefusedSources } from '../../../../src/transform/executor/refused-sources.ts'
import type { RendererProcess } from '../../../../src/transform/executor/renderer-process.ts'
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

describe('a renderer that is not warm', () => {
  test('joins in when a warm one is busy for long, though never for long at once', async () => {
    const renderers = ['warm', 'other'].map(
      (name) => ({ name, startedAtMs: 0, pid: undefined }) as unknown as RendererProcess,
    )
    const idle = [...renderers]
    const served: RendererProcess[] = []
    const dispatcher = createJobDispatcher({
      config: { ...quickRenderConfig, renderers: 2, deadlineMs: 60_000, queueLength: 100 },
      slots: {
        idle: () => idle,
        take: (renderer) => void idle.splice(idle.indexOf(renderer), 1),
        release: (renderer) => void idle.push(renderer),
      },
      refusedSources: createRefusedSources({ refuseMs: 1000, maxEntries: 10 }),
      warmRenderers: { isWarm: (renderer) => renderer === renderers[0] },
      log: () => undefined,
      onEvent: () => undefined,
    })
    const forecast = { isKnown: true, coldMs: 100, decodedMs: 60, decode: 'decoded', drawnMs: 50, drawing: undefined }
    const perform = async (renderer: RendererProcess) => {
      await sleep(5)
      served.push(renderer)
    }
    const job = {
      ...{ sourceKey: 'a.jpg', sourceName: 'originals', bytes: 0, perform },
      ...{ forecast: () => forecast, plan: () => undefined },
    }
    const work = async () => {
      while (!served.includes(renderers[1]!) && served.length < 1000) await dispatcher.submit(job, never)
    }
    await Promise.all(Array.from({ length: 4 }, work))
    expect(served.slice(0, 10)).toEqual(Array(10).fill(renderers[0]))
    expect(served).toContain(renderers[1])
    await dispatcher.drain(never)
  })

  test('takes at once what the warm one may not', () => {
    const [old, fresh] = [0, 20].map((startedAtMs) => ({ startedAtMs }) as RendererProcess)
    const job = (freshAfterMs: number) => ({ freshAfterMs })
    const placement = { renderers: [old!, fresh!], isWarm: () => true, backlogMs: () => 0, sparedMs: () => 0 }
    expect(amongAllowed(job(0), placement).renderers).toEqual([old, fresh])
    expect(amongAllowed(job(10), placement).renderers).toEqual([fresh])
  })
})

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
