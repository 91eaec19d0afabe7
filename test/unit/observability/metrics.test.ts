import { expect, test } from 'vitest'
import { createMetrics } from '../../../src/observability/metrics.ts'

const samples = { renderersBusy: 0, renderersTotal: 1, renderersReady: 1, renderQueue: 0, tiers: {} }

test('requests are told by status and outcome, their durations by outcome', async () => {
  const metrics = createMetrics(() => samples)
  metrics.request({ status: 200, outcome: 'memory', seconds: 0.0002, bytes: 100 })
  metrics.request({ status: 200, outcome: 'memory', seconds: 0.0005, bytes: 100 })
  metrics.request({ status: 206, outcome: 'memory', seconds: 0.04, bytes: 50 })
  metrics.request({ status: 200, outcome: 'render', seconds: 31, bytes: 7 })
  await metrics.expose()
  const { text } = await metrics.expose()
  const lines = text.split('\n')
  for (const line of [
    'halftone_requests_total{status="200",outcome="memory"} 2',
    'halftone_requests_total{status="206",outcome="memory"} 1',
    'halftone_response_bytes_total{outcome="memory"} 250',
    '# TYPE halftone_request_duration_seconds histogram',
    'halftone_request_duration_seconds_bucket{le="0.0005",outcome="memory"} 2',
    'halftone_request_duration_seconds_bucket{le="0.025",outcome="memory"} 2',
    'halftone_request_duration_seconds_bucket{le="0.05",outcome="memory"} 3',
    'halftone_request_duration_seconds_bucket{le="+Inf",outcome="memory"} 3',
    'halftone_request_duration_seconds_sum{outcome="memory"} 0.0407',
    'halftone_request_duration_seconds_count{outcome="memory"} 3',
    'halftone_request_duration_seconds_bucket{le="30",outcome="render"} 0',
    'halftone_request_duration_seconds_bucket{le="+Inf",outcome="render"} 1',
  ])
    expect(lines).toContain(line)
  // Every line is a comment or a sample: the parts were put together with their ends.
  for (const line of lines.filter((line) => line !== '')) expect(line).toMatch(/^(# (HELP|TYPE) |\w+(\{.*\})? \S+$)/)
})

test('what waits and what was given up is asked for at each scrape, and a database that is out only leaves a gap', async () => {
  const metrics = createMetrics(() => samples)
  let dead = 1
  let isOut = false
  const unless = <Counts>(counts: Counts) =>
    isOut ? Promise.reject(new Error('disk I/O error')) : Promise.resolve(counts)
  metrics.watchBacklog({
    jobs: () => unless({ waiting: 3, running: 2, dead }),
    messages: () => unless({ waiting: 7, dead: 0 }),
    webhooks: () => unless({ disabled: 1 }),
  })
  await metrics.expose()
  dead = 4
  const lines = (await metrics.expose()).text.split('\n')
  for (const line of [
    'jobs{state="waiting"} 3',
    'jobs{state="dead"} 4',
    'messages{state="waiting"} 7',
    'webhooks{state="disabled"} 1',
  ])
    expect(lines).toContain(`halftone_${line}`)
  isOut = true
  const { text } = await metrics.expose()
  expect(text).not.toContain('halftone_jobs{')
  expect(text).toContain('halftone_renderers 1')
})
