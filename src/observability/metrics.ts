import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { createRequestTally, durationText, type RequestTally } from './request-tally.ts'

/** Values sampled at scrape time from the parts that own them. */
export type Samples = {
  readonly renderersBusy: number
  readonly renderersTotal: number
  readonly renderersReady: number
  readonly renderQueue: number
  readonly tiers: Readonly<Record<string, TierSamples>>
}

export type TierSamples = {
  readonly entries: number
  readonly bytes: number
  readonly evicted: number
  readonly dropped: number
  readonly corrupt: number
  readonly readErrors: number
  readonly writeErrors: number
}

/** Asked at each scrape, as it is in a database that other processes change, too. */
export type Backlog = {
  jobs(): Promise<{ readonly waiting: number; readonly running: number; readonly dead: number }>
  messages(): Promise<{ readonly waiting: number; readonly dead: number }>
  webhooks(): Promise<{ readonly disabled: number }>
}

export type RequestOutcome = {
  readonly status: number
  /** `memory` | `disk` | `render` | `collapsed` | `not-modified` | `error`. */
  readonly outcome: string
  readonly seconds: number
  readonly bytes: number
}

// From a memory hit (well under a millisecond) to the longest allowed render.
const requestBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

const requestSeconds = { name: 'halftone_request_duration_seconds', help: 'Time to answer an image request' }

export interface Metrics {
  request(outcome: RequestOutcome): void
  /** An answer of the upload API; `route` is a pattern, so that ids make no labels. */
  apiRequest(answered: { route: string; method: string; status: number; seconds: number }): void
  render(rendering: { format: string; queueSeconds: number; renderSeconds: number }): void
  /** Counts a named event from a closed set: cache and renderer happenings. */
  event(part: string, event: string): void
  /** From now on shows at each scrape what waits and what was given up. */
  watchBacklog(backlog: Backlog): void
  /** Prometheus text; `samples` is asked once per scrape. */
  expose(): Promise<{ contentType: string; text: string }>
}

/** How often the delay of the event loop is sampled. Every 10 ms, as is the default, wakes an idle server a hundred times a second. */
const loopSampleMs = 100

/** All metrics of Halftone, declared here and nowhere else. */
export function createMetrics(sample: () => Samples): Metrics {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'halftone_', eventLoopMonitoringPrecision: loopSampleMs })

  const requests = createRequestTally(requestBuckets)
  countRequests(registers, requests)
  const renderSeconds = new Histogram({
    name: 'halftone_render_duration_seconds',
    help: 'Time in a renderer, probe included',
    labelNames: ['format'],
    buckets: requestBuckets.slice(4),
    registers,
  })
  const queueSeconds = new Histogram({
    name: 'halftone_render_queue_seconds',
    help: 'Time a render waited for a renderer',
    buckets: requestBuckets,
    registers,
  })
  const apiSeconds = new Histogram({
    name: 'halftone_api_request_duration_seconds',
    help: 'Time to answer a request of the upload API, uploaded bytes included',
    labelNames: ['method', 'route', 'status'],
    buckets: [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers,
  })
  const events = new Counter({
    name: 'halftone_events_total',
    help: 'Notable events, by part',
    labelNames: ['part', 'event'],
    registers,
  })

  const gauge = (name: string, help: string, read: (samples: Samples) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read(sample()))
      },
    })
  gauge('halftone_renderers', 'Renderer processes configured', (samples) => samples.renderersTotal)
  gauge('halftone_renderers_ready', 'Renderer processes alive and ready', (samples) => samples.renderersReady)
  gauge('halftone_renderers_busy', 'Renderer processes at work', (samples) => samples.renderersBusy)
  gauge('halftone_render_queue_jobs', 'Renders waiting for a renderer', (samples) => samples.renderQueue)
  const tierGauge = (name: string, help: string, read: (tier: TierSamples) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['tier'],
      registers,
      collect() {
        for (const [tier, samples] of Object.entries(sample().tiers)) this.set({ tier }, read(samples))
      },
    })
  tierGauge('halftone_cache_bytes', 'Bytes kept, by tier', (tier) => tier.bytes)
  tierGauge('halftone_cache_entries', 'Results kept, by tier', (tier) => tier.entries)
  countTierLosses(registers, sample)

  return {
    request: (outcome) => requests.add(outcome),
    render({ format, queueSeconds: queued, renderSeconds: rendered }) {
      renderSeconds.observe({ format }, rendered)
      queueSeconds.observe(queued)
    },
    apiRequest: ({ route, method, status, seconds }) =>
      apiSeconds.observe({ method, route, status: String(status) }, seconds),
    event: (part, event) => events.inc({ part, event }),
    watchBacklog: (backlog) => countBacklog(registers, backlog),
    expose: async () => ({
      contentType: registry.contentType,
      text: `${await registry.metrics()}\n${durationText(requestSeconds, requestBuckets, requests.rows())}`,
    }),
  }
}

/** Requests are counted outside the registry, which is told at a scrape. */
function countRequests(registers: Registry[], tally: RequestTally): void {
  new Counter({
    name: 'halftone_requests_total',
    help: 'Image requests answered, by status and where the answer came from',
    labelNames: ['status', 'outcome'],
    registers,
    collect() {
      this.reset()
      for (const { status, outcome, count } of tally.rows()) this.inc({ status: String(status), outcome }, count)
    },
  })
  new Counter({
    name: 'halftone_response_bytes_total',
    help: 'Body bytes sent for image requests',
    labelNames: ['outcome'],
    registers,
    collect() {
      this.reset()
      for (const { outcome, bytes } of tally.rows()) this.inc({ outcome }, bytes)
    },
  })
}

/** The same in every process of an installation. A database that does not answer leaves a gap, and no scrape fails for it. */
function countBacklog(registers: Registry[], backlog: Backlog): void {
  const gauge = (name: string, help: string, read: () => Promise<Readonly<Record<string, number>>>) =>
    new Gauge({
      name,
      help,
      labelNames: ['state'],
      registers,
      async collect() {
        const counts = await read().catch(() => ({}))
        this.reset()
        for (const [state, count] of Object.entries(counts)) this.set({ state }, count)
      },
    })
  gauge('halftone_jobs', 'Jobs of uploads, by state; dead ones were given up', () => backlog.jobs())
  gauge('halftone_messages', 'Webhook messages, by state; dead ones were given up', () => backlog.messages())
  gauge('halftone_webhooks', 'Webhooks of projects that nothing is sent to any more', () => backlog.webhooks())
}

/** The tiers count for themselves; at a scrape their counts are taken over. */
function countTierLosses(registers: Registry[], sample: () => Samples): void {
  new Counter({
    name: 'halftone_cache_not_kept_total',
    help: 'Results that a tier threw out, refused or lost, by reason',
    labelNames: ['tier', 'reason'],
    registers,
    collect() {
      this.reset()
      for (const [tier, { evicted, dropped, corrupt, readErrors, writeErrors }] of Object.entries(sample().tiers)) {
        const losses = { evicted, dropped, corrupt, read_error: readErrors, write_error: writeErrors }
        for (const [reason, count] of Object.entries(losses)) this.inc({ tier, reason }, count)
      }
    },
  })
}
