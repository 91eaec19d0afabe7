import type { SourceConfig } from '../config/config.ts'
import { createFileSource } from './file-source.ts'
import type { Source } from './source.ts'

export type ResolvedSource = {
  readonly source: Source
  readonly config: SourceConfig
  /** The path inside the source: the prefix is cut off. */
  readonly path: string
}

/** All configured sources, and the choice among them. */
export interface SourceDirectory {
  /** `host` as in the Host header, `path` decoded. A source with that host beats those for all; then the longest prefix wins. */
  resolve(host: string | undefined, path: string): ResolvedSource | undefined
  close(): Promise<void>
}

export function createSources(configs: readonly SourceConfig[]): SourceDirectory {
  const entries = [...configs].sort(byPrecedence).map((config) => ({ config, source: createSource(config) }))
  return {
    resolve(host, path) {
      const name = hostName(host)
      for (const { config, source } of entries) {
        if (config.host !== undefined && config.host.toLowerCase() !== name) continue
        const inside = pathBelow(config.pathPrefix, path)
        if (inside !== undefined) return { source, config, path: inside }
      }
      return undefined
    },
    async close() {
      await Promise.all(entries.map(({ source }) => source.close()))
    },
  }
}

function createSource(config: SourceConfig): Source {
  switch (config.kind) {
    case 'folder':
      return createFileSource(config)
  }
}

function byPrecedence(a: SourceConfig, b: SourceConfig): number {
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
