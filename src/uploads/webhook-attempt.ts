import type { OutboxRecord } from '../db/records.ts'
import { AppError } from '../errors.ts'
import { signWebhook } from '../signing/webhook-signature.ts'

/** Posts through the guarded door: no special addresses but those that are allowed, no redirects. Throws `source_*`. */
export type PostMessage = (
  request: {
    readonly url: URL
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly maxBytes: number
  },
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly headers: Readonly<Record<string, string>> }>

export type Webhook = { readonly url: string; readonly secret: string }

export type AttemptOutcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'failed'; readonly error: string; readonly wishedMs: number }
  /** The receiver wants no more of it. */
  | { readonly kind: 'gone'; readonly error: string }

/** For operators, who alone can change it. */
export const refusedReceiver =
  'The host of the webhook has no address on the public internet. If it is your own, set HALFTONE_WEBHOOK_ALLOW_ADDRESSES to its address.'

// Answers mean nothing beyond their status.
const maxAnswerBytes = 64 * 1024

/** Sends a message once, signed for this moment. */
export async function attemptWebhook(
  message: OutboxRecord,
  { url, secret }: Webhook,
  { post, nowMs }: { readonly post: PostMessage; readonly nowMs: number },
  signal: AbortSignal,
): Promise<AttemptOutcome> {
  const body = bodyOf(message)
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'halftone',
    ...signWebhook(secret, { id: message.id, atMs: nowMs, body }),
  }
  try {
    return outcomeOf(await post({ url: new URL(url), headers, body, maxBytes: maxAnswerBytes }, signal))
  } catch (error) {
    // Taken in with a 2xx, and then said too much: it is delivered all the same.
    if (error instanceof AppError && error.code === 'source_too_large') return { kind: 'delivered' }
    return { kind: 'failed', error: textOf(error), wishedMs: 0 }
  }
}

/** The same bytes at every attempt: what happened, and when. */
function bodyOf({ type, payload, createdAtMs }: OutboxRecord): string {
  return JSON.stringify({ type, timestamp: new Date(createdAtMs).toISOString(), data: JSON.parse(payload) as unknown })
}

function outcomeOf({ status, headers }: Awaited<ReturnType<PostMessage>>): AttemptOutcome {
  if (status >= 200 && status < 300) return { kind: 'delivered' }
  const error = `answered ${status}`
  if (status === 410) return { kind: 'gone', error }
  const seconds = /^\d{1,9}$/.exec(headers['retry-after'] ?? '')?.[0] ?? '0'
  return { kind: 'failed', error, wishedMs: Number(seconds) * 1000 }
}

function textOf(error: unknown): string {
  if (error instanceof AppError && error.code === 'source_address_refused') return `${error.code}: ${refusedReceiver}`
  if (error instanceof AppError) return `${error.code}: ${error.message}`
  return error instanceof Error ? error.message : String(error)
}
