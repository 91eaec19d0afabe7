import type { SourceConfig, SourcePolicy, UploadSourceConfig } from '../config/config.ts'
import { AppError } from '../errors.ts'
import { createSlots } from '../lib/slots.ts'
import { createRemoteSource, type SourceDeps } from './create-remote-source.ts'
import { decodePath } from './decode-path.ts'
import { createFileSource } from './file-source.ts'
import { createEmptyStore } from './original-store.ts'
import { createHostResolver } from './resolve-host.ts'
import type { Source } from './source.ts'
import { decodeWebPath, rawPathBelow } from './web-path.ts'

export type ResolvedSource = {
  readonly source: Source
  readonly config: SourceConfig | UploadSourceConfig
  /** The decoded path inside the source, its prefix cut off; of a web source the URL of the original. */
  readonly path: string
}

/** All configured sources, and the choice among them. */
export interface SourceDirectory {
  /**
   * `host` as in the Host header, `rawPath` as sent: the kind of source decides how it is decoded. A source with that
   * host beats those for all; then the longest prefix wins. Throws `path_invalid` or `source_url_invalid`.
   */
  resolve(host: string | undefined, rawPath: string): ResolvedSource | undefined
  close(): Promise<void>
}

/** For one-off work: nothing fetched is kept, and nobody watches. */
function plainDeps(): SourceDeps {
  return {
    store: createEmptyStore(),
    fetching: { atOnce: 4, waiting: 0 },
    ownHosts: [],
    via: 'halftone',
    onEvent: () => {},
    resolveHost: createHostResolver(),
  }
}

/** `uploads`: the uploaded images, where there are any. */
export function createSources(
  configs: readonly SourceConfig[],
  deps: SourceDeps = plainDeps(),
  uploads?: { readonly source: Source; readonly config: UploadSourceConfig },
): SourceDirectory {
  const turns = createSlots({ active: deps.fetching.atOnce, waiting: deps.fetching.waiting })
  const configured = configs.map((config) => {
    const source = config.kind === 'folder' ? createFileSource(config) : createRemoteSource(config, deps, turns)
    return { config, source }
  })
  const entries = [...configured, ...(uploads ? [uploads] : [])].sort((a, b) => byPrecedence(a.config, b.config))
  return {
    resolve(host, rawPath) {
      const name = hostName(host)
      const path = tryDecode(rawPath)
      for (const { config, source } of entries) {
        if (config.host !== undefined && config.host.toLowerCase() !== name) continue
        const inside = insideOf(config, rawPath, path)
        if (inside !== undefined) return { source, config, path: inside }
      }
      if (path instanceof AppError) throw path
      return undefined
    },
    async close() {
      await Promise.all(entries.map(({ source }) => source.close()))
    },
  }
}

/** A path that no folder can have may still be one of a web source, whose URLs hold encoded slashes. */
function tryDecode(rawPath: string): string | AppError {
  try {
    return decodePath(rawPath)
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

function insideOf(
  config: SourceConfig | UploadSourceConfig,
  rawPath: string,
  path: string | AppError,
): string | undefined {
  if (config.kind !== 'web') return typeof path === 'string' ? pathBelow(config.pathPrefix, path) : undefined
  const raw = rawPathBelow(config.pathPrefix, rawPath)
  return raw === undefined ? undefined : decodeWebPath(raw)
}

function byPrecedence(a: SourcePolicy, b: SourcePolicy): number {
  const byHost = Number(b.host !== undefined) - Number(a.host !== undefined)
  return byHost !== 0 ? byHost : b.pathPrefix.length - a.pathPrefix.length
}

/** Without port and the root dot, in lower case (RFC 9110 4.2.3); an IPv6 address keeps its brackets. */
function hostName(host: string | undefined): string | undefined {
  return host
    ?.toLowerCase()
    .replace(/:\d*$/, '')
    .replace(/(?<=[^.])\.$/, '')
}

/** The path after a prefix that ends at a segment boundary, or undefined. */
function pathBelow(prefix: string, path: string): string | undefined {
  const bare = prefix.replace(/\/$/, '')
  if (bare === '') return path
  if (path === bare) return '/'
  return path.startsWith(`${bare}/`) ? path.slice(bare.length) : undefined
}
