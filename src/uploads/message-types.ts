/** Everything that a webhook is told of. */
export const messageTypes = [
  'upload.ready',
  'upload.quarantined',
  'upload.rejected',
  'upload.failed',
  'upload.expired',
  'upload.deleted',
  'image.updated',
  'image.approved',
  'image.rejected',
  'image.deleted',
] as const

export type MessageType = (typeof messageTypes)[number]
