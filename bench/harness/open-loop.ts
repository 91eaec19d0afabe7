import { Agent, get } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

export type OpenLoop = {
  readonly origin: string
  /** Requests a second, sent whether or not earlier ones were answered. */
  readonly rate: number
  readonly seconds: number
  readonly targetOf: (index: number) => string
  readonly accept?: string
}

/** What became of one request; `status` 0 when there was no answer. */
export type Outcome = {
  readonly status: number
  readonly retryAfter: string | undefined
  readonly ms: number
}

/** Nobody is kept waiting longer: a request without an answer by then counts as one that hangs. */
const hangMs = 60_000

/** Load of many who do not know of each other: each sends when it wants, however slow the answers to others are. */
export async function pourOpenLoop(load: OpenLoop): Promise<Outcome[]> {
  // One connection each when need be, so that nobody waits in the client for somebody else's answer.
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity })
  const total = Math.round(load.rate * load.seconds)
  const outcomes: Promise<Outcome>[] = []
  const beganMs = performance.now()
  while (outcomes.length < total) {
    const due = Math.min(total, Math.ceil(((performance.now() - beganMs) / 1000) * load.rate))
    while (outcomes.length < due) outcomes.push(askOnce(load, load.targetOf(outcomes.length), agent))
    await sleep(2)
  }
  try {
    return await Promise.all(outcomes)
  } finally {
    agent.destroy()
  }
}

function askOnce(load: Pick<OpenLoop, 'origin' | 'accept'>, target: string, agent: Agent): Promise<Outcome> {
  const sentMs = performance.now()
  const headers = load.accept === undefined ? {} : { accept: load.accept }
  return new Promise((resolve) => {
    const settle = (status: number, retryAfter?: string) =>
      resolve({ status, retryAfter, ms: performance.now() - sentMs })
    const request = get(new URL(target, load.origin), { agent, headers, timeout: hangMs }, (answer) => {
      answer.once('error', () => settle(0))
      answer
        .resume()
        .once('end', () => settle(answer.complete ? (answer.statusCode ?? 0) : 0, answer.headers['retry-after']))
    })
    request.once('timeout', () => request.destroy())
    request.once('error', () => settle(0))
  })
}

/** The value that so large a share of the outcomes stay below. */
export function latencyAt(outcomes: readonly Outcome[], share: number): number {
  const sorted = outcomes.map(({ ms }) => ms).sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

/** Requests a second that are answered when there are always `atOnce` under way: what a server manages. */
export async function capacityOf(
  origin: string,
  load: { readonly atOnce: number; readonly seconds: number; readonly targetOf: (index: number) => string },
): Promise<number> {
  const agent = new Agent({ keepAlive: true })
  const endMs = performance.now() + load.seconds * 1000
  let asked = 0
  let answered = 0
  const work = async () => {
    while (performance.now() < endMs) {
      const { status } = await askOnce({ origin }, load.targetOf((asked += 1)), agent)
      if (status === 200 && performance.now() <= endMs) answered += 1
    }
  }
  await Promise.all(Array.from({ length: load.atOnce }, work))
  agent.destroy()
  return answered / load.seconds
}
