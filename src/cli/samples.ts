import { readdirSync, type Dirent } from 'node:fs'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'

const picture = /\.(jpe?g|png|webp|gif|avif|svg|heic|tiff?)$/i
const maxListed = 50
const maxDepth = 3

/** Paths of a few pictures of the first public source that is served under every host, for the greeting and the playground; found once, at start. */
export function listSamples(config: Config): string[] {
  const source = config.sources
    .filter((one) => one.kind === 'folder')
    .find((one) => one.visibility === 'public' && one.signed !== 'always' && one.host === undefined)
  if (!source) return []
  const prefix = source.pathPrefix === '/' ? '' : source.pathPrefix.replace(/\/$/, '')
  return listPictures(source.folder, maxDepth).map(
    (path) => `${prefix}/${path.split('/').map(encodeURIComponent).join('/')}`,
  )
}

function listPictures(folder: string, depth: number): string[] {
  const entries = readEntries(folder).filter((entry) => !entry.name.startsWith('.'))
  const files = entries.filter((entry) => entry.isFile() && picture.test(entry.name)).map((entry) => entry.name)
  if (depth === 0) return files.slice(0, maxListed)
  const below = entries
    .filter((entry) => entry.isDirectory())
    .slice(0, maxListed)
    .flatMap((entry) => listPictures(join(folder, entry.name), depth - 1).map((path) => `${entry.name}/${path}`))
  return [...files, ...below].slice(0, maxListed)
}

function readEntries(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  } catch {
    return []
  }
}
