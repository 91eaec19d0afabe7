import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The package's root folder. */
export const packageDirectory = nearestPackage(import.meta.dirname)

export function packageFacts(): { version: string } {
  return JSON.parse(readFileSync(join(packageDirectory, 'package.json'), 'utf8')) as { version: string }
}

/** This code may stand in `src/cli`, in `dist`, or in a bundle somewhere else in the package. */
function nearestPackage(folder: string): string {
  const above = dirname(folder)
  return existsSync(join(folder, 'package.json')) || above === folder ? folder : nearestPackage(above)
}
