import type { ModerationConfig } from '../config/config.ts'
import { createBanListModerator, type BanListModeratorOptions } from './ban-list-moderator.ts'
import { createClamavScanner } from './clamav-scanner.ts'
import type { ModerationSubject, Moderator, Verdict } from './moderator.ts'
import { createWebhookModerator, type WebhookModeratorDeps } from './webhook-moderator.ts'

const tiers = ['allow', 'quarantine', 'reject'] as const

/** The moderators that are configured. Throws when the ban list cannot be read, with the lines that are wrong. */
export async function createModerators(
  config: Pick<ModerationConfig, 'webhook' | 'banListFile' | 'banDistance' | 'clamav'>,
  deps: WebhookModeratorDeps & Pick<BanListModeratorOptions, 'onUnreadable'>,
): Promise<readonly Moderator[]> {
  const { webhook, banListFile: file, banDistance: maxDistance, clamav } = config
  const { now, onUnreadable } = deps
  return [
    ...(file === undefined ? [] : [await createBanListModerator({ file, maxDistance, now, onUnreadable })]),
    ...(clamav ? [createClamavScanner(clamav)] : []),
    ...(webhook ? [createWebhookModerator(webhook, deps)] : []),
  ]
}

/**
 * All moderators behind one question: the strictest verdict counts. Never throws: a moderator that cannot be asked leaves public images
 * waiting for review, and private ones as configured.
 */
export function createModerate(
  moderators: readonly Moderator[],
  config: Pick<ModerationConfig, 'timeoutMs' | 'whenUnreachable'>,
  onFailed: (moderator: string, error: unknown) => void,
): (subject: ModerationSubject, signal: AbortSignal) => Promise<Verdict> {
  return async (subject, signal) => {
    const verdicts = await Promise.all(
      moderators.map(async (moderator): Promise<Verdict> => {
        try {
          return await moderator.judge(subject, AbortSignal.any([signal, AbortSignal.timeout(config.timeoutMs)]))
        } catch (error) {
          // The job is over: it is tried again, and not decided by its own end.
          if (signal.aborted) throw error
          onFailed(moderator.name, error)
          return whenSilent(subject, moderator, config)
        }
      }),
    )
    return verdicts.reduce(stricter, { tier: 'allow', reason: undefined })
  }
}

function whenSilent(
  { visibility }: ModerationSubject,
  { name }: Moderator,
  { whenUnreachable }: Pick<ModerationConfig, 'whenUnreachable'>,
): Verdict {
  return visibility === 'private' && whenUnreachable === 'allow-private'
    ? { tier: 'allow', reason: undefined }
    : { tier: 'quarantine', reason: `${name}_unreachable` }
}

function stricter(a: Verdict, b: Verdict): Verdict {
  return tiers.indexOf(b.tier) > tiers.indexOf(a.tier) ? b : a
}
