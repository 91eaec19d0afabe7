import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { builtEntry, runHalftone, sourceEntry } from '../helpers/run-halftone.ts'
import { spawnHalftone } from '../helpers/spawn-halftone.ts'
import { projectRoot } from '../helpers/start-halftone.ts'

const preload = pathToFileURL(join(projectRoot, 'test', 'helpers', 'tell-modules.ts')).href
const telling = { NODE_OPTIONS: `--import ${preload}` }
const loadedBy = (output: string) => JSON.parse(/^loaded: (.*)$/m.exec(output)?.[1] ?? '[]') as string[]
const without = (names: readonly string[], pattern: RegExp) => names.filter((name) => pattern.test(name))

test.each([
  ['from the sources', sourceEntry, /\/src\/(app|uploads\/open-uploads)\.ts$/],
  ['bundled', builtEntry, /\/\.builds\/\w+\/(app|open-uploads)-[^/]*\.js$/],
])(
  'a server with a folder loads no client of HTTP, neither its own nor that of Node (%s)',
  async (_, entry, server) => {
    const folder = mkdtempSync(join(tmpdir(), 'halftone-modules-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const halftone = await spawnHalftone(
      { ...telling, HALFTONE_SOURCE: folder, HALFTONE_DATA_DIR: folder },
      ['serve'],
      entry,
    )
    await halftone.kill('SIGTERM')
    const loaded = loadedBy(halftone.output())
    expect(without(loaded, server)).toHaveLength(2)
    expect(without(loaded, /undici|\/node_modules\/(@aws-sdk|pg)\//)).toEqual([])
  },
)

test.each([['--version'], ['serve', '--help']])('halftone %s %s loads no server', async (...args) => {
  const { stderr } = await runHalftone(args, telling, sourceEntry)
  const loaded = loadedBy(stderr)
  expect(without(loaded, /\/src\/main\.ts$/)).toHaveLength(1)
  expect(without(loaded, /\/src\/(app|http|db|uploads)\b|\/node_modules\/(express|kysely|better-sqlite3)\//)).toEqual(
    [],
  )
})
