import type { ModerationSubject } from '../../src/moderation/moderator.ts'

/** A private picture of no kind. */
export function moderationSubject(change: Partial<ModerationSubject> = {}): ModerationSubject {
  return {
    imageId: 'img_1',
    project: 'default',
    visibility: 'private',
    kind: undefined,
    sha256: '00'.repeat(32),
    perceptualHash: 'f0e1d2c3b4a59687',
    preview: Buffer.from('a small JPEG'),
    bytes: Buffer.from('the upload'),
    ...change,
  }
}
