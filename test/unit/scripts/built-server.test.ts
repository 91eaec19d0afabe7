import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { builtServer } from '../../../scripts/built-server.mjs'
import { projectRoot } from '../../helpers/start-halftone.ts'

const bundles = `import { mkdirSync, writeFileSync } from 'node:fs'
mkdirSync(process.argv[2]!, { recursive: true })
writeFileSync(process.argv[2] + '/main.js', 'bundled')
`

/** A repository with a script in place of the one that bundles. */
function makeClone(script = bundles) {
  const root = mkdtempSync(join(tmpdir(), 'halftone-built-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  for (const folder of ['src/deep', 'scripts']) mkdirSync(join(root, folder), { recursive: true })
  writeFileSync(join(root, 'package-lock.json'), '{}')
  writeFileSync(join(root, 'scripts/bundle-server.ts'), script)
  writeFileSync(join(root, 'src/deep/part.ts'), 'part')
  const builds = join(root, '.builds')
  return { root, builds: () => readdirSync(builds) }
}

test('a state of the sources is bundled once', () => {
  const { root, builds } = makeClone()
  const main = builtServer(root)
  expect(readFileSync(main, 'utf8')).toBe('bundled')
  writeFileSync(join(root, 'README.md'), 'nothing to do with it')
  rmSync(main)
  writeFileSync(main, 'the same again')
  expect(builtServer(root)).toBe(main)
  expect(readFileSync(main, 'utf8')).toBe('the same again')
  expect(builds()).toHaveLength(1)
})

test.each<[string, (root: string) => void]>([
  ['a source', (root) => writeFileSync(join(root, 'src/deep/part.ts'), 'changed')],
  ['the time of a source', (root) => utimesSync(join(root, 'src/deep/part.ts'), 1, 1)],
  ['a new source', (root) => writeFileSync(join(root, 'src/new.ts'), '')],
  ['a source that is gone', (root) => rmSync(join(root, 'src/deep/part.ts'))],
  ['the packages', (root) => writeFileSync(join(root, 'package-lock.json'), '{"a":1}')],
  ['the script', (root) => writeFileSync(join(root, 'scripts/bundle-server.ts'), `${bundles}// changed`)],
])('%s makes another bundle, and the one before stays for a server that runs from it', (_, change) => {
  const { root, builds } = makeClone()
  const before = builtServer(root)
  change(root)
  expect(builtServer(root)).not.toBe(before)
  expect(builds()).toHaveLength(2)
})

test('of many, the twenty that were used last are kept', () => {
  const { root, builds } = makeClone()
  const main = builtServer(root)
  const folder = (name: string) => join(main, '..', '..', name)
  for (let age = 1; age <= 25; age += 1) {
    mkdirSync(folder(`old-${age}`))
    utimesSync(folder(`old-${age}`), 1e6 - age, 1e6 - age)
  }
  utimesSync(join(main, '..'), 1, 1)
  // Used, so that it is the newest.
  expect(builtServer(root)).toBe(main)
  writeFileSync(join(root, 'src/new.ts'), '')
  const next = builtServer(root)
  expect(builds()).toHaveLength(20)
  for (const kept of [main, next]) expect(readFileSync(kept, 'utf8')).toBe('bundled')
  expect(builds()).toEqual(expect.arrayContaining(['old-1', 'old-18']))
})

test('several that bundle the same at once all get it, and nothing half done stays', async () => {
  const { root, builds } = makeClone()
  const script = `import { builtServer } from ${JSON.stringify(pathToFileURL(join(projectRoot, 'scripts/built-server.mjs')).href)}
console.log(builtServer(${JSON.stringify(root)}))`
  const run = promisify(execFile)
  const told = await Promise.all(
    Array.from({ length: 4 }, () => run(process.execPath, ['--input-type=module', '--eval', script])),
  )
  expect(new Set(told.map(({ stdout }) => stdout.trim()))).toEqual(new Set([builtServer(root)]))
  expect(builds()).toHaveLength(1)
})

test('what cannot be bundled runs from the sources, the reason is told, and nothing half done stays', () => {
  const { root, builds } = makeClone(`${bundles}throw new Error('no room')`)
  const reasons: string[] = []
  expect(builtServer(root, { onFailure: (reason) => reasons.push(reason) })).toBe(join(root, 'src', 'main.ts'))
  expect(reasons.join()).toContain('no room')
  expect(builds()).toEqual([])
})
