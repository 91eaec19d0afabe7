/* A process that makes, moves, finishes and removes uploads until it is killed, and says what was confirmed to it: argv file. */
import { writeSync } from 'node:fs'
import { openStores } from '../../src/db/open-stores.ts'
import { newId } from '../../src/lib/new-id.ts'
import { facts, newUpload, owner, unbounded } from '../helpers/store-records.ts'

const stores = await openStores({ file: process.argv[2] ?? '' })
// Straight to the pipe: what a buffer still held would look as if it had never been confirmed.
const tell = (...words: readonly string[]) => void writeSync(1, `${words.join(' ')}\n`)
tell('started')

async function uploadOne(n: number): Promise<void> {
  const { upload } = await stores.uploads.create(newUpload(), { quota: unbounded })
  tell('upload', upload.id, 'pending')
  if (n % 7 === 3) {
    await stores.uploads.end(upload.id, ['pending'], 'expired', {})
    return tell('upload', upload.id, 'expired')
  }
  await stores.jobs.add({ id: newId('job'), kind: 'work', payload: '{}', dedupeKey: upload.id, runAtMs: 0 })
  tell('job', upload.id)
  await stores.uploads.move(upload.id, ['pending'], 'processing')
  tell('upload', upload.id, 'processing')
  const bytes = { sha256: 'x', storedSha256: `bytes ${n % 5} ${process.pid}`, byteLength: 90 }
  const object = await stores.objects.begin({ ...owner, key: newId('obj'), ...bytes })
  tell('object', object.key)
  const result = { state: 'ready', objectKey: object.key, byteLength: 90, sha256: 'x', facts } as const
  const done = await stores.uploads.finish(upload.id, {
    ...result,
    messages: () => [{ type: 'image.ready', payload: { id: upload.id } }],
  })
  tell('upload', upload.id, done?.upload.state ?? 'lost')
  if (n % 4 !== 1) return
  await stores.images.remove(upload.imageId, [])
  tell('upload', upload.id, 'deleted')
}

for (let n = 0; ; n++) await Promise.all([uploadOne(2 * n), uploadOne(2 * n + 1)])
