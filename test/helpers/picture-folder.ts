import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

/** A folder of originals for one suite; `remove()` takes it away. */
export function makePictureFolder(files: Readonly<Record<string, Buffer | string>>) {
  const folder = mkdtempSync(join(tmpdir(), 'halftone-originals-'))
  const write = (path: string, content: Buffer | string) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), content)
  }
  for (const [path, content] of Object.entries(files)) write(path, content)
  return { folder, write, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
