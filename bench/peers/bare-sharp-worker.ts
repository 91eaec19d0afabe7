import { readFile } from 'node:fs/promises'
import sharp, { type Sharp } from 'sharp'
import { serveRenderJobs } from './serve-render-jobs.ts'
import type { Variant } from './render-peer.ts'

/** The same picture with nothing around it: read, resize, encode with the plan's own settings, one thread. */
sharp.concurrency(1)
sharp.cache(false)

serveRenderJobs(async (file, variant) => {
  const pipeline = sharp(await readFile(file)).resize(variant.width, variant.height, { fit: 'fill' })
  return encoded(pipeline, variant.output).toBuffer()
})

function encoded(pipeline: Sharp, output: Variant['output']): Sharp {
  const { quality, effort } = { quality: Number(output['quality']), effort: Number(output['effort']) }
  switch (output.format) {
    case 'avif':
      return pipeline.avif({ quality, effort, chromaSubsampling: '4:2:0', bitdepth: 8 })
    case 'webp':
      return pipeline.webp({ quality, effort })
    case 'jpeg':
      return pipeline.jpeg({ quality, progressive: Boolean(output['progressive']), optimiseScans: false })
    case 'png':
      return pipeline.png({ compressionLevel: 6, adaptiveFiltering: true })
    default:
      throw new Error(`no bare yardstick for ${output.format}`)
  }
}
