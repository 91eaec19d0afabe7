import { Webhook } from 'standardwebhooks'

export type WebhookHeaders = {
  readonly 'webhook-id': string
  readonly 'webhook-timestamp': string
  readonly 'webhook-signature': string
}

/**
 * Headers of a message as Standard Webhooks 1.0 has them (`v1`, HMAC-SHA256). `atMs` is the time of this attempt, as receivers refuse
 * what is older than five minutes; the id stays the same over all attempts. `secret` is `whsec_` and base64, padded or not.
 */
export function signWebhook(
  secret: string,
  message: { readonly id: string; readonly atMs: number; readonly body: string },
): WebhookHeaders {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const signature = new Webhook(key, { format: 'raw' }).sign(message.id, new Date(message.atMs), message.body)
  return {
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(message.atMs / 1000)),
    'webhook-signature': signature,
  }
}
