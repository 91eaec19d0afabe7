import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import sharp from 'sharp'
import { expect, test } from 'vitest'
import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

const ultraHdr = resolve(import.meta.dirname, '../../../shared/corpus/formats/gain-map.jpg')
const isThere = existsSync(ultraHdr)
if (!isThere) console.log('skipped: the shared corpus is not at ../shared/corpus')

/** The one file of a served format that sharp's own build would hand to a loader outside the list. */
test.skipIf(!isThere)(
  'a renderer reads an Ultra HDR photograph with the JPEG loader, as all loaders not named are blocked',
  async () => {
    const original = readFileSync(ultraHdr)
    const pool = createRendererPool({ config: { ...quickRenderConfig, renderers: 1 }, log: () => undefined })
    try {
      const job = {
        original,
        sourceKey: 'gain-map',
        sourceName: 'photos',
        planFor: (metadata: Parameters<typeof planOf>[0]) => planOf(metadata, []),
      }
      const { body } = await pool.render(job, new AbortController().signal)
      expect(await densityOf(Buffer.from(body))).toBe(72)
      // The loader for Ultra HDR, which is not named, knows nothing of density: this is what would come out with it.
      expect(await densityOf(await sharp(original).png({ compressionLevel: 1 }).toBuffer())).toBeUndefined()
    } finally {
      await pool.close(AbortSignal.abort())
    }
  },
)

async function densityOf(bytes: Buffer): Promise<number | undefined> {
  return (await sharp(bytes).metadata()).density
}
