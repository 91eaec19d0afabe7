import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The package's root folder, from `src/cli` or `dist/cli` alike. */
export const packageDirectory = fileURLToPath(new URL('../../', import.meta.url))

export function packageFacts(): { version: string } {
  return JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }
}
