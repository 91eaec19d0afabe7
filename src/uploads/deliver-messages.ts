import { setTimeout as sleep } from 'node:timers/promises'
import type { UploadsConfig } from '../config/config.ts'
import type { OutboxRecord } from '../db/records.ts'
import type { OutboxStore, WebhookStore } from '../db/stores.ts'
import { withDeadline } from '../lib/deadline.ts'
import { projectOf } from './access.ts'
import type { UploadDeps } from './upload-deps.ts'
import { attemptWebhook, type AttemptOutcome, type PostMessage } from './webhook-attempt.ts'
import { disabledEndpoint, disableEndpoint } from './webhook-endpoint.ts'
import { retryPauseMs } from './webhook-schedule.ts'

export type MessageDelivererDeps = Pick<UploadDeps, 'log' | 'count' | 'now'> & {
  readonly outbox: OutboxStore
  readonly webhooks: WebhookStore
  readonly config: Pick<UploadsConfig, 'projects'>
  readonly post: PostMessage
  /** How long `close` waits for attempts that run. */
  readonly drainMs: number
  readonly random?: () => number
  readonly timing?: Partial<DeliveryTiming>
}

export type DeliveryTiming = typeof shippedTiming

/** Tells projects by their webhooks what became of uploads: at least once, each with an id that receivers can know it by. */
export interface MessageDeliverer {
  start(): void
  /** A message may have been written. */
  wake(): void
  close(): Promise<void>
}

// Requests are small, and most of their time is spent waiting for the receiver; one that is slow leaves room for those of other projects.
const concurrency = 64
const projectConcurrency = 16
const shippedTiming = {
  /** Standard Webhooks: 15 to 30 seconds. */
  attemptMs: 15_000,
  /** A message whose process was killed is tried again after it. */
  leaseMs: 20_000,
  /** For messages whose time has come, and those that other processes wrote. */
  pollMs: 1000,
  keepDeliveredMs: 7 * 24 * 3600 * 1000,
  forgetEveryMs: 3600 * 1000,
}

export function createMessageDeliverer(deps: MessageDelivererDeps): MessageDeliverer {
  const { outbox, now, log } = deps
  const timing = { ...shippedTiming, ...deps.timing }
  const stop = new AbortController()
  const running = new Map<Promise<void>, string>()
  let [isClosed, forgottenAtMs] = [false, 0]
  let wakeUp = () => {}
  let pump: Promise<void> | undefined

  const start = (message: OutboxRecord) => {
    const work = deliverMessage(message, { ...deps, attemptMs: timing.attemptMs }, stop.signal)
      .catch((error: unknown) => log('warn', 'message_not_settled', { message: message.id, error: String(error) }))
      .finally(() => {
        running.delete(work)
        wakeUp()
      })
    running.set(work, message.project)
  }
  const takeDue = async () => {
    while (!isClosed && running.size < concurrency) {
      const { room, full } = roomBeside([...running.values()])
      const due = await outbox.take(room, now(), timing.leaseMs, full)
      due.forEach(start)
      if (due.length === 0) break
    }
    if (isClosed || now() - forgottenAtMs < timing.forgetEveryMs) return
    forgottenAtMs = now()
    await outbox.forgetDelivered(now() - timing.keepDeliveredMs)
  }
  const pumpMessages = async () => {
    while (!isClosed) {
      // Before the look: what is written while it runs must not be slept over.
      const woken = new Promise<void>((resolve) => (wakeUp = resolve))
      await takeDue().catch((error: unknown) => log('warn', 'outbox_failed', { error: String(error) }))
      const pause = new AbortController()
      await Promise.race([woken, sleep(timing.pollMs, undefined, { signal: pause.signal }).catch(() => undefined)])
      pause.abort()
    }
  }
  return {
    start: () => void (pump ??= pumpMessages()),
    wake: () => wakeUp(),
    async close() {
      isClosed = true
      wakeUp()
      await pump
      const drained = Promise.all(running.keys())
      await Promise.race([drained, sleep(deps.drainMs, undefined, { ref: false })])
      stop.abort(new Error('the server is shutting down'))
      await drained
    },
  }
}

/** How many more may run, should all be of one project, and the projects of which none may. */
function roomBeside(projects: readonly string[]): { readonly room: number; readonly full: readonly string[] } {
  const counts = new Map<string, number>()
  for (const project of projects) counts.set(project, (counts.get(project) ?? 0) + 1)
  const open = [...counts].filter(([, count]) => count < projectConcurrency)
  const full = [...counts.keys()].filter((project) => !open.some(([name]) => name === project))
  const most = Math.max(0, ...open.map(([, count]) => count))
  return { room: Math.min(concurrency - projects.length, projectConcurrency - most), full }
}

/** One attempt, and what follows from it. */
async function deliverMessage(
  message: OutboxRecord,
  deps: MessageDelivererDeps & Pick<DeliveryTiming, 'attemptMs'>,
  stopped: AbortSignal,
): Promise<void> {
  const { outbox, now, count, log } = deps
  const outcome = await attempt(message, deps, stopped)
  if (outcome.kind === 'delivered') {
    await outbox.delivered(message.id, now())
    return count('message_delivered')
  }
  const pauseMs = pauseAfter(outcome, message, { isStopped: stopped.aborted, random: deps.random ?? Math.random })
  const event = pauseMs === undefined ? 'message_dead' : 'message_failed'
  await outbox.failed(message.id, outcome.error.slice(0, 1000), pauseMs === undefined ? undefined : now() + pauseMs)
  count(event)
  const { id, project, type, attempts } = message
  log('warn', event, { message: id, project, type, attempts, error: outcome.error })
}

/** What a receiver that is gone was to be told is kept as dead, to be replayed once there is another. */
async function attempt(
  message: OutboxRecord,
  deps: MessageDelivererDeps & Pick<DeliveryTiming, 'attemptMs'>,
  stopped: AbortSignal,
): Promise<AttemptOutcome> {
  const { webhooks, config, post, now } = deps
  const { project } = message
  const { webhook } = projectOf(config, project)
  if (!webhook) return { kind: 'gone', error: 'the project has no webhook any more' }
  const disabled = await disabledEndpoint(project, webhook, webhooks)
  if (disabled) return { kind: 'gone', error: `not sent: the webhook is disabled, as it ${disabled.reason}` }
  const within = withDeadline(stopped, deps.attemptMs)
  const outcome = await attemptWebhook(message, webhook, { post, nowMs: now() }, within)
  if (outcome.kind === 'gone') await disableEndpoint(project, webhook, outcome.error, deps)
  return outcome
}

function pauseAfter(
  outcome: Exclude<AttemptOutcome, { kind: 'delivered' }>,
  { attempts }: OutboxRecord,
  { isStopped, random }: { readonly isStopped: boolean; readonly random: () => number },
): number | undefined {
  // Broken off by us: it is the first thing to do after the next start.
  if (isStopped) return 0
  return outcome.kind === 'gone' ? undefined : retryPauseMs(attempts, outcome.wishedMs, random())
}
