import { join } from 'node:path'
import { figure, ratios, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchPicture } from '../harness/hit-targets.ts'
import { strangers } from '../harness/pictures.ts'
import { planOf } from '../harness/plan-of.ts'
import { interleave } from '../harness/rounds.ts'
import { cpuMsOf } from '../harness/settled.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import { startRenderPeer, type Variant } from '../peers/render-peer.ts'

const widths = [200, 320, 480, 640, 800, 1024, 1280, 1600]
const formats = ['webp', 'avif']
/**
 * Sets of other pictures that come before: both sides have compiled their code and faulted in their memory by then. What a renderer keeps
 * for latecomers grows to its budget over some six sets, and each fresh page costs a fault that a server at work has behind it. The front
 * gets faster for longer, while V8 compiles what a miss runs through: 115 ms for a first set, 80 for the tenth, 65 from the fiftieth on.
 */
const setsBefore = 40
const queries = formats.flatMap((format) => widths.map((width) => `w=${width}&fm=${format}`))

/** What happens when a page with a new picture goes live: every width in both formats, all at once. */
export const coldSrcset: Scenario = {
  name: 'cold-srcset',
  about: '8 widths x 2 formats of one original never seen before, asked for at once: CPU',
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const results = []
  for (const picture of [bench.pictures.megapixels16, ...bench.pictures.photographs])
    results.push(await runOn(picture, bench))
  return { figures: results.flatMap(({ figures }) => figures), notes: [`asked for together: ${widths.join(', ')} px`] }
}

async function runOn(picture: string, bench: Bench): Promise<Pick<ScenarioResult, 'figures'>> {
  const folder = join(bench.workspace, `originals-${picture}`)
  const before = bench.quick ? 1 : setsBefore
  const names = Array.from({ length: before + bench.rounds }, (_, index) => `${index}.jpg`)
  const files = await strangers(join(bench.pictures.folder, picture), folder, names)
  const options = { root: bench.root, pictures: folder, dataDir: join(bench.workspace, `data-${picture}`) }
  const variants: Variant[] = []
  for (const query of queries) variants.push(await planOf(`/0.jpg?${query}`, options))
  const server = await startHalftone(options)
  const sharp = startRenderPeer('bare-sharp')
  const clock = { halftone: [] as number[], sharp: [] as number[] }
  const askAll = async (name: number) => {
    const startedMs = performance.now()
    await Promise.all(queries.map((query) => fetchPicture(server, `/${name}.jpg?${query}`)))
    clock.halftone.push(performance.now() - startedMs)
  }
  try {
    for (let set = 0; set < before; set++) await askAll(set)
    await sharp.render({ files: files.slice(0, before === 1 ? 1 : 2), variants })
    clock.halftone.length = 0
    const taken = await interleave(bench.rounds, {
      halftone: async (round) => (await cpuMsOf(server, () => askAll(before + round))).all,
      sharp: async (round) => {
        const { cpuMs, wallMs } = await sharp.render({
          files: files.slice(before + round, before + round + 1),
          variants,
        })
        clock.sharp.push(wallMs)
        return cpuMs
      },
    })
    return {
      figures: [
        figure(`srcset.halftone:${picture}`, `Halftone, 16 variants (${picture})`, 'ms CPU', taken.halftone),
        figure(`srcset.sharp:${picture}`, 'bare sharp, each from the original', 'ms CPU', taken.sharp),
        figure(`srcset.last:${picture}`, 'last of the 16 answers after', 'ms', clock.halftone),
        figure(
          `srcset/bare-sharp:${picture}`,
          'cold srcset against bare sharp',
          'ratio',
          ratios(taken.halftone, taken.sharp),
        ),
      ],
    }
  } finally {
    await server.stop()
    await sharp.stop()
  }
}
