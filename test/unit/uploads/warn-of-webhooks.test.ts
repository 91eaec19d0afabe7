import { expect, onTestFinished, test } from 'vitest'
import { openStores } from '../../../src/db/open-stores.ts'
import type { WebhookStore } from '../../../src/db/stores.ts'
import { warnOfWebhooks } from '../../../src/uploads/warn-of-webhooks.ts'
import { disableEndpoint } from '../../../src/uploads/webhook-endpoint.ts'
import { webhookSecret } from '../../helpers/webhook-receiver.ts'

const webhook = { url: 'https://app.example/hook', secret: webhookSecret }

async function openWebhooks(): Promise<WebhookStore> {
  const stores = await openStores({ file: ':memory:' })
  onTestFinished(() => stores.close())
  const deps = { webhooks: stores.webhooks, log: () => undefined, count: () => undefined, now: () => 1_000 }
  await disableEndpoint('gone', webhook, 'answered 410', deps)
  return stores.webhooks
}

/** What a start says of webhooks of these projects. */
async function warned(webhooks: WebhookStore, projects: Readonly<Record<string, typeof webhook>>) {
  const lines: unknown[] = []
  await warnOfWebhooks(
    {
      projects: Object.fromEntries(Object.entries(projects).map(([name, one]) => [name, { webhook: one } as never])),
      outgoing: { webhookAddresses: [] } as never,
    },
    {
      webhooks,
      resolveHost: (host) =>
        Promise.resolve([{ address: host === 'inside' ? '10.0.0.1' : '93.184.216.34', family: 4 }]),
      log: (level, event, fields) => void lines.push([level, event, fields]),
    },
  )
  return lines
}

test('a webhook that was disabled is told of at every start, until it is configured otherwise', async () => {
  const webhooks = await openWebhooks()
  const line = [
    'warn',
    'webhook_disabled',
    { project: 'gone', error: 'answered 410', since: '1970-01-01T00:00:01.000Z' },
  ]
  expect(await warned(webhooks, { gone: webhook, other: webhook })).toEqual([line])
  expect(await warned(webhooks, { gone: { ...webhook, url: 'https://app.example/new' } })).toEqual([])
  expect(await warned(webhooks, { other: webhook })).toEqual([])
})

test('a database that does not answer is told of, and hides nothing else', async () => {
  const webhooks = await openWebhooks()
  const broken = { ...webhooks, list: () => Promise.reject(new Error('locked')) }
  expect(await warned(broken, { gone: { ...webhook, url: 'https://inside/hook' } })).toMatchObject([
    ['warn', 'webhooks_not_looked_up', { error: 'Error: locked' }],
    ['warn', 'webhook_address_refused', { host: 'inside' }],
  ])
})
