import type { Config } from './config.ts'

/**
 * The names under which originals would come from this very server, as `host` or `host:port`. Requests that come back
 * under a name nobody wrote down are known by their `Via`.
 */
export function ownHostsOf({ server, sources }: Pick<Config, 'server' | 'sources'>): string[] {
  const { host, port, publicUrl } = server
  return [
    ...sources.flatMap((source) => (source.host === undefined ? [] : [source.host])),
    ...(publicUrl === undefined ? [] : [new URL(publicUrl).hostname]),
    ...[host, 'localhost', '127.0.0.1', '::1'].map((name) => `${name}:${port}`),
  ]
}
