import type { OriginConfig, RemoteSourceConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { withDeadline } from '../lib/deadline.ts'
import type { Slots } from '../lib/slots.ts'
import { createSlots } from '../lib/slots.ts'
import { parseBlocks } from './address-guard.ts'
import { createCachedSource, type CachedSourceEvent } from './cached-source.ts'
import { assertDecodedPath } from './decode-path.ts'
import { createFallbackOrigin, type FallbackEvent } from './fallback-origin.ts'
import { createGuardedClient } from './guarded-client.ts'
import { createHttpOrigin, createWebOrigin } from './http-origin.ts'
import type { OriginalStore } from './original-store.ts'
import type { RemoteOrigin } from './remote-origin.ts'
import type { ResolveHost } from './resolve-host.ts'
import { createS3Origin } from './s3-origin.ts'
import type { Source } from './source.ts'
import { assertListedHost, parseSourceUrl } from './source-url.ts'

export type SourceEvent = CachedSourceEvent | FallbackEvent | 'address_refused' | 'denied_as_absent' | 'overloaded'

/** What sources that fetch share. */
export type SourceDeps = {
  readonly store: OriginalStore
  readonly fetching: { readonly atOnce: number; readonly waiting: number }
  /** Names of this server, `host` or `host:port`: originals that it serves itself are refused as a loop. */
  readonly ownHosts: readonly string[]
  /** Names this process in `Via`. */
  readonly via: string
  /** `fields` say which origin or address it was about. */
  readonly onEvent: (event: SourceEvent, source: string, fields: Readonly<Record<string, string>>) => void
  readonly resolveHost: ResolveHost
}

/** A source over the network: origins in their order, behind the guard, the turn-taking and the original cache. */
export function createRemoteSource(config: RemoteSourceConfig, deps: SourceDeps, allTurns: Slots): Source {
  const ownTurns = createSlots({ active: config.fetches, waiting: deps.fetching.waiting })
  const emit = (event: SourceEvent, fields: Readonly<Record<string, string>> = {}) =>
    deps.onEvent(event, config.name, fields)
  const origins = config.origins.map((origin, at) => createOrigin(origin, `${origin.kind}-${String(at)}`, config, deps))
  const [first] = origins
  return createCachedSource({
    name: config.name,
    identity: JSON.stringify([config.name, ...config.origins.map(placeOf)]),
    origin:
      first !== undefined && origins.length === 1
        ? first
        : createFallbackOrigin(origins, {
            whenAbsent: config.fallbackWhenAbsent,
            breaker: config.breaker,
            onEvent: (event, origin) => emit(event, { origin }),
          }),
    store: deps.store,
    freshness: config.freshness,
    silentFreshSeconds: config.maxAgeSeconds,
    staleWhileRevalidateSeconds: config.staleWhileRevalidateSeconds,
    assertPath: pathRule(config),
    takeTurn: (signal) =>
      takeTurn([ownTurns, allTurns], config.limits.totalTimeoutMs, signal, () => emit('overloaded')),
    onEvent: (event) => emit(event),
  })
}

function createOrigin(origin: OriginConfig, name: string, config: RemoteSourceConfig, deps: SourceDeps): RemoteOrigin {
  const { limits, maxBytes, fetches: connections } = config
  const emit = (event: SourceEvent, fields: Readonly<Record<string, string>>) =>
    deps.onEvent(event, config.name, fields)
  if (origin.kind === 's3') {
    const onDeniedAsAbsent = () => emit('denied_as_absent', { origin: name })
    return createS3Origin(origin, { name, maxBytes, limits, connections, onDeniedAsAbsent })
  }
  const client = createGuardedClient({
    ...{ limits, connections, via: deps.via },
    allowed: parseBlocks(config.allowAddresses),
    ownHosts: new Set(deps.ownHosts),
    onRefused: (fields) => emit('address_refused', fields),
    resolveHost: deps.resolveHost,
  })
  client.prepare()
  return origin.kind === 'http'
    ? createHttpOrigin(origin, { name, client, maxBytes })
    : createWebOrigin(origin, { name, client, maxBytes })
}

/** A host that was taken off the list is refused at once, also what is kept of it. */
function pathRule({ origins: [first] }: RemoteSourceConfig): (path: string) => void {
  if (first.kind !== 'web') return assertDecodedPath
  return (path) => assertListedHost(parseSourceUrl(path), first.allowHosts)
}

/** One turn of each; first the own, so that a slow source fills only its own line. */
async function takeTurn(
  lines: readonly Slots[],
  timeoutMs: number,
  signal: AbortSignal,
  onFull: () => void,
): Promise<() => void> {
  const bounded = withDeadline(signal, timeoutMs)
  const held: (() => void)[] = []
  const endTurn = () => held.forEach((release) => release())
  for (const line of lines) {
    const release = await line.take(bounded)
    if (!release) {
      endTurn()
      onFull()
      throw new AppError('overloaded', { detail: 'Too many originals are being fetched.' })
    }
    held.push(release)
  }
  return endTurn
}

/** What tells one place from another, without secrets. */
function placeOf(origin: OriginConfig): readonly (string | undefined)[] {
  switch (origin.kind) {
    case 's3':
      return ['s3', origin.endpoint, origin.bucket, origin.prefix]
    case 'http':
      return ['http', origin.url]
    case 'web':
      return ['web']
  }
}
