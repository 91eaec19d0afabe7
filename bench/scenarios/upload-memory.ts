import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { figure, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { settled } from '../harness/settled.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'
import { apiKey, callApi, putBytes, uploadSettings, type Presigned } from '../harness/upload-client.ts'

const clients = 100
const quickClients = 20
const fileBytes = 20_000_000
const sampleMs = 50
const megabyte = 1024 * 1024

/** Bodies go to the disk in pieces: the front's memory while a hundred of them come at once. */
export const uploadMemory: Scenario = {
  name: 'upload-memory',
  about: "100 clients upload 20 MB each at once: the front's resident memory",
  cheap: false,
  run,
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const server = await startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, 'data'),
    settings: { ...uploadSettings, HALFTONE_API_KEYS: `bench:${apiKey}` },
  })
  const bytes = randomBytes(fileBytes)
  try {
    // The first of all compiles the code that the others run, which is no body in memory.
    await uploadAll(server, bytes, 1)
    await settled(server)
    const idleMB = server.residentBytes() / megabyte
    const count = bench.quick ? quickClients : clients
    const { peakMB, seconds, cpuSeconds } = await watch(server, () => uploadAll(server, bytes, count))
    await settled(server)
    const afterMB = server.residentBytes() / megabyte
    const totalMB = (count * fileBytes) / 1e6
    return {
      figures: [
        figure('upload-memory.idle', 'resident before', 'MB', [idleMB]),
        figure('upload-memory.growth', `highest above that, ${count} at once`, 'MB', [peakMB - idleMB]),
        figure('upload-memory.left', 'above that once all is done', 'MB', [afterMB - idleMB]),
        figure('upload-memory.throughput', 'taken each second', 'MB', [totalMB / seconds]),
        figure('upload-memory.cpu', 'CPU for each 100 MB', 'ms CPU', [(cpuSeconds * 1000) / (totalMB / 100)]),
      ],
      notes: [`${totalMB} MB in ${seconds.toFixed(1)} s; what all bodies have together is ${totalMB} MB`],
    }
  } finally {
    await server.stop()
  }
}

async function uploadAll(server: Running, bytes: Buffer, count: number): Promise<void> {
  const body = { filename: 'large.jpg', size: bytes.length, type: 'image/jpeg' }
  const ask = () => callApi<Presigned>(server, '/v1/uploads', { key: apiKey, body })
  const presigned = await Promise.all(Array.from({ length: count }, ask))
  await Promise.all(presigned.map(({ upload }) => putBytes(server, upload, bytes)))
}

async function watch(server: Running, work: () => Promise<void>) {
  const [startedMs, cpuBefore] = [performance.now(), server.cpuSeconds()]
  let [peakMB, isOver] = [0, false]
  const working = work().finally(() => (isOver = true))
  while (!isOver) {
    peakMB = Math.max(peakMB, server.residentBytes() / megabyte)
    await sleep(sampleMs)
  }
  await working
  const seconds = (performance.now() - startedMs) / 1000
  return { peakMB, seconds, cpuSeconds: server.cpuSeconds() - cpuBefore }
}
