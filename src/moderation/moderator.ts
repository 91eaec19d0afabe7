export type Verdict = {
  readonly tier: 'allow' | 'quarantine' | 'reject'
  /** One public word or sentence: `nudity`, `banned`, `virus`. */
  readonly reason: string | undefined
}

/** What a moderator is shown. Never the original, but for scanners of bytes. */
export type ModerationSubject = {
  readonly imageId: string
  readonly project: string
  readonly visibility: 'public' | 'private'
  readonly kind: string | undefined
  readonly sha256: string
  readonly perceptualHash: string
  /** A JPEG of at most 512 px a side. */
  readonly preview: Buffer
  /** The uploaded bytes; only scanners of bytes may use them. */
  readonly bytes: Buffer
}

/** Judges one picture. Throws when it cannot: what follows from that is the caller's policy. */
export interface Moderator {
  readonly name: string
  judge(subject: ModerationSubject, signal: AbortSignal): Promise<Verdict>
}
