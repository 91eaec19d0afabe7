import { createHash } from 'node:crypto'
import type { UploadsConfig } from '../config/config.ts'
import type { DisabledWebhook } from '../db/records.ts'
import type { WebhookStore } from '../db/stores.ts'
import { projectOf } from './access.ts'
import type { UploadDeps } from './upload-deps.ts'
import type { Webhook } from './webhook-attempt.ts'

type EndpointDeps = Pick<UploadDeps, 'log' | 'count' | 'now'> & { readonly webhooks: WebhookStore }

/** Names a configured webhook without telling it: another URL or secret is another endpoint. */
function endpointOf({ url, secret }: Webhook): string {
  return createHash('sha256')
    .update(JSON.stringify([url, secret]))
    .digest('hex')
}

/** That this very endpoint was disabled; undefined while messages go to it. */
export async function disabledEndpoint(
  project: string,
  webhook: Webhook,
  webhooks: WebhookStore,
): Promise<DisabledWebhook | undefined> {
  const found = await webhooks.disabled(project)
  return found?.endpoint === endpointOf(webhook) ? found : undefined
}

/** Nothing more is sent to it (Standard Webhooks: 410 Gone), until the configuration changes or somebody replays. */
export async function disableEndpoint(
  project: string,
  webhook: Webhook,
  reason: string,
  { webhooks, log, count, now }: EndpointDeps,
): Promise<void> {
  const isNew = await webhooks.disable({ project, endpoint: endpointOf(webhook), reason, atMs: now() })
  if (!isNew) return
  count('webhook_disabled')
  log('warn', 'webhook_disabled', { project, host: new URL(webhook.url).host, error: reason, mend })
}

const mend =
  'Set another HALFTONE_WEBHOOK_URL (or webhook of the project), or replay a message: POST /v1/messages/replay.'

/** What becomes of the messages of a project, for those who look at them. */
export type WebhookDocument =
  | { readonly state: 'none' | 'enabled' }
  | { readonly state: 'disabled'; readonly since: string; readonly reason: string }

export async function describeWebhook(
  project: string,
  config: Pick<UploadsConfig, 'projects'>,
  webhooks: WebhookStore,
): Promise<WebhookDocument> {
  const { webhook } = projectOf(config, project)
  if (!webhook) return { state: 'none' }
  const disabled = await disabledEndpoint(project, webhook, webhooks)
  return disabled
    ? { state: 'disabled', since: new Date(disabled.atMs).toISOString(), reason: disabled.reason }
    : { state: 'enabled' }
}

/** Those that are configured as they were when they were disabled. */
export async function disabledEndpoints(
  config: Pick<UploadsConfig, 'projects'>,
  webhooks: WebhookStore,
): Promise<readonly DisabledWebhook[]> {
  return (await webhooks.list()).filter(({ project, endpoint }) => {
    const webhook = Object.hasOwn(config.projects, project) ? config.projects[project]?.webhook : undefined
    return webhook !== undefined && endpointOf(webhook) === endpoint
  })
}
