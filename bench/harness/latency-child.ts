import { Agent, get } from 'node:http'
import { createHistogram } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LatencyJob } from './latency.ts'

/** An open loop: a slow answer does not keep the next request from being sent, so a stall shows in every request it holds up. */
const job = JSON.parse(process.argv[2] ?? '') as LatencyJob
const agent = new Agent({ keepAlive: true, maxSockets: 256 })
const histogram = createHistogram()
const warmUpMs = 300
const url = new URL(job.target, job.origin)
let failures = 0

function ask(counts: boolean): Promise<void> {
  const sentMs = performance.now()
  return new Promise((resolve) => {
    const request = get(url, { agent, headers: { accept: job.accept } }, (response) => {
      if (response.statusCode !== 200) failures += 1
      response.resume().once('end', () => {
        if (counts) histogram.record(Math.max(1, Math.round((performance.now() - sentMs) * 1e6)))
        resolve()
      })
    })
    request.once('error', () => {
      failures += 1
      resolve()
    })
  })
}

const beganMs = performance.now()
const total = Math.round(((job.seconds * 1000 + warmUpMs) / 1000) * job.rate)
const waiting: Promise<void>[] = []
for (let sent = 0; sent < total;) {
  const elapsedMs = performance.now() - beganMs
  const due = Math.min(total, Math.floor((elapsedMs / 1000) * job.rate))
  for (; sent < due; sent++) waiting.push(ask(elapsedMs > warmUpMs))
  await sleep(1)
}
await Promise.all(waiting)
agent.destroy()
const p = (share: number) => histogram.percentile(share) / 1e6
process.stdout.write(JSON.stringify({ requests: histogram.count, failures, p50Ms: p(50), p99Ms: p(99) }))
