import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** Whether the sample pictures of this clone are there, as they are drawn now. Looked up here: the script takes half a second to load. */
export function areDrawn(packageDirectory: string): boolean {
  const drawn = join(packageDirectory, 'samples', '.drawn-version')
  const wanted = join(packageDirectory, 'scripts', 'drawing', 'VERSION')
  return existsSync(drawn) && readFileSync(drawn, 'utf8') === readFileSync(wanted, 'utf8')
}
