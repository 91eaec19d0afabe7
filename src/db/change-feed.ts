import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import { clientOptions, connectTimeoutMs, within } from './postgres-pool.ts'
import { changesChannel } from './postgres-tables.ts'

/** A number that differs from the last one whenever a row that is served may have changed, in any process. */
export type ChangeFeed = {
  /** Begins to listen when it is first asked. Cheap enough for every hit. */
  readonly read: () => number
  /** What this process changed itself is known to it before any word comes back. */
  readonly bump: () => void
  readonly close: () => Promise<void>
}

/** How often we send word to ourselves: what was committed before it comes in before it. */
const beatMs = 500

/**
 * How long after such a word was sent nothing is missed for certain. Where the connection has gone silent, what was read is believed
 * for so long at most; the usual delay of a change is that of one message.
 */
const believedMs = 2000

const reconnectMs = 500

export type FeedEvents = { readonly onDeaf: (error: unknown) => void; readonly onHearing: () => void }

/**
 * Hears of changes by LISTEN on a connection of its own. A commit sends its word after all that was committed before, so our own word
 * coming back proves that nothing up to its sending was missed; while there is no such proof, the number moves with every reading.
 */
export function createChangeFeed(url: string, events: FeedEvents): ChangeFeed {
  let mark = 0
  let provenAtMs = -Infinity
  let stop: AbortController | undefined
  let following: Promise<void> | undefined
  let isHearing = true
  const bump = () => void (mark += 1)
  const hears = () => performance.now() - provenAtMs < believedMs

  const onProven = (sentAtMs: number) => {
    if (!isHearing) events.onHearing()
    isHearing = true
    provenAtMs = sentAtMs
  }
  // Words may have been lost with the connection.
  const onLost = () => {
    provenAtMs = -Infinity
    bump()
  }
  const follow = async (signal: AbortSignal) => {
    while (!signal.aborted) {
      const error = await listen(url, { onChange: bump, onProven, onLost }, signal)
      if (signal.aborted) return
      if (isHearing) events.onDeaf(error)
      isHearing = false
      await sleep(reconnectMs, undefined, { signal }).catch(() => undefined)
    }
  }
  return {
    bump,
    read() {
      if (stop === undefined) {
        stop = new AbortController()
        following = follow(stop.signal)
      }
      if (!hears()) bump()
      return mark
    },
    async close() {
      stop ??= new AbortController()
      stop.abort()
      await following
    },
  }
}

type Heard = {
  readonly onChange: () => void
  readonly onProven: (sentAtMs: number) => void
  readonly onLost: () => void
}

/** Resolves with what ended it. */
async function listen(url: string, heard: Heard, signal: AbortSignal): Promise<unknown> {
  let client: Client | undefined
  const over = new AbortController()
  const end = (error?: unknown) => {
    heard.onLost()
    over.abort(error ?? new Error('the connection was closed'))
  }
  const stopped = () => end()
  signal.addEventListener('abort', stopped, { once: true })
  try {
    client = new Client(clientOptions(url))
    client.on('error', end)
    client.on('end', end)
    await within(connectTimeoutMs, client.connect())
    await beat(client, heard, over.signal)
    return over.signal.reason
  } catch (error) {
    heard.onLost()
    return error
  } finally {
    signal.removeEventListener('abort', stopped)
    await hangUp(client)
  }
}

async function beat(client: Client, { onChange, onProven }: Omit<Heard, 'onLost'>, signal: AbortSignal): Promise<void> {
  const own = `halftone_${randomBytes(12).toString('hex')}`
  const sent = { turn: 0, atMs: 0 }
  client.on('notification', ({ channel, payload }) => {
    if (channel !== own) return onChange()
    if (payload === String(sent.turn)) onProven(sent.atMs)
  })
  const run = (sql: string) => within(believedMs, client.query(sql))
  await run(`listen ${changesChannel}; listen ${own}`)
  // A word to ourselves need not outlive a power cut.
  await run('set synchronous_commit = off')
  while (!signal.aborted) {
    sent.turn += 1
    sent.atMs = performance.now()
    await run(`notify ${own}, '${sent.turn}'`)
    await sleep(beatMs, undefined, { signal }).catch(() => undefined)
  }
}

/** One that does not answer is cut off: nobody waits for its farewell. */
async function hangUp(client: Client | undefined): Promise<void> {
  if (!client) return
  client.removeAllListeners()
  client.on('error', () => undefined)
  await within(connectTimeoutMs, client.end()).catch(() => undefined)
}
