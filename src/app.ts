import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDiskTier } from './cache/disk-tier.ts'
import { createMemoryTier } from './cache/memory-tier.ts'
import { createOriginalCache } from './cache/original-cache.ts'
import { createResultCache, type ResultCache } from './cache/result-cache.ts'
import type { Config } from './config/config.ts'
import { ownHostsOf } from './config/own-hosts.ts'
import { openDiskIndex } from './db/disk-index.ts'
import { wireDelivery } from './delivery/wire-delivery.ts'
import { createPages } from './http/create-pages.ts'
import { createServer } from './http/create-server.ts'
import { closeServer, listen, originOf, trackConnections } from './http/listen.ts'
import { createHealthRoutes, createMetricsRoutes } from './http/operations-routes.ts'
import { createPlaygroundRoutes } from './http/playground-routes.ts'
import { recordAnswer, recordApiAnswer, recordHot } from './http/record-answer.ts'
import { closeParts } from './lib/close-parts.ts'
import { createServer as createPlainServer } from './lib/node-http.ts'
import { createLogger, errorFields, type LineWriter, type Logger } from './observability/create-logger.ts'
import { createMetrics, type Samples } from './observability/metrics.ts'
import { createUrlSigner } from './signing/create-url-signer.ts'
import type { SourceEvent } from './sources/create-remote-source.ts'
import { createSources } from './sources/create-sources.ts'
import { refusedOrigins } from './sources/refused-origins.ts'
import { createHostResolver, type ResolveHost } from './sources/resolve-host.ts'
import { createRendererPool, type RendererPool } from './transform/executor/renderer-pool.ts'
import { describeParams } from './transform/params/describe-params.ts'
import type { Network, openUploads } from './uploads/open-uploads.ts'

export type App = {
  /** Starts listening; resolves to the origin under which clients on this machine reach it. */
  listen(): Promise<string>
  /** Stops accepting, drains what runs, then closes the parts from the outside in. Safe to call twice. */
  close(): Promise<void>
  /** The key that `listen` made because there was none: told here and never again. */
  readonly firstKey: string | undefined
}

export type AppOptions = {
  /** Paths the playground offers to begin with. */
  readonly samples?: readonly string[]
  readonly logger?: Logger & LineWriter
  /** In place of the system's resolver, for tests. */
  readonly resolveHost?: ResolveHost
}

// Fetching takes longer than any disk, so a slow read is worth waiting for; writing may lag behind by a few large originals.
const originalReadTimeoutMs = 5000
const maxPendingOriginalBytes = 128 * 1024 * 1024

// Beyond the time that is given to what runs: in all less than the 5 s that Kubernetes leaves by default.
const closingRoomMs = 2000
const metricsTimeoutMs = 200

/** What an operator should look at; the rest is only counted. */
const loudSourceEvents: ReadonlySet<SourceEvent> = new Set<SourceEvent>([
  'address_refused',
  'breaker_opened',
  'breaker_closed',
  'denied_as_absent',
])

/** The parts list: configuration in, wired parts out. Implementations are chosen here and nowhere else. */
export async function createApp(config: Config, options: AppOptions = {}): Promise<App> {
  const logger = options.logger ?? createLogger({ level: config.log.level })
  const rendererPool = createRendererPool({
    config: config.render,
    log: (level, event, fields) => logger[level](event, fields),
    onEvent: (event) => metrics.event('renderers', event),
  })
  const caches = openCaches(config, logger, (event) => metrics.event('cache', event))
  const via = `halftone-${randomBytes(6).toString('hex')}`
  const metrics = createMetrics(() => samplesOf(config, rendererPool, caches))
  const network: Network = {
    ownHosts: ownHostsOf(config),
    via,
    resolveHost: options.resolveHost ?? createHostResolver(),
  }
  let origin = ''
  let firstKey: string | undefined
  const shutdown = new AbortController()
  const writing =
    config.uploads &&
    (await openWriting(config, config.uploads, {
      ...{ rendererPool, logger, metrics, network },
      origin: () => config.server.publicUrl ?? origin,
    }).catch(async (error: unknown) => {
      // Nobody will close an app that never came to be, and its renderers would keep the process alive.
      await Promise.all([rendererPool.close(), caches.resultCache.close(), caches.originals.close()])
      throw error
    }))
  const signer = writing?.signer ?? createUrlSigner(config.signing)
  const sourceDeps = {
    ...network,
    store: caches.originals,
    fetching: config.fetching,
    onEvent: (event: SourceEvent, source: string, fields: Readonly<Record<string, string>>) => {
      metrics.event('sources', event)
      const hint = event === 'address_refused' ? { setting: 'HALFTONE_ALLOW_ADDRESSES' } : {}
      if (loudSourceEvents.has(event)) logger.warn(`source_${event}`, { source, ...fields, ...hint })
    },
  }
  const sources = createSources(config.sources, sourceDeps, writing?.uploads.source)
  const { deliverImage, hotLane } = wireDelivery(config, {
    ...{ sources, signer, rendererPool, logger, metrics },
    resultCache: caches.resultCache,
    peekResult: (key) => caches.memory.peek(key),
  })

  let closing: Promise<void> | undefined
  const operations = {
    notReadyBecause: () => [
      ...(closing ? ['closing'] : []),
      ...(rendererPool.stats().ready === 0 ? ['no_renderer'] : []),
    ],
    exposeMetrics: () => metrics.expose(),
  }
  const pageDeps = {
    delivery: config.delivery,
    trustedProxies: config.server.trustedProxies,
    onError: (error: Error) => logger.error('page_failed', errorFields(error)),
  }
  const metricsPort = config.server.metricsPort
  const pages = createPages(
    [
      createHealthRoutes(operations),
      ...(metricsPort === undefined ? [createMetricsRoutes(operations)] : []),
      createPlaygroundRoutes({
        directory: fileURLToPath(new URL('./playground/', import.meta.url)),
        describe: () => ({
          params: describeParams(),
          samples: options.samples ?? [],
          ...(config.server.publicUrl === undefined ? {} : { publicUrl: config.server.publicUrl }),
          presets: Object.keys(config.presets),
        }),
      }),
      ...(writing
        ? writing.createApi({
            ...writing,
            auth: config.auth,
            secretOf: (purpose) => writing.secrets.of(purpose),
            wakeDeliverer: () => writing.deliverer.wake(),
            requestTimeoutMs: config.server.requestTimeoutMs,
            closing: shutdown.signal,
            onAnswered: (answered) => recordApiAnswer(answered, logger, metrics),
            onError: (error) => logger.error('key_use_not_noted', { error: String(error) }),
            onOriginRefused: (refused) =>
              logger.warn('api_origin_refused', { origin: refused, setting: 'HALFTONE_API_ORIGINS' }),
          })
        : []),
    ],
    pageDeps,
  )
  const server = createServer({
    deliverImage,
    hotLane,
    hasHits: config.cache.hotEntries > 0,
    readStored: storedReader(caches.resultCache),
    onHot: (served) => recordHot(served, logger, metrics),
    pages,
    server: config.server,
    delivery: config.delivery,
    via,
    onAnswered: (answered) => recordAnswer(answered, logger, metrics),
    onSlowClientCut: () => metrics.event('connections', 'slow_client_cut'),
    onBroken: (error, raw) =>
      logger.error('request_failed', { requestId: raw?.id, code: 'internal', ...errorFields(error) }),
  })
  const metricsServer = createPlainServer(
    createPages([createHealthRoutes(operations), createMetricsRoutes(operations)], pageDeps),
  )

  const connections = trackConnections(server)
  const metricsConnections = trackConnections(metricsServer)

  async function closeAll(): Promise<void> {
    logger.info('closing')
    shutdown.abort()
    const { shutdownTimeoutMs } = config.server
    const { resultCache, originals } = caches
    const stages = [
      // What answers and what works by itself have the same time.
      { requests: () => closeServer(server, shutdownTimeoutMs, connections), work: () => writing?.drain() },
      { uploads: () => writing?.close(), renderers: () => rendererPool.close() },
      { results: () => resultCache.close() },
      { sources: () => sources.close() },
      { originals: () => originals.close() },
      // Last, so that the end can still be watched.
      { metrics: () => closeServer(metricsServer, metricsTimeoutMs, metricsConnections) },
    ]
    await closeParts(stages, {
      withinMs: shutdownTimeoutMs + closingRoomMs,
      onFailed: (part, error) => logger.error('close_failed', { part, error: String(error) }),
    })
    logger.info('closed')
    logger.flush()
  }
  return {
    async listen() {
      const { host } = config.server
      try {
        if (metricsPort !== undefined) await listen(metricsServer, { host, port: metricsPort })
        const { port } = await listen(server, config.server)
        origin = originOf(host, port)
        // Not before: a start that fails would keep a key whose secret nobody was told.
        firstKey = await writing?.ensureFirstKey()
        logger.info('listening', { host, port })
        for (const refused of refusedOrigins(config.sources))
          logger.warn('source_address_refused', { ...refused, setting: 'HALFTONE_ALLOW_ADDRESSES' })
        logger.flush()
        writing?.start()
        return origin
      } catch (error) {
        // Nobody will close an app that never ran, and its renderers would keep the process alive.
        await (closing ??= closeAll())
        throw error
      }
    },
    close: () => (closing ??= closeAll()),
    get firstKey() {
      return firstKey
    },
  }
}

/** Half of all the code: loaded only where it is used, and while the renderers start. */
async function openWriting(...given: Parameters<typeof openUploads>) {
  const [uploads, { createApi }] = await Promise.all([
    import('./uploads/open-uploads.ts'),
    import('./http/create-api.ts'),
  ])
  return { ...(await uploads.openUploads(...given)), createApi }
}

function openCaches(config: Config, log: Logger, onEvent: (event: string) => void) {
  const directory = join(config.dataDir, 'cache')
  const memory = createMemoryTier({ maxBytes: config.cache.memoryBytes })
  const index = openDiskIndex({ file: join(directory, 'index.sqlite'), log })
  const disk = createDiskTier({ directory: join(directory, 'entries'), maxBytes: config.cache.diskBytes, index, log })
  const resultCache = createResultCache({ tiers: [memory, disk], log, onEvent: (event) => onEvent(event.kind) })
  const originalTier = createDiskTier({
    directory: join(directory, 'originals'),
    maxBytes: config.cache.originalBytes,
    index: openDiskIndex({ file: join(directory, 'originals.sqlite'), log }),
    readTimeoutMs: originalReadTimeoutMs,
    maxPendingBytes: maxPendingOriginalBytes,
    log,
  })
  return { memory, disk, resultCache, originalTier, originals: createOriginalCache(originalTier) }
}

/** Nobody ends this wait: a tier gives up by its own deadline, long before a client does. */
function storedReader(resultCache: ResultCache) {
  const patience = new AbortController().signal
  return async (key: string) => {
    const found = await resultCache.get(key, patience)
    return found.hit ? { tier: found.tier, body: found.result.body } : undefined
  }
}

function samplesOf(config: Config, rendererPool: RendererPool, caches: ReturnType<typeof openCaches>): Samples {
  const pool = rendererPool.stats()
  return {
    renderersBusy: pool.running,
    renderersTotal: config.render.renderers,
    renderersReady: pool.ready,
    renderQueue: pool.queued,
    tiers: { memory: caches.memory.stats(), disk: caches.disk.stats(), originals: caches.originalTier.stats() },
  }
}
