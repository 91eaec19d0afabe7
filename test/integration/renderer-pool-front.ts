import { createRendererPool } from '../../src/transform/executor/renderer-pool.ts'
import { noise, planOf, quickRenderConfig } from '../helpers/render-fixtures.ts'

/** A front for the test that kills it: starts a long render and prints the renderers' pids. */
const original = await noise(2000, 2000)
const pool = createRendererPool({ config: { ...quickRenderConfig, renderers: 1 }, log: () => undefined })
const output = { format: 'avif', quality: 60, effort: 9 } as const
const planFor = (metadata: Parameters<typeof planOf>[0]) => {
  setTimeout(() => console.log(JSON.stringify(pool.stats().pids)), 200)
  return planOf(metadata, [], { output })
}
await pool.render({ original, sourceKey: 'slow', sourceName: 'photos', planFor }, new AbortController().signal)
