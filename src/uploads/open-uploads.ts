import { ensureFirstKey } from '../auth/issue-api-key.ts'
import type { Config, UploadsConfig } from '../config/config.ts'
import { openStores } from '../db/open-stores.ts'
import { createJobQueue } from '../jobs/create-job-queue.ts'
import { newId } from '../lib/new-id.ts'
import { createModerate, createModerators } from '../moderation/create-moderator.ts'
import type { Logger } from '../observability/create-logger.ts'
import type { Metrics } from '../observability/metrics.ts'
import { createUrlSigner } from '../signing/create-url-signer.ts'
import { signWebhook } from '../signing/webhook-signature.ts'
import { parseBlocks } from '../sources/address-guard.ts'
import { fetchAsNamed } from '../sources/fetch-as-named.ts'
import { fetchFrom } from '../sources/fetch-from.ts'
import { createGuardedClient } from '../sources/guarded-client.ts'
import type { ResolveHost } from '../sources/resolve-host.ts'
import type { RendererPool } from '../transform/executor/renderer-pool.ts'
import { announceMessages } from './announce-messages.ts'
import { createUploads, openServerSecrets, urlKeys } from './create-uploads.ts'
import { createMessageDeliverer } from './deliver-messages.ts'
import { createUploadTarget } from './targets/create-upload-target.ts'
import type { UploadDeps } from './upload-deps.ts'
import { warnOfWebhooks } from './warn-of-webhooks.ts'
import { disabledEndpoints } from './webhook-endpoint.ts'

// To one host, for imports and webhooks.
const outgoingConnections = 8

/** How this process reaches others, and how they know it. */
export type Network = {
  readonly ownHosts: readonly string[]
  readonly via: string
  readonly resolveHost: ResolveHost
}

/** The write path with everything it stands on: database, queue, target, moderators, the door to the network. */
export async function openUploads(
  config: Config,
  settings: UploadsConfig,
  parts: {
    readonly rendererPool: RendererPool
    readonly logger: Logger
    readonly metrics: Metrics
    readonly network: Network
    readonly origin: () => string
  },
) {
  const { rendererPool, logger, metrics, network, origin } = parts
  const opened = await openStores({ ...config.database, log: logger })
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
  metrics.watchBacklog({
    jobs: () => stores.jobs.stats(),
    messages: () => stores.outbox.stats(),
    webhooks: async () => ({ disabled: (await disabledEndpoints(settings, stores.webhooks)).length }),
  })
  const deliverer = createMessageDeliverer({
    ...{ outbox: stores.outbox, webhooks: stores.webhooks, config: settings, drainMs, log, count, now: Date.now },
    post: (request, signal) => clients.webhooks.post(request, signal),
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
  return {
    ...{ uploads, signer, secrets, deliverer },
    /** Of the disk target, which takes its bytes at this server. */
    door: created.kind === 'disk' ? created.target.door : undefined,
    fetchOriginal: fetchFrom(clients.guarded),
    fetchKeySet: fetchAsNamed(clients.keys),
    deadJobs: queue,
    ensureFirstKey: () => ensureFirstKey(stores.apiKeys, config.auth, Date.now()),
    start() {
      void warnOfWebhooks(settings, { webhooks: stores.webhooks, resolveHost: network.resolveHost, log })
      uploads.start()
      deliverer.start()
    },
    /** What runs by itself; `close` is what that stands on. */
    async drain() {
      await Promise.all([deliverer.close(), uploads.drain()])
    },
    async close() {
      await Promise.all([uploads, ...Object.values(clients)].map((part) => part.close()))
    },
  }
}

/**
 * The doors to the network. What users name goes through the guarded one; webhooks likewise, to what is allowed for them. The moderator and the provider of keys are named by the operator
 * alone, and stand next door as a rule, so that loopback and private addresses are right; neither is sent to another place by a redirect.
 */
function openClients({ outgoing, moderation }: UploadsConfig, network: Network, onRefused: () => void) {
  const { timeoutMs } = moderation
  const patience = { firstByteTimeoutMs: timeoutMs, idleTimeoutMs: timeoutMs, totalTimeoutMs: timeoutMs }
  const common = { ...network, ownHosts: new Set(network.ownHosts), connections: outgoingConnections, onRefused }
  const { limits, allowAddresses, webhookAddresses } = outgoing
  const everywhere = parseBlocks(['0.0.0.0/0', '::/0'])
  return {
    guarded: createGuardedClient({ ...common, limits, allowed: parseBlocks(allowAddresses) }),
    webhooks: createGuardedClient({ ...common, limits, allowed: parseBlocks(webhookAddresses) }),
    operators: createGuardedClient({ ...common, limits: { ...limits, ...patience }, allowed: everywhere }),
    // Behind one proxy the provider may have the very host name of this server, which publishes no keys that it could loop on.
    keys: createGuardedClient({
      ...{ ...common, ownHosts: new Set(), allowed: everywhere },
      limits: { ...limits, maxRedirects: 0 },
    }),
  }
}
