import type { OriginConfig, RemoteSourceConfig } from '../../src/config/config.ts'
import { createRemoteSource, type SourceDeps, type SourceEvent } from '../../src/sources/create-remote-source.ts'
import { createSlots } from '../../src/lib/slots.ts'
import { createHostResolver } from '../../src/sources/resolve-host.ts'
import type { OriginalStore } from '../../src/sources/original-store.ts'

/** A remote source as configured, over loopback; nothing is fresh for longer than it takes to ask. */
export function remoteConfig(origin: OriginConfig, changes: Partial<RemoteSourceConfig> = {}): RemoteSourceConfig {
  return {
    name: 'remote',
    kind: origin.kind,
    origins: [origin],
    fallbackWhenAbsent: false,
    breaker: { failuresToOpen: 5, openMs: 10_000 },
    freshness: { minFreshSeconds: 0, maxFreshSeconds: 0, staleIfErrorSeconds: 0, negativeSeconds: 0 },
    limits: {
      connectTimeoutMs: 2000,
      firstByteTimeoutMs: 5000,
      idleTimeoutMs: 2000,
      totalTimeoutMs: 7000,
      maxRedirects: 3,
    },
    allowAddresses: ['127.0.0.0/8'],
    fetches: 8,
    host: undefined,
    pathPrefix: '/',
    visibility: 'public',
    signed: 'private',
    strict: false,
    defaultParams: '',
    variants: { kind: 'exact' },
    immutable: false,
    maxAgeSeconds: 0,
    staleWhileRevalidateSeconds: 0,
    maxBytes: 100_000,
    ...changes,
  }
}

/** The source with a store of its own; `events` says what happened so far, in order. */
export function openRemoteSource(config: RemoteSourceConfig, changes: Partial<SourceDeps> = {}) {
  const events: SourceEvent[] = []
  const deps: SourceDeps = {
    store: createMapStore(),
    fetching: { atOnce: 16, waiting: 16 },
    ownHosts: [],
    via: 'halftone-test',
    onEvent: (event) => void events.push(event),
    resolveHost: createHostResolver(),
    ...changes,
  }
  const turns = createSlots({ active: deps.fetching.atOnce, waiting: deps.fetching.waiting })
  return { source: createRemoteSource(config, deps, turns), events }
}

export function createMapStore(): OriginalStore & { readonly entries: Map<string, Buffer> } {
  const entries = new Map<string, Buffer>()
  return {
    entries,
    get: (key) => Promise.resolve(entries.get(key)),
    set: (key, bytes) => Promise.resolve(void entries.set(key, bytes)),
    delete: (key) => Promise.resolve(void entries.delete(key)),
  }
}
