import { join } from 'node:path'
import { figure, median, ratios, type Bench, type Figure, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchPicture } from '../harness/hit-targets.ts'
import { strangers } from '../harness/pictures.ts'
import { planOf } from '../harness/plan-of.ts'
import { interleave } from '../harness/rounds.ts'
import { cpuMsOf } from '../harness/settled.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'
import { installPeers } from '../peers/install-peers.ts'
import { startRenderPeer, type RenderPeer, type Variant } from '../peers/render-peer.ts'
import { urlOf } from '../peers/url-peer.ts'

const width = 800
/** Originals a round and format: an original that was asked for in another format shortly before would be no lone miss. */
const originalsPerRound = 6
/** The first of everything compiles code and fills tables. */
const warmUps = 2
/** A byte count further off than this means that the yardstick does not do the same. */
const sameBytes = 0.01
const formats = ['jpg', 'webp', 'avif'] as const

/** Misses one at a time, each of an original that was never seen, beside sharp alone and the two peers from npm. */
export const coldResize: Scenario = {
  name: 'cold-resize',
  about: '800 px in three formats from originals never seen before: CPU',
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const { megapixels16, photographs } = bench.pictures
  const hasPeers = installPeers(bench.say)
  const results = []
  for (const picture of [megapixels16, ...photographs]) results.push(await runOn(picture, hasPeers, bench))
  return { figures: results.flatMap(({ figures }) => figures), notes: results.flatMap(({ notes }) => notes) }
}

async function runOn(picture: string, hasPeers: boolean, bench: Bench): Promise<ScenarioResult> {
  const folder = join(bench.workspace, `originals-${picture}`)
  const names = Array.from(
    { length: warmUps + originalsPerRound * bench.rounds * formats.length },
    (_, index) => `${index}.jpg`,
  )
  const files = await strangers(join(bench.pictures.folder, picture), folder, names)
  const options = { root: bench.root, pictures: folder, dataDir: join(bench.workspace, `data-${picture}`) }
  const plans: Variant[] = []
  for (const format of formats) plans.push(await planOf(`/0.jpg?w=${width}&fm=${format}`, options))
  const server = await startHalftone({ ...options, settings: { HALFTONE_RENDERERS: '1' } })
  const peers = {
    sharp: startRenderPeer('bare-sharp'),
    ...(hasPeers ? { ipx: startRenderPeer('ipx'), next: startRenderPeer('next') } : {}),
  }
  try {
    return await compareOn({ picture, files, plans, server, peers, bench })
  } finally {
    await server.stop()
    for (const peer of Object.values(peers)) await peer.stop()
  }
}

type Stage = {
  readonly picture: string
  readonly files: readonly string[]
  readonly plans: readonly Variant[]
  readonly server: Running
  readonly peers: { readonly sharp: RenderPeer; readonly ipx?: RenderPeer; readonly next?: RenderPeer }
  readonly bench: Bench
}

async function compareOn({ picture, files, plans, server, peers, bench }: Stage): Promise<ScenarioResult> {
  const [sizes, frontShares]: [number[], number[]] = [[], []]
  const ask = async (format: string, from: number, count: number) => {
    for (let index = from; index < from + count; index++)
      sizes.push((await fetchPicture(server, `/${index}.jpg?w=${width}&fm=${format}`)).body.length)
  }
  for (const format of formats) await ask(format, 0, warmUps)
  for (const peer of Object.values(peers)) await peer.render({ files: files.slice(0, 1), variants: plans.slice(0, 1) })
  sizes.length = 0

  const inRound = (round: number, format = 0) => warmUps + (round * formats.length + format) * originalsPerRound
  const avif = plans.filter(({ output }) => output.format === 'avif')
  const cpuOf = async (peer: RenderPeer, variants: readonly Variant[], first: number, count: number) =>
    (await peer.render({ files: files.slice(first, first + count), variants })).cpuMs / count
  const measures = Object.fromEntries([
    ...formats.map((format, index) => {
      const ours = (round: number) => cpuMsOf(server, () => ask(format, inRound(round, index), originalsPerRound))
      const each = async (round: number) => {
        const { all, front } = await ours(round)
        frontShares.push(front / all)
        return all / originalsPerRound
      }
      return [format, each] as const
    }),
    ...plans.map((plan) => {
      const bare = (round: number) => cpuOf(peers.sharp, [plan], inRound(round), originalsPerRound)
      return [`sharp ${plan.output.format}`, bare] as const
    }),
    ...Object.entries(peers)
      .filter(([name]) => name !== 'sharp')
      .map(([name, peer]) => [name, (round: number) => cpuOf(peer, avif, inRound(round), 1)] as const),
  ])
  const taken = await interleave(bench.rounds, measures)
  const bare = await peers.sharp.render({ files: files.slice(0, 1), variants: plans })
  return {
    figures: [...figuresOf(picture, taken), ...(await urlPeers(picture, bench))],
    notes: [
      ...sizeNotes(picture, sizes, bare.bytes, bench.rounds),
      `the front had ${Math.round(median(frontShares) * 100)} % of Halftone's share`,
    ],
  }
}

function figuresOf(picture: string, taken: Readonly<Record<string, number[]>>): readonly Figure[] {
  const { jpg = [], webp = [], avif = [], ipx, next } = taken
  const bare = (format: string) => taken[`sharp ${format}`] ?? []
  const sum = (...lists: readonly (readonly number[])[]) =>
    (lists[0] ?? []).map((_, round) => lists.reduce((total, list) => total + (list[round] ?? Number.NaN), 0))
  const all = ratios(sum(jpg, webp, avif), sum(bare('jpeg'), bare('webp'), bare('avif')))
  return [
    ...(['jpeg', 'webp', 'avif'] as const).flatMap((format) => {
      const ours = format === 'jpeg' ? jpg : format === 'webp' ? webp : avif
      return [
        figure(`miss.${format}:${picture}`, `Halftone ${format} (${picture})`, 'ms CPU', ours),
        figure(`miss.${format}.sharp:${picture}`, `bare sharp ${format}`, 'ms CPU', bare(format)),
        figure(
          `miss.${format}/bare-sharp:${picture}`,
          `miss ${format} against bare sharp`,
          'ratio',
          ratios(ours, bare(format)),
        ),
      ]
    }),
    figure(`miss/bare-sharp:${picture}`, 'miss against bare sharp, all formats', 'ratio', all),
    ...(ipx ? [figure(`avif.ipx:${picture}`, 'ipx avif', 'ms CPU', ipx)] : []),
    ...(ipx ? [figure(`avif/ipx:${picture}`, 'avif against ipx', 'ratio', ratios(avif, ipx))] : []),
    ...(next ? [figure(`avif.next:${picture}`, 'Next avif', 'ms CPU', next)] : []),
    ...(next ? [figure(`avif/next:${picture}`, "avif against Next's", 'ratio', ratios(avif, next))] : []),
  ]
}

function sizeNotes(
  picture: string,
  sizes: readonly number[],
  bare: readonly number[],
  rounds: number,
): readonly string[] {
  const ours = formats.map((_, index) => sizes[index * originalsPerRound] ?? 0)
  const kilobytes = ours.map((bytes, index) => `${formats[index]} ${Math.round(bytes / 1000)} kB`).join(', ')
  const differs = ours.some((bytes, index) => Math.abs(bytes / (bare[index] ?? 0) - 1) > sameBytes)
  return [
    `${picture}: ${kilobytes}, ${rounds} rounds of ${originalsPerRound} originals`,
    ...(differs ? [`bare sharp wrote other sizes (${bare.join(', ')} bytes): it does not do quite the same`] : []),
  ]
}

/** A peer given by URL: the clock only, and its own caches decide what is cold to it. */
async function urlPeers(picture: string, bench: Bench): Promise<readonly Figure[]> {
  const figures = []
  for (const peer of bench.urlPeers) {
    const rounds = []
    for (let round = 0; round < bench.rounds; round++) {
      // Another width each time: the peer cannot have it yet, and cannot be told of new originals.
      const url = urlOf(peer, { path: picture, width: width + round, format: 'avif' })
      const startedMs = performance.now()
      const response = await fetch(url)
      await response.arrayBuffer()
      if (!response.ok) throw new Error(`${url} was answered ${response.status}`)
      rounds.push(performance.now() - startedMs)
    }
    figures.push(figure(`avif.${peer.name}:${picture}`, `${peer.name} avif (by the clock)`, 'ms', rounds))
  }
  return figures
}
