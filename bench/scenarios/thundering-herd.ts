import { join } from 'node:path'
import { figure, type Bench, type Figure, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchOnce, fetchPicture } from '../harness/hit-targets.ts'
import { startPictureOrigin } from '../harness/picture-origin.ts'
import { settled } from '../harness/settled.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'

const clients = 100
const query = '?w=700&fm=webp'

/** A hundred clients want the same new variant in the same moment. */
export const thunderingHerd: Scenario = {
  name: 'thundering-herd',
  about: '100 identical misses at once: fetches, renders, answers',
  cheap: true,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const origin = await startPictureOrigin(join(bench.pictures.folder, bench.pictures.megapixels12))
  try {
    const server = await startHalftone({
      root: bench.root,
      pictures: origin.url,
      dataDir: join(bench.workspace, 'data'),
      settings: { HALFTONE_ALLOW_ADDRESSES: '127.0.0.1' },
    })
    const herds = await stampedes(server, bench.rounds, origin.requests)
    return { figures: herdFigures(herds), notes: ['fetches are counted by an HTTP origin that answers after 50 ms'] }
  } finally {
    await origin.close()
  }
}

type Herd = { readonly fetches: number; readonly renders: number; readonly answers: number; readonly lastMs: number }

/** `fetched` counts how often originals were asked for so far. Stops the server. */
async function stampedes(server: Running, rounds: number, fetched: () => number): Promise<Herd[]> {
  const herds: Herd[] = []
  try {
    await fetchPicture(server, `/warm.jpg${query}`)
    for (let round = 0; round < rounds; round++) herds.push(await stampede(server, `/${round}.jpg${query}`, fetched))
  } finally {
    await server.stop()
  }
  return herds
}

async function stampede(server: Running, target: string, fetched: () => number): Promise<Herd> {
  const renders = () => metric(server, 'halftone_render_duration_seconds_count')
  await settled(server)
  const before = { renders: await renders(), fetched: fetched() }
  const startedMs = performance.now()
  const answers = await Promise.all(Array.from({ length: clients }, () => fetchOnce(server, target)))
  const lastMs = performance.now() - startedMs
  await settled(server)
  const [first] = answers
  return {
    ...{ fetches: fetched() - before.fetched, lastMs },
    renders: (await renders()) - before.renders,
    answers: answers.filter(({ status, body }) => status === 200 && first?.body.equals(body)).length,
  }
}

function herdFigures(herds: readonly Herd[]): Figure[] {
  const one = (id: keyof Herd, label: string, unit: 'count' | 'ms') =>
    figure(
      `herd.${id}`,
      label,
      unit,
      herds.map((herd) => herd[id]),
    )
  return [
    one('fetches', 'fetches of the original', 'count'),
    one('renders', 'renders', 'count'),
    one('answers', 'answers, all of the same bytes', 'count'),
    one('lastMs', 'last answer after', 'ms'),
  ]
}
