import { readFile } from 'node:fs/promises'
import sharp from 'sharp'
import { serveRenderJobs } from './serve-render-jobs.ts'

/** Every pixel of a file, and nothing else: one thread. */
sharp.concurrency(1)
sharp.cache(false)

serveRenderJobs(async (file) =>
  sharp(await readFile(file))
    .raw()
    .toBuffer(),
)
