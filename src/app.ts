import { randomBytes } from 'node:crypto'
import { createServer as createPlainServer } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDiskTier } from './cache/disk-tier.ts'
import { createMemoryTier } from './cache/memory-tier.ts'
import { createOriginalCache } from './cache/original-cache.ts'
import { createResultCache, type ResultCache } from './cache/result-cache.ts'
import { ensureFirstKey } from './auth/issue-api-key.ts'
import type { Config, UploadsConfig } from './config/config.ts'
import { databaseFileOf } from './config/database-file.ts'
import { ownHostsOf } from './config/own-hosts.ts'
import { openDiskIndex } from './db/disk-index.ts'
import { openStores } from './db/open-stores.ts'
import { wireDelivery } from './delivery/wire-delivery.ts'
import { createApi } from './http/create-api.ts'
import { createPages } from './http/create-pages.ts'
import { createServer } from './http/create-server.ts'
import { closeServer, listen, originOf, trackConnections } from './http/listen.ts'
import { createHealthRoutes, createMetricsRoutes } from './http/operations-routes.ts'
import { createPlaygroundRoutes } from './http/playground-routes.ts'
import { recordAnswer, recordApiAnswer, recordHot } from './http/record-answer.ts'
import { createJobQueue } from './jobs/create-job-queue.ts'
import { createModerate, createModerators } from './moderation/create-moderator.ts'
import { newId } from './lib/new-id.ts'
import { createLogger, errorFields, type LineWriter, type Logger } from './observability/create-logger.ts'
import { createMetrics, type Metrics, type Samples } from './observability/metrics.ts'
import { createUrlSigner } from './signing/create-url-signer.ts'
import { signWebhook } from './signing/webhook-signature.ts'
import { parseBlocks } from './sources/address-guard.ts'
import type { SourceEvent } from './sources/create-remote-source.ts'
import { createSources } from './sources/create-sources.ts'
import { fetchFrom } from './sources/fetch-from.ts'
import { createGuardedClient } from './sources/guarded-client.ts'
import { createHostResolver, type ResolveHost } from './sources/resolve-host.ts'
import { createRendererPool, type RendererPool } from './transform/executor/renderer-pool.ts'
import { describeParams } from './transform/params/describe-params.ts'
import { announceMessages } from './uploads/announce-messages.ts'
import { createUploads, openServerSecrets, urlKeys } from './uploads/create-uploads.ts'
import { createMessageDeliverer } from './uploads/deliver-messages.ts'
import { createUploadTarget } from './uploads/targets/create-upload-target.ts'
import type { UploadDeps } from './uploads/upload-deps.ts'

export type App = {
  /** Starts listening; resolves to the origin under which clients on this machine reach it. */
  listen(): Promise<string>
  /** Stops accepting, drains what runs, then closes the parts from the outside in. Safe to call twice. */
  close(): Promise<void>
  /** The key that was made because there was none: told here and never again. */
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

// To one host, for imports and webhooks.
const outgoingConnections = 8

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
  const shutdown = new AbortController()
  const writing =
    config.uploads &&
    (await openUploads(config, config.uploads, {
      ...{ rendererPool, logger, metrics, network },
      origin: () => config.server.publicUrl ?? origin,
      closing: shutdown.signal,
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
      if (loudSourceEvents.has(event)) logger.warn(`source_${event}`, { source, ...fields })
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
      ...(writing?.api ?? []),
    ],
    pageDeps,
  )
  const server = createServer({
    deliverImage,
    hotLane,
    readStored: storedReader(caches.resultCache),
    onHot: (served) => recordHot(served, logger, metrics),
    pages,
    server: config.server,
    delivery: config.delivery,
    via,
    onAnswered: (answered) => recordAnswer(answered, logger, metrics),
    onBroken: (error, raw) =>
      logger.error('request_failed', { requestId: raw.id, code: 'internal', ...errorFields(error) }),
  })
  const metricsServer = createPlainServer(
    createPages([createHealthRoutes(operations), createMetricsRoutes(operations)], pageDeps),
  )

  const connections = trackConnections(server)
  const metricsConnections = trackConnections(metricsServer)

  async function closeParts(): Promise<void> {
    logger.info('closing')
    shutdown.abort()
    await closeServer(server, config.server.shutdownTimeoutMs, connections)
    await writing?.close()
    await rendererPool.close()
    await caches.resultCache.close()
    await sources.close()
    await caches.originals.close()
    // Last, so that the end can still be watched.
    await closeServer(metricsServer, config.server.shutdownTimeoutMs, metricsConnections)
    logger.info('closed')
    logger.flush()
  }
  return {
    async listen() {
      const { host } = config.server
      try {
        if (metricsPort !== undefined) await listen(metricsServer, { host, port: metricsPort })
        const { port } = await listen(server, config.server)
        logger.info('listening', { host, port })
        logger.flush()
        origin = originOf(host, port)
        writing?.start()
        return origin
      } catch (error) {
        // Nobody will close an app that never ran, and its renderers would keep the process alive.
        await (closing ??= closeParts())
        throw error
      }
    },
    close: () => (closing ??= closeParts()),
    firstKey: writing?.firstKey,
  }
}

/** How this process reaches others, and how they know it. */
type Network = { readonly ownHosts: readonly string[]; readonly via: string; readonly resolveHost: ResolveHost }

/** The write path with everything it stands on: database, queue, target, moderators, the door to the network. */
async function openUploads(
  config: Config,
  settings: UploadsConfig,
  parts: {
    readonly rendererPool: RendererPool
    readonly logger: Logger
    readonly metrics: Metrics
    readonly network: Network
    readonly origin: () => string
    readonly closing: AbortSignal
  },
) {
  const { rendererPool, logger, metrics, network, origin } = parts
  const opened = await openStores({ file: databaseFileOf(config) })
  // Written messages wake the deliverer, which reads them from the very stores that wake it.
  const stores = announceMessages(opened, () => deliverer.wake())
  const secrets = await openServerSecrets(stores)
  const signer = createUrlSigner(urlKeys(config, secrets))
  const log: UploadDeps['log'] = (level, event, fields) => logger[level](event, { ...fields })
  const created = createUploadTarget(settings.target, {
    ...{ publicOrigin: origin, now: Date.now },
    secret: Buffer.from(secrets.of('blob-permissions')).toString('hex'),
    timeoutMs: settings.targetTimeoutMs,
  })
  const count = (event: string) => metrics.event('uploads', event)
  const clients = openClients(settings, network, () => count('address_refused'))
  const moderators = await createModerators(settings.moderation, {
    ...{ sign: signWebhook, now: Date.now, newId: () => newId('ask') },
    post: (request, signal) => clients.operators.post(request, signal),
    onUnreadable: (error) => logger.error('ban_list_unreadable', { error: String(error) }),
  })
  const drainMs = config.server.shutdownTimeoutMs
  const queue = createJobQueue({ table: stores.jobs, config: settings, drainMs, log: logger })
  const deliverer = createMessageDeliverer({
    ...{ outbox: stores.outbox, config: settings, drainMs, log, count, now: Date.now },
    post: (request, signal) => clients.guarded.post(request, signal),
  })
  const uploads = createUploads(settings, {
    ...{ stores, secrets, origin, log, queue, count },
    target: created.target,
    examiner: rendererPool,
    maxFrames: config.render.maxFrames,
    moderate: createModerate(moderators, settings.moderation, (moderator, error) =>
      logger.warn('moderator_failed', { moderator, error: String(error) }),
    ),
    sign: (target, options) => signer.sign(target, { ...options, scheme: 'native' }),
    policy: {
      variants: { kind: 'exact' },
      staleWhileRevalidateSeconds: 0,
      maxBytes: Math.max(...Object.values(settings.projects).map((project) => project.maxBytes)),
    },
    now: Date.now,
  })
  const api = createApi({
    ...{ auth: config.auth, uploads, secretOf: (purpose: string) => secrets.of(purpose) },
    door: created.kind === 'disk' ? created.target.door : undefined,
    fetchOriginal: fetchFrom(clients.guarded),
    deadJobs: queue,
    wakeDeliverer: () => deliverer.wake(),
    requestTimeoutMs: config.server.requestTimeoutMs,
    closing: parts.closing,
    onAnswered: (answered) => recordApiAnswer(answered, logger, metrics),
    onError: (error) => logger.error('key_use_not_noted', { error: String(error) }),
  })
  return {
    ...{ uploads, signer, api },
    firstKey: await ensureFirstKey(stores.apiKeys, config.auth, Date.now()),
    start() {
      uploads.start()
      deliverer.start()
    },
    async close() {
      await deliverer.close()
      await uploads.close()
      await Promise.all([clients.guarded.close(), clients.operators.close()])
    },
  }
}

/**
 * Two doors to the network. What users or projects name goes through the guarded one. The moderator is named by the operator alone, and stands next
 * door as a rule, so that loopback and private addresses are right; it is still sent to no other place by a redirect.
 */
function openClients({ outgoing, moderation }: UploadsConfig, network: Network, onRefused: () => void) {
  const { timeoutMs } = moderation
  const patience = { firstByteTimeoutMs: timeoutMs, idleTimeoutMs: timeoutMs, totalTimeoutMs: timeoutMs }
  const common = { ...network, ownHosts: new Set(network.ownHosts), connections: outgoingConnections, onRefused }
  const { limits, allowAddresses } = outgoing
  return {
    guarded: createGuardedClient({ ...common, limits, allowed: parseBlocks(allowAddresses) }),
    operators: createGuardedClient({
      ...{ ...common, limits: { ...limits, ...patience } },
      allowed: parseBlocks(['0.0.0.0/0', '::/0']),
    }),
  }
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
