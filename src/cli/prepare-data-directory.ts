import { existsSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { ConfigFaults } from './config-faults.ts'

/** Makes the data directory and proves that it can be written. Throws ConfigFaults with the mend. */
export function prepareDataDirectory(directory: string): void {
  try {
    makeFolders(directory)
    const probe = join(directory, `.probe-${process.pid}`)
    writeFileSync(probe, '')
    rmSync(probe)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigFaults(
      `1 setting is wrong:\n  HALFTONE_DATA_DIR: ${directory} cannot be written (${reason}). Name a folder that this user may write.`,
      { cause: error },
    )
  }
}

/** One level after the other: Node's recursive mkdir never returns on file systems that refuse new folders, such as /proc. */
function makeFolders(directory: string): void {
  const missing: string[] = []
  for (let folder = resolve(directory); !existsSync(folder); folder = dirname(folder)) missing.unshift(folder)
  const lowest = dirname(missing[0] ?? join(directory, 'x'))
  if (!statSync(lowest).isDirectory()) throw new Error(`${lowest} is not a folder`)
  for (const folder of missing) mkdirSync(folder)
}
