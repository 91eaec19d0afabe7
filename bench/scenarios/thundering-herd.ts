import { copyFile, mkdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { figure, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchOnce, fetchPicture } from '../harness/hit-targets.ts'
import { bytesRead } from '../harness/process-usage.ts'
import { settled } from '../harness/settled.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'

const clients = 100

/** A hundred clients want the same new variant in the same moment. */
export const thunderingHerd: Scenario = {
  name: 'thundering-herd',
  about: '100 identical misses at once: fetches, renders, answers',
  cheap: true,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const folder = join(bench.workspace, 'originals')
  await mkdir(folder, { recursive: true })
  const names = ['warm.jpg', ...Array.from({ length: bench.rounds }, (_, index) => `${index}.jpg`)]
  for (const name of names) await copyFile(join(bench.pictures.folder, bench.pictures.megapixels12), join(folder, name))
  const { size } = await stat(join(folder, 'warm.jpg'))
  const server = await startHalftone({ root: bench.root, pictures: folder, dataDir: join(bench.workspace, 'data') })
  const rounds: Herd[] = []
  try {
    await fetchPicture(server, '/warm.jpg?w=700&fm=webp')
    for (let round = 0; round < bench.rounds; round++)
      rounds.push(await stampede(server, `/${round}.jpg?w=700&fm=webp`, size))
  } finally {
    await server.stop()
  }
  const one = (id: keyof Herd, label: string) =>
    figure(
      `herd.${id}`,
      label,
      'count',
      rounds.map((herd) => herd[id]),
    )
  return {
    figures: [
      one('fetches', 'reads of the original'),
      one('renders', 'renders'),
      one('answers', 'answers, all of the same bytes'),
      figure(
        'herd.lastMs',
        'last answer after',
        'ms',
        rounds.map(({ lastMs }) => lastMs),
      ),
    ],
    notes: ['reads are counted by the bytes that the front read (/proc/<pid>/io) over the size of the original'],
  }
}

type Herd = { readonly fetches: number; readonly renders: number; readonly answers: number; readonly lastMs: number }

async function stampede(server: Running, target: string, originalBytes: number): Promise<Herd> {
  const renders = () => metric(server, 'halftone_render_duration_seconds_count')
  await settled(server)
  const before = { renders: await renders(), read: bytesRead(server.pid) }
  const startedMs = performance.now()
  const answers = await Promise.all(Array.from({ length: clients }, () => fetchOnce(server, target)))
  const lastMs = performance.now() - startedMs
  const read = bytesRead(server.pid) - before.read
  await settled(server)
  const [first] = answers
  return {
    fetches: Math.round(read / originalBytes),
    renders: (await renders()) - before.renders,
    answers: answers.filter(({ status, body }) => status === 200 && first?.body.equals(body)).length,
    lastMs,
  }
}
