import { createHash, randomBytes } from 'node:crypto'
import { createDiskTarget } from '../../src/uploads/targets/disk-target.ts'

/** Writes as fast as it can, and tells of each object once it is written; killed in the middle. */
const [, , folder = ''] = process.argv
const target = createDiskTarget({ folder, publicOrigin: () => '', secret: 'secret', now: Date.now })
const signal = new AbortController().signal

async function writeForEver(): Promise<never> {
  for (;;) {
    const bytes = randomBytes(Math.floor(Math.random() * 300_000))
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const key = `objects/obj_${sha256.slice(0, 32)}`
    await target.write(key, bytes, 'image/jpeg', signal)
    process.send?.({ key, sha256 })
  }
}

await Promise.all(Array.from({ length: 4 }, writeForEver))
