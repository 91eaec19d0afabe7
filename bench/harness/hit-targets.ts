import { browserAccept } from './load.ts'
import type { Running } from './start-process.ts'

export type Fetched = {
  readonly body: Buffer
  readonly headers: Readonly<Record<string, string>>
  readonly status: number
}

/** Headers that a server writes by itself for every answer. */
const notCopied = new Set(['date', 'connection', 'keep-alive', 'content-length', 'transfer-encoding'])
const searchSteps = 12
const closeEnough = 0.03
const warmingAtOnce = 4

export async function fetchOnce(server: Running, target: string): Promise<Fetched> {
  const response = await fetch(`${server.origin}${target}`, { headers: { accept: browserAccept } })
  const headers = Object.fromEntries([...response.headers].filter(([name]) => !notCopied.has(name)))
  return { body: Buffer.from(await response.arrayBuffer()), headers, status: response.status }
}

/** As `fetchOnce`; throws unless the answer is 200. */
export async function fetchPicture(server: Running, target: string): Promise<Fetched> {
  const fetched = await fetchOnce(server, target)
  if (fetched.status !== 200) throw new Error(`${target} was answered ${fetched.status}: ${fetched.body.toString()}`)
  return fetched
}

/** The width at which a variant of `picture` has about `bytes` bytes. `query` may hold more params. */
export async function widthFor(server: Running, picture: string, bytes: number, query: string): Promise<number> {
  let [low, high] = [16, 2000]
  let width = 500
  for (let step = 0; step < searchSteps; step++) {
    const { length } = (await fetchPicture(server, `/${picture}?w=${width}&${query}`)).body
    if (Math.abs(length - bytes) < bytes * closeEnough) break
    if (length < bytes) low = width
    else high = width
    width = Math.round((low + high) / 2)
  }
  return width
}

/** `count` targets whose widths stand around `width`. */
export function targetsAround(picture: string, width: number, count: number, query: string): readonly string[] {
  return Array.from({ length: count }, (_, index) => `/${picture}?w=${width - (count >> 1) + index}&${query}`)
}

/** Asks for every target once, a few at a time. */
export async function warm(server: Running, targets: readonly string[]): Promise<void> {
  const waiting = [...targets]
  const work = async () => {
    for (let target = waiting.pop(); target !== undefined; target = waiting.pop()) await fetchPicture(server, target)
  }
  await Promise.all(Array.from({ length: warmingAtOnce }, work))
}
