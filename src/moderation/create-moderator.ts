import type { ModerationConfig } from '../config/config.ts'
import type { ModerationSubject, Moderator, Verdict } from './moderator.ts'

const tiers = ['allow', 'quarantine', 'reject'] as const

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
