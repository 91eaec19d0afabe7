import { readFile } from 'node:fs/promises'
import { importPeer } from './install-peers.ts'
import { serveRenderJobs } from './serve-render-jobs.ts'

type OptimizeImage = (options: {
  buffer: Buffer
  contentType: string
  quality: number
  width: number
}) => Promise<Buffer>

/** Next's own transform with the quality it uses when a page says nothing; AVIF at 50/80 of it and effort 3. */
const { optimizeImage } = (await importPeer('next/dist/server/image-optimizer/transform.js')) as {
  optimizeImage: OptimizeImage
}
const defaultQuality = 75

serveRenderJobs(async (file, variant) =>
  optimizeImage({
    buffer: await readFile(file),
    contentType: `image/${variant.output.format}`,
    quality: defaultQuality,
    width: variant.width,
  }),
)
