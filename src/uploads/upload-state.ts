import type { UploadState } from '../db/records.ts'
import { AppError } from '../errors.ts'

/** What may follow what. State changes are compare-and-set against this table. */
export const nextStates: Readonly<Record<UploadState, readonly UploadState[]>> = {
  pending: ['uploaded', 'rejected', 'expired', 'deleted'],
  uploaded: ['processing', 'rejected', 'failed', 'deleted'],
  processing: ['processing', 'ready', 'quarantined', 'rejected', 'failed', 'deleted'],
  quarantined: ['ready', 'rejected', 'deleted'],
  ready: ['deleted'],
  rejected: [],
  failed: ['uploaded', 'deleted'],
  expired: [],
  deleted: [],
}

/** States from which `to` can be reached. */
export function statesBefore(to: UploadState): readonly UploadState[] {
  return (Object.keys(nextStates) as UploadState[]).filter((from) => nextStates[from].includes(to))
}

/** Nothing more happens by itself. */
export function isSettled(state: UploadState): boolean {
  return !['pending', 'uploaded', 'processing'].includes(state)
}

export function expiredUpload(): AppError {
  return new AppError('expired', { detail: 'The time for this upload is over; POST /v1/uploads begins a new one.' })
}
