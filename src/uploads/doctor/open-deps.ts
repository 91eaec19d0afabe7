import { AppError } from '../../errors.ts'
import { createUploadChanges } from '../upload-changes.ts'
import type { UploadDeps } from '../upload-deps.ts'

/** The write path without its renderers, listeners and URLs: enough to look at what is there, and to put it right. */
export function depsForDoctor(
  parts: Pick<UploadDeps, 'config' | 'stores' | 'target' | 'queue' | 'log' | 'now'>,
): UploadDeps {
  const notHere = () => Promise.reject(new AppError('internal', { detail: 'Pictures are decoded by the server only.' }))
  return {
    ...parts,
    maxFrames: 1,
    // Confirming goes without the look into the header: the job looks closer anyway.
    examiner: { examine: notHere, probeHeader: notHere },
    moderate: notHere,
    changes: createUploadChanges(),
    urls: { ofVersion: (image) => image.id, ofNewest: (id) => id },
    origin: () => '',
    count: () => undefined,
  }
}
