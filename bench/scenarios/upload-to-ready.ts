import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { figure, ratios, type Bench, type Figure, type Scenario, type ScenarioResult } from '../bench.ts'
import { interleave } from '../harness/rounds.ts'
import { cpuMsOf } from '../harness/settled.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'
import { callApi, putBytes, uploadSettings, type Presigned } from '../harness/upload-client.ts'
import { startRenderPeer, type RenderPeer } from '../peers/render-peer.ts'

const uploadsPerRound = 3
const warmUps = 1
/** Larger than any round takes on a slow machine. */
const waitSeconds = 25

/** From the confirmation of a phone's photo to `ready`: header, whole decode, facts, preview, the stored copy; beside decoding alone. */
export const uploadToReady: Scenario = {
  name: 'upload-to-ready',
  about: 'a 12 MB phone photo from confirm to ready, one at a time',
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  // Each upload has an owner of its own: nobody's bytes are stored twice for one.
  const keys = Array.from(
    { length: warmUps + uploadsPerRound * bench.rounds },
    (_, index) => `key-of-the-bench-${index}`,
  )
  const server = await startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, 'data'),
    settings: {
      ...uploadSettings,
      HALFTONE_API_KEYS: keys.map((key, index) => `owner${index}:${key}`).join(','),
      HALFTONE_RENDERERS: '1',
    },
  })
  const sharp = startRenderPeer('bare-decode')
  const { phone, heics } = bench.pictures
  try {
    const figures: Figure[] = []
    for (const picture of [phone, ...heics]) figures.push(...(await measure(picture, { server, sharp, keys, bench })))
    return { figures, notes: ['HEIC: sharp alone cannot decode it, so there is nothing to hold it against'] }
  } finally {
    await server.stop()
    await sharp.stop()
  }
}

type Stage = {
  readonly server: Running
  readonly sharp: RenderPeer
  readonly keys: readonly string[]
  readonly bench: Bench
}

async function measure(picture: string, { server, sharp, keys, bench }: Stage): Promise<readonly Figure[]> {
  const file = join(bench.pictures.folder, picture)
  const bytes = await readFile(file)
  const type = picture.endsWith('.heic') ? 'image/heic' : 'image/jpeg'
  const upload = async (key: string) => {
    const body = { filename: picture, size: bytes.length, type }
    const presigned = await callApi<Presigned>(server, '/v1/uploads', { key, body })
    await putBytes(server, presigned.upload, bytes)
    return { key, id: presigned.id }
  }
  const confirm = async ({ key, id }: { key: string; id: string }) => {
    const headers = { prefer: `wait=${waitSeconds}` }
    const startedMs = performance.now()
    const { state } = await callApi<Presigned>(server, `/v1/uploads/${id}/confirm`, { key, headers })
    if (state !== 'ready') throw new Error(`${picture} became ${state}`)
    return performance.now() - startedMs
  }
  for (const key of keys.slice(0, warmUps)) await confirm(await upload(key))

  const clock: number[] = []
  const taken = await interleave(bench.rounds, {
    halftone: async (round) => {
      const from = warmUps + round * uploadsPerRound
      const uploads: Awaited<ReturnType<typeof upload>>[] = []
      for (const key of keys.slice(from, from + uploadsPerRound)) uploads.push(await upload(key))
      let spentMs = 0
      const cpu = await cpuMsOf(server, async () => {
        for (const one of uploads) spentMs += await confirm(one)
      })
      clock.push(spentMs / uploadsPerRound)
      return cpu.all / uploadsPerRound
    },
    sharp: async () => {
      if (type === 'image/heic') return Number.NaN
      const files = Array.from({ length: uploadsPerRound }, () => file)
      const variants = [{ width: 0, height: 0, output: { format: 'raw' } }]
      return (await sharp.render({ files, variants })).cpuMs / uploadsPerRound
    },
  })
  const megabytes = (bytes.length / 1e6).toFixed(1)
  return [
    figure(`ready.clock:${picture}`, `confirm to ready (${picture}, ${megabytes} MB)`, 'ms', clock),
    figure(`ready.cpu:${picture}`, 'CPU of it', 'ms CPU', taken.halftone),
    ...(type === 'image/heic'
      ? []
      : [
          figure(`ready.sharp:${picture}`, 'bare sharp decoding it', 'ms CPU', taken.sharp),
          figure(
            `ready/sharp:${picture}`,
            'confirm to ready against decoding',
            'ratio',
            ratios(taken.halftone, taken.sharp),
          ),
        ]),
  ]
}
