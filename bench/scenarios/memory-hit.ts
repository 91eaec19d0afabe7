import { join } from 'node:path'
import { figure, ratios, type Bench, type Scenario, type ScenarioResult } from '../bench.ts'
import { fetchPicture, widthFor } from '../harness/hit-targets.ts'
import { hasWrk, pour, warmUp, type Load } from '../harness/load.ts'
import { interleave } from '../harness/rounds.ts'
import { startHalftone } from '../harness/start-halftone.ts'
import { serverCore, type Running } from '../harness/start-process.ts'
import { startBufferServer } from '../peers/buffer-server.ts'
import { installPeers, node20 } from '../peers/install-peers.ts'
import { hasNginx, startNginx } from '../peers/nginx.ts'
import { urlOf } from '../peers/url-peer.ts'

const bodyBytes = 20_000
const warmUpCpuSeconds = 1.5

/** One 20 kB picture again and again, beside servers that have nothing to decide. */
export const memoryHit: Scenario = { name: 'memory-hit', about: 'repeat hits of one 20 kB picture', cheap: true, run }

async function run(bench: Bench): Promise<ScenarioResult> {
  const quiet = await halftone(bench, 'quiet', {})
  const logging = await halftone(bench, 'logging', { HALFTONE_LOG_LEVEL: 'info' })
  const stop: Running[] = [quiet, logging]
  try {
    const query = 'auto=format'
    const width = await widthFor(quiet, bench.pictures.small, bodyBytes, query)
    const target = `/${bench.pictures.small}?w=${width}&${query}`
    const { body, headers } = await fetchPicture(quiet, target)
    await fetchPicture(logging, target)
    const nodeHttp = await startBufferServer('node-http', { folder: bench.workspace, body, headers })
    const express = await startBufferServer('express', { folder: bench.workspace, body, headers })
    stop.push(nodeHttp, express)
    const oldNode = !bench.quick && installPeers(bench.say) ? node20() : undefined
    const oldExpress =
      oldNode === undefined
        ? undefined
        : await startBufferServer('express', { folder: bench.workspace, body, headers, node: oldNode })
    if (oldExpress) stop.push(oldExpress)
    const nginx = hasNginx ? await startNginx(bench.workspace, body, headers['content-type'] ?? '') : undefined
    if (nginx) stop.push(nginx)

    const servers = {
      halftone: [quiet, target],
      logging: [logging, target],
      nodeHttp: [nodeHttp, '/picture'],
      express: [express, '/picture'],
      ...(oldExpress ? { oldExpress: [oldExpress, '/picture'] as const } : {}),
      ...(nginx ? { nginx: [nginx, '/picture'] as const } : {}),
    } as const
    const notes = [`${target}, ${body.length} bytes of ${headers['content-type']}, 32 connections`]
    if (!nginx) notes.push('nginx is not installed (Debian: nginx-light): its row is missing')
    if (!hasWrk)
      notes.push(
        'wrk is not installed: fast servers wait for the load generator, which flatters the ratio against nginx',
      )
    const taken = await measure(bench, servers, notes)
    return { figures: [...figuresOf(taken), ...(await urlPeers(bench, width))], notes }
  } finally {
    for (const server of stop) await server.stop()
  }
}

type Taken = Readonly<Record<string, number[]>>

async function measure(
  bench: Bench,
  servers: Readonly<Record<string, readonly [Running, string] | undefined>>,
  notes: string[],
): Promise<Taken> {
  const entries = Object.entries(servers).flatMap(([name, server]) => (server ? [[name, ...server] as const] : []))
  const load = (target: string, seconds: number): Load => ({ targets: [target], seconds, workspace: bench.workspace })
  for (const [, server, target] of entries) await warmUp(server, load(target, 1), bench.quick ? 0.5 : warmUpCpuSeconds)
  const measures = entries.map(([name, server, target]) => {
    const once = async () => {
      const poured = await pour(server, load(target, bench.seconds))
      if (poured.failures > 0) notes.push(`${name}: ${poured.failures} of ${poured.requests} failed`)
      bench.say(
        `${name}: ${Math.round(poured.perCpuSecond)} a CPU second (${Math.round(poured.perSecond)}/s, ${Math.round(poured.busy * 100)} % of a core)`,
      )
      return poured.perCpuSecond
    }
    return [name, once] as const
  })
  return interleave(bench.rounds, Object.fromEntries(measures))
}

function figuresOf(taken: Taken): ScenarioResult['figures'] {
  const { halftone: ours = [], logging = [], nodeHttp = [], express = [], oldExpress, nginx } = taken
  return [
    figure('hit.halftone', 'Halftone, memory hit', 'req/s', ours),
    figure('hit.logging', 'Halftone, one log line a request', 'req/s', logging),
    figure('hit.node-http', 'bare node:http', 'req/s', nodeHttp),
    figure('hit.express', 'express route', 'req/s', express),
    ...(oldExpress ? [figure('hit.express-node20', 'express route on Node 20', 'req/s', oldExpress)] : []),
    ...(nginx ? [figure('hit.nginx', 'nginx, static file', 'req/s', nginx)] : []),
    ...(nginx ? [figure('memory-hit/nginx', 'memory hit against nginx', 'ratio', ratios(ours, nginx))] : []),
    figure('memory-hit/express', 'memory hit against express', 'ratio', ratios(ours, express)),
    ...(oldExpress
      ? [
          figure(
            'memory-hit/express-node20',
            'memory hit against express on Node 20',
            'ratio',
            ratios(ours, oldExpress),
          ),
        ]
      : []),
    // What can be reached at all: nginx has nothing to decide and nothing to run.
    ...(nginx ? [figure('nginx/express', 'nginx against express', 'ratio', ratios(nginx, express))] : []),
    figure('memory-hit/node-http', 'memory hit against bare node:http', 'ratio', ratios(ours, nodeHttp)),
    figure('memory-hit/logging', 'CPU of a hit with the log on against off', 'ratio', ratios(ours, logging)),
  ]
}

/** A peer given by URL runs where it will: only its answers a second can be told. */
async function urlPeers(bench: Bench, width: number): Promise<ScenarioResult['figures']> {
  const figures = []
  for (const peer of bench.urlPeers) {
    const url = new URL(urlOf(peer, { path: bench.pictures.small, width, format: 'avif' }))
    const server = {
      origin: url.origin,
      pid: 0,
      cpuSeconds: () => 0,
      residentBytes: () => 0,
      stop: () => Promise.resolve(),
    }
    const load = { targets: [`${url.pathname}${url.search}`], seconds: bench.seconds, workspace: bench.workspace }
    await pour(server, { ...load, seconds: 1 })
    const rounds = []
    for (let round = 0; round < bench.rounds; round++) rounds.push((await pour(server, load)).perSecond)
    figures.push(figure(`hit.${peer.name}`, `${peer.name}, repeated (by the clock)`, 'req/s', rounds))
  }
  return figures
}

const halftone = (bench: Bench, name: string, settings: Readonly<Record<string, string>>) =>
  startHalftone({
    root: bench.root,
    pictures: bench.pictures.folder,
    dataDir: join(bench.workspace, name),
    core: serverCore,
    settings: { HALFTONE_RENDERERS: '1', ...settings },
  })
