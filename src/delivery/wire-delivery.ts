import type { ResultCache } from '../cache/result-cache.ts'
import type { CachedResult } from '../cache/cached-result.ts'
import type { Config } from '../config/config.ts'
import { longestFetchMs } from '../config/longest-fetch.ts'
import { errorFields, type Logger } from '../observability/create-logger.ts'
import type { Metrics } from '../observability/metrics.ts'
import type { TargetSigner } from '../signing/create-url-signer.ts'
import type { SourceDirectory } from '../sources/create-sources.ts'
import { createSourceState } from '../sources/source-state.ts'
import { encoderEpoch } from '../transform/executor/encoder-epoch.ts'
import type { RendererPool } from '../transform/executor/renderer-pool.ts'
import { createDeliverImage, type DeliverImage } from './deliver-image.ts'
import { createFailureMemory } from './failure-memory.ts'
import { createHotLane, type HotLane } from './hot-lane.ts'
import { createOriginalBudget } from './original-budget.ts'
import { createSlowSources } from './slow-sources.ts'

// Failures of originals are remembered per variant; beyond this many the oldest is forgotten, which costs one render.
const maxRememberedFailures = 10_000

/** The read path, wired. */
export function wireDelivery(
  config: Config,
  parts: {
    readonly sources: SourceDirectory
    readonly signer: TargetSigner
    readonly rendererPool: RendererPool
    readonly resultCache: ResultCache
    readonly peekResult: (key: string) => CachedResult | undefined
    readonly logger: Logger
    readonly metrics: Metrics
  },
): { readonly deliverImage: DeliverImage; readonly hotLane: HotLane } {
  const { sources, signer, rendererPool, resultCache, peekResult, logger, metrics } = parts
  const sourceState = createSourceState({
    ttlMs: config.cache.sourceStateSeconds * 1000,
    maxEntries: config.sourceStateEntries,
    timeoutMs: longestFetchMs(config),
  })
  const hotLane = createHotLane({
    maxEntries: config.cache.hotEntries,
    hostMatters: config.sources.some((source) => source.host !== undefined),
    peekResult,
    stateFreshUntilMs: (source, path) => sourceState.freshUntilMs(source, path),
  })
  const deliverImage = createDeliverImage({
    hotLane,
    resolveSource: (host, path) => sources.resolve(host, path),
    verifyTarget: (target, nowMs) => signer.verifyTarget(target, nowMs),
    presets: config.presets,
    maxTargetLength: config.server.maxTargetLength,
    rendererPool,
    planLimits: config.render,
    sourceTimeoutMs: longestFetchMs(config),
    onRendered: ({ format, timings }) =>
      metrics.render({
        format,
        queueSeconds: timings.queueMs / 1000,
        renderSeconds: (timings.probeMs + timings.renderMs) / 1000,
      }),
    onRenderFailed: (code) => metrics.event('renders', code),
    originalBudget: createOriginalBudget(config.originalsInFlightBytes),
    slowSources: createSlowSources({
      nowMs: () => performance.now(),
      onSlow: (source) => {
        metrics.event('sources', 'slow')
        logger.warn('source_slow', { source })
      },
    }),
    stateOf: (source, path, signal) => sourceState.get(source, path, signal),
    forgetState: (source, path) => sourceState.forget(source, path),
    resultCache,
    failureMemory: createFailureMemory({
      ttlMs: config.delivery.errorMaxAgeSeconds * 1000,
      maxEntries: maxRememberedFailures,
    }),
    delivery: config.delivery,
    epoch: config.cache.epoch,
    encoderEpoch: encoderEpoch(config.render),
    onError: (error, raw) => {
      // What a client did wrong is in the request line already; what we or a source did wrong needs its cause.
      // Shedding is no failure, and must not write more the harder it is pressed.
      if (error.status >= 500 && error.status !== 503)
        logger.error('request_failed', { requestId: raw.id, code: error.code, ...errorFields(error) })
    },
    now: Date.now,
  })
  return { deliverImage, hotLane }
}
