import { join } from 'node:path'
import { figure, ratios, type Bench, type Figure, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchPicture } from '../harness/hit-targets.ts'
import { strangers } from '../harness/pictures.ts'
import { planOf } from '../harness/plan-of.ts'
import { interleave } from '../harness/rounds.ts'
import { cpuMsOf } from '../harness/settled.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import { startRenderPeer } from '../peers/render-peer.ts'

const widths = [200, 400, 800, 1600]
const formats = ['jpg', 'webp', 'avif', 'png']
/** A CPU clock that ticks every 10 ms needs several of the cheap ones. */
const originalsPerRound = 3

/** Cost and weight of every format at four widths, from the 12 MP drawing. */
export const formatMatrix: Scenario = {
  name: 'format-matrix',
  about: '4 formats x 4 widths from 12 MP: CPU and bytes of a miss',
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const folder = join(bench.workspace, 'originals')
  const names = Array.from({ length: originalsPerRound * bench.rounds }, (_, index) => `${index}.jpg`)
  const files = await strangers(join(bench.pictures.folder, bench.pictures.megapixels12), folder, [
    'warm.jpg',
    ...names,
  ])
  const options = { root: bench.root, pictures: folder, dataDir: join(bench.workspace, 'data') }
  const server = await startHalftone({ ...options, settings: { HALFTONE_RENDERERS: '1' } })
  const sharp = startRenderPeer('bare-sharp')
  const figures: Figure[] = []
  try {
    for (const format of formats) await fetchPicture(server, `/warm.jpg?w=100&fm=${format}`)
    for (const format of formats) {
      for (const width of widths) {
        const query = `w=${width}&fm=${format}`
        const plan = await planOf(`/warm.jpg?${query}`, options)
        let bytes = 0
        const taken = await interleave(bench.rounds, {
          halftone: async (round) => {
            const ours = await cpuMsOf(server, async () => {
              for (const name of names.slice(round * originalsPerRound, (round + 1) * originalsPerRound))
                bytes = (await fetchPicture(server, `/${name}?${query}`)).body.length
            })
            return ours.all / originalsPerRound
          },
          sharp: async (round) => {
            const from = 1 + round * originalsPerRound
            const bare = await sharp.render({ files: files.slice(from, from + originalsPerRound), variants: [plan] })
            return bare.cpuMs / originalsPerRound
          },
        })
        const name = `${format} ${width}`
        figures.push(
          figure(`matrix.${format}.${width}.cpu`, `${name} px`, 'ms CPU', taken.halftone),
          figure(`matrix.${format}.${width}.bytes`, `${name} px weighs`, 'kB', [bytes / 1000]),
          figure(
            `matrix.${format}.${width}.sharp`,
            `${name} px against bare sharp`,
            'ratio',
            ratios(taken.halftone, taken.sharp),
          ),
        )
      }
    }
  } finally {
    await server.stop()
    await sharp.stop()
  }
  return { figures, notes: [`${originalsPerRound} originals a round`] }
}
