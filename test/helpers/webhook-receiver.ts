import { Webhook } from 'standardwebhooks'
import { startOriginServer } from './http-origin-server.ts'

export type Received = {
  readonly id: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** undefined where the signature is wrong. */
  readonly verified:
    { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> } | undefined
}

export type WebhookReceiver = Awaited<ReturnType<typeof startWebhookReceiver>>

/** As `echo whsec_$(openssl rand -base64 32)` makes it. */
export const webhookSecret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

export type Reply = { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }

/** Takes signed messages and verifies them by the library of the specification; `reply` decides, `never` leaves the sender waiting. */
export async function startWebhookReceiver(reply: (received: Received, count: number) => Reply | 'never') {
  const received: Received[] = []
  const webhook = new Webhook(webhookSecret)
  let decide = reply
  const server = await startOriginServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const headers = request.headers as Record<string, string>
      const one = { id: headers['webhook-id'] ?? '', headers, body, verified: verify(webhook, body, headers) }
      received.push(one)
      const answer = decide(one, received.length)
      if (answer !== 'never') response.writeHead(answer.status, answer.headers).end(answer.body ?? '')
    })
  })
  return {
    url: `${server.url}/hook`,
    port: server.port,
    received,
    types: () => received.map(({ verified }) => verified?.type),
    decide: (next: typeof reply) => void (decide = next),
    close: () => server.close(),
  }
}

function verify(webhook: Webhook, body: string, headers: Record<string, string>): Received['verified'] {
  try {
    return webhook.verify(body, headers) as Received['verified']
  } catch {
    return undefined
  }
}
