/* A process that fills a disk tier until it is killed or its time is up: argv folder, number of keys, maxBytes, milliseconds. */
import { join } from 'node:path'
import { createDiskTier } from '../../src/cache/disk-tier.ts'
import { openDiskIndex } from '../../src/db/disk-index.ts'
import { bodyFor, keyOf } from '../helpers/cache-bodies.ts'

const [folder = '', keys = '0', maxBytes = '0', milliseconds = '0'] = process.argv.slice(2)
const log = { info: () => undefined, warn: (event: string) => void process.stderr.write(`${event}\n`) }
const index = openDiskIndex({ file: join(folder, 'index.sqlite'), log })
const tier = createDiskTier({ directory: join(folder, 'entries'), maxBytes: Number(maxBytes), index, log })
const signal = new AbortController().signal
const until = Date.now() + Number(milliseconds)
process.stdout.write('ready\n')

while (Date.now() < until) {
  const batch = Array.from({ length: 16 }, () => keyOf(Math.floor(Math.random() * Number(keys))))
  await Promise.all(
    batch.map(async (key) => {
      const found = await tier.get(key, signal)
      if (found && !found.body.equals(bodyFor(key).body)) process.stdout.write('WRONG\n')
      if (!found) await tier.set(key, bodyFor(key))
    }),
  )
}
await tier.close()
