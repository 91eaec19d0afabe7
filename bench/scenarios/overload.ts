import { join } from 'node:path'
import { figure, ratios, type Bench, type Figure, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchOnce, fetchPicture } from '../harness/hit-targets.ts'
import { startBufferServer } from '../peers/buffer-server.ts'
import { measureLatency } from '../harness/latency.ts'
import { capacityOf, latencyAt, pourOpenLoop, type Outcome } from '../harness/open-loop.ts'
import { settled } from '../harness/settled.ts'
import { metric, startHalftone } from '../harness/start-halftone.ts'
import type { Running } from '../harness/start-process.ts'

const timesCapacity = 10
const hitRate = 100
/** Keeps every renderer busy, and the queue short. */
const missesAtOnce = 4
const capacitySeconds = 2
const rampUpMs = 500

/** Ten times as many misses as the renderers manage, beside hits at a moderate rate. */
export const overload: Scenario = {
  name: 'overload',
  about: `${timesCapacity} times the misses that the renderers manage, beside ${hitRate} hits/s`,
  cheap: false,
  run,
}

type Storm = {
  readonly idleP99Ms: number
  readonly p99Ms: number
  /** Of bare node:http, which has nothing to do with the misses: what the busy machine does. */
  readonly bareIdleP99Ms: number
  readonly bareP99Ms: number
  readonly failedHits: number
  readonly shed: number
  readonly shedMs: number
  readonly broken: number
  readonly recoverySeconds: number
}

async function run(bench: Bench): Promise<ScenarioResult> {
  const server = await startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, 'data'),
  })
  const stop: Running[] = [server]
  try {
    const hot = `/${bench.pictures.small}?w=400&auto=format`
    const { body, headers } = await fetchPicture(server, hot)
    const bare = await startBufferServer('node-http', { folder: bench.workspace, body, headers })
    stop.push(bare)
    const misses = newMisses(bench.pictures.megapixels12)
    const capacity = () =>
      capacityOf(server.origin, { atOnce: missesAtOnce, seconds: capacitySeconds, targetOf: misses })
    await capacity()
    const perSecond = await capacity()
    bench.say(`the renderers manage ${perSecond.toFixed(1)} misses/s`)
    const storms: Storm[] = []
    for (let round = 0; round < bench.rounds; round++)
      storms.push(await storm(server, { hot, misses, perSecond, bare }, bench))
    return {
      figures: figuresOf(storms),
      notes: [
        `the renderers managed ${perSecond.toFixed(1)} misses/s, so ${Math.round(perSecond * timesCapacity)} a second were asked for`,
        'broken: misses answered by anything but 200 or 503 with Retry-After, or admitted first and failed then',
      ],
    }
  } finally {
    for (const one of stop) await one.stop()
  }
}

function figuresOf(storms: readonly Storm[]): Figure[] {
  const all = (id: keyof Storm) => storms.map((one) => one[id])
  return [
    figure('overload.idle-p99', 'p99 of hits, nothing else asked', 'ms', all('idleP99Ms')),
    figure('overload.p99', 'p99 of hits meanwhile', 'ms', all('p99Ms')),
    figure('overload/idle', 'p99 of hits, overloaded against idle', 'ratio', ratios(all('p99Ms'), all('idleP99Ms'))),
    figure(
      'overload/bare',
      'the same of bare node:http: what the machine does',
      'ratio',
      ratios(all('bareP99Ms'), all('bareIdleP99Ms')),
    ),
    figure('overload.failed-hits', 'hits that failed', 'count', all('failedHits')),
    figure('overload.shed', 'share of misses shed', 'ratio', all('shed')),
    figure('overload.shed-ms', 'half of them told after', 'ms', all('shedMs')),
    figure('overload.broken', 'misses broken', 'count', all('broken')),
    figure('overload.recovery', 'until a miss is answered afterwards', 's', all('recoverySeconds')),
  ]
}

type Weather = {
  readonly hot: string
  readonly misses: (index: number) => string
  readonly perSecond: number
  readonly bare: Running
}

/** One child process after the other, each with its own start. */
const probeStartSeconds = 0.5

async function storm(server: Running, { hot, misses, perSecond, bare }: Weather, bench: Bench): Promise<Storm> {
  const hits = () => measureLatency(server, { target: hot, rate: hitRate, seconds: bench.seconds })
  const bareHits = () => measureLatency(bare, { target: '/picture', rate: hitRate, seconds: bench.seconds })
  await settled(server)
  const idle = await hits()
  const bareIdle = await bareHits()
  const before = await refusedAtTheDoor(server)
  const seconds = 2 * (bench.seconds + probeStartSeconds) + (2 * rampUpMs) / 1000
  const pouring = pourOpenLoop({
    ...{ origin: server.origin, rate: perSecond * timesCapacity, seconds, targetOf: misses },
  })
  const recovering = recover(server, misses, performance.now() + seconds * 1000)
  await new Promise((resolve) => setTimeout(resolve, rampUpMs))
  const busy = await hits()
  const bareBusy = await bareHits()
  const [outcomes, recoverySeconds] = await Promise.all([pouring, recovering])
  const shed = outcomes.filter(isShed)
  const refused = (await refusedAtTheDoor(server)) - before
  const strange = outcomes.filter((one) => one.status !== 200 && !isShed(one))
  return {
    ...{ idleP99Ms: idle.p99Ms, p99Ms: busy.p99Ms, failedHits: idle.failures + busy.failures, recoverySeconds },
    ...{ bareIdleP99Ms: bareIdle.p99Ms, bareP99Ms: bareBusy.p99Ms },
    shed: shed.length / outcomes.length,
    shedMs: latencyAt(shed, 0.5),
    broken: strange.length + Math.max(0, shed.length - refused),
  }
}

/** From the end of the load on: how long until somebody who wants a new variant has it, refusals and all. */
async function recover(server: Running, misses: (index: number) => string, fromMs: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, fromMs - performance.now()))
  for (;;) {
    const { status } = await fetchOnce(server, misses(0))
    if (status === 200) return (performance.now() - fromMs) / 1000
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const isShed = ({ status, retryAfter }: Outcome) => status === 503 && Number(retryAfter) >= 1

/** Jobs that were told at once that there is no room, by the server's own count. */
async function refusedAtTheDoor(server: Running): Promise<number> {
  const events = ['refused_for_room', 'refused_for_cost']
  const counts = await Promise.all(events.map((event) => metric(server, 'halftone_events_total', `event="${event}"`)))
  return counts.reduce((sum, count) => sum + count, 0)
}

/** Another variant at every call. */
function newMisses(picture: string): () => string {
  let made = 0
  return () => {
    made += 1
    return `/${picture}?w=1000&h=${600 + (made % 300)}&fm=webp&fit=crop&crop=focalpoint&fp-x=${(made / 1e5).toFixed(5)}`
  }
}
