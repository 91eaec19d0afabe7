import { z } from 'zod'
import type { Moderator, Verdict } from './moderator.ts'

/** Posts and gives the answer; follows no redirect. Throws when there is none in time. */
export type Post = (
  request: {
    readonly url: URL
    readonly headers: Readonly<Record<string, string>>
    readonly body: string
    readonly maxBytes: number
  },
  signal: AbortSignal,
) => Promise<{ readonly status: number; readonly body: Buffer }>

/** Headers that prove who wrote a body, as Standard Webhooks has them. */
export type SignMessage = (
  secret: string,
  message: { readonly id: string; readonly atMs: number; readonly body: string },
) => Readonly<Record<string, string>>

export type WebhookModeratorDeps = {
  readonly post: Post
  readonly sign: SignMessage
  readonly newId: () => string
  readonly now: () => number
}

const answerSchema = z.object({
  verdict: z.enum(['allow', 'quarantine', 'reject']),
  reason: z.string().min(1).max(200).optional(),
})
const maxAnswerBytes = 64 * 1024

/**
 * Asks a service of the operator's by `POST`: JSON with the preview in base64, never the original. An answer that is no verdict counts as
 * none: a page of a proxy with status 200 must not let a picture through.
 */
export function createWebhookModerator(
  config: { readonly url: string; readonly secret: string | undefined },
  { post, sign, newId, now }: WebhookModeratorDeps,
): Moderator {
  const url = new URL(config.url)
  return {
    name: 'webhook',
    async judge({ imageId, project, visibility, kind, sha256, perceptualHash, preview }, signal) {
      const facts = { imageId, project, visibility, kind: kind ?? null, sha256, perceptualHash }
      const body = JSON.stringify({
        ...facts,
        preview: { contentType: 'image/jpeg', base64: preview.toString('base64') },
      })
      const headers = {
        accept: 'application/json',
        'content-type': 'application/json',
        'user-agent': 'halftone',
        ...(config.secret === undefined ? {} : sign(config.secret, { id: newId(), atMs: now(), body })),
      }
      const answer = await post({ url, headers, body, maxBytes: maxAnswerBytes }, signal)
      if (answer.status !== 200) throw new Error(`the moderator answered ${answer.status}`)
      return readVerdict(answer.body.toString())
    },
  }
}

/** Throws with what was expected and what came, for whoever writes the service. */
function readVerdict(text: string): Verdict {
  const answer = answerSchema.safeParse(parseJson(text))
  if (answer.success) return { tier: answer.data.verdict, reason: answer.data.reason }
  const expected = '{"verdict": "allow", "quarantine" or "reject"}, with a "reason" of 1 to 200 characters or none'
  throw new Error(`the moderator gave no verdict: expected ${expected}, got ${JSON.stringify(text.slice(0, 100))}`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
