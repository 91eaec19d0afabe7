import type { UploadsConfig } from '../config/config.ts'
import type { WebhookStore } from '../db/stores.ts'
import type { ResolveHost } from '../sources/resolve-host.ts'
import { refusedWebhooks } from './refused-webhooks.ts'
import type { UploadDeps } from './upload-deps.ts'
import { refusedReceiver } from './webhook-attempt.ts'
import { disabledEndpoints } from './webhook-endpoint.ts'

/** Tells at the start which webhooks will get nothing, and why. Never throws: a server starts without knowing, too. */
export async function warnOfWebhooks(
  settings: Pick<UploadsConfig, 'projects' | 'outgoing'>,
  {
    webhooks,
    resolveHost,
    log,
  }: { readonly webhooks: WebhookStore; readonly resolveHost: ResolveHost; readonly log: UploadDeps['log'] },
): Promise<void> {
  const disabled = await disabledEndpoints(settings, webhooks).catch((error: unknown) => {
    log('warn', 'webhooks_not_looked_up', { error: String(error) })
    return []
  })
  for (const { project, reason, atMs } of disabled)
    log('warn', 'webhook_disabled', { project, error: reason, since: new Date(atMs).toISOString() })
  for (const host of await refusedWebhooks(settings, resolveHost))
    log('warn', 'webhook_address_refused', { host, error: refusedReceiver })
}
