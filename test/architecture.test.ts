import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { factsOf, findFaults } from './helpers/architecture-rules.ts'

const root = path.resolve(import.meta.dirname, '../src')

const sourceFiles = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .map((file) => file.replaceAll(path.sep, '/'))
  .filter((file) => /\.[cm]?[jt]s$/.test(file))

test('the walls of src/ stand', () => {
  expect(sourceFiles.length).toBeGreaterThan(10)
  expect(findFaults(sourceFiles.map((file) => factsOf(file, readFileSync(path.join(root, file), 'utf8'))))).toEqual([])
})

describe('the rules bite', () => {
  test.each([
    ['an import up', 'cache/disk-tier.ts', '../delivery/cache-key.ts', 'imports run down'],
    ['an import up from a file of the root', 'errors.ts', './config/config.ts', 'rooms of one floor'],
    [
      'a neighbour on the same floor',
      'delivery/deliver-image.ts',
      '../uploads/upload-state.ts',
      'rooms of one floor (3)',
    ],
    ['another room of floor 2', 'sources/file-source.ts', '../transform/image/formats.ts', 'rooms of one floor (2)'],
    ['floor 0 importing floor 0', 'config/load-config.ts', '../lib/text.ts', 'rooms of one floor (0)'],
    [
      'up inside transform',
      'transform/params/registry.ts',
      '../planner/plan-transform.ts',
      'the order inside transform/',
    ],
    [
      'up from the bottom of transform',
      'transform/image/formats.ts',
      '../executor/encode.ts',
      'the order inside transform/',
    ],
    ['out of src', 'lib/text.ts', '../../test/helpers/draw-picture.ts', 'leaves src/'],
    ['into the playground', 'http/playground-routes.ts', '../playground/playground.js', 'tied to nothing'],
    ['out of the playground', 'playground/playground.js', '../transform/image/formats.ts', 'tied to nothing'],
    ['into the client', 'http/client-routes.ts', '../client/client.ts', 'client/ is tied to nothing'],
    ['out of the client', 'client/client.ts', '../lib/deadline.ts', 'client/ is tied to nothing'],
    ['a package in the client', 'client/placeholder.ts', 'thumbhash', 'client/ has no dependencies'],
    ['Node in the client', 'client/send-bytes.ts', 'node:http', 'client/ has no dependencies'],
    ['a package away from home', 'delivery/deliver-image.ts', 'sharp', 'lives elsewhere'],
    ['a part of a package away from home', 'app.ts', 'pino/file', 'lives elsewhere'],
    ['a scoped package away from home', 'sources/create-sources.ts', '@aws-sdk/client-s3', 'lives elsewhere'],
    ['a file outside any floor', 'rendering/render.ts', 'node:fs', 'no floor for "rendering"'],
    ['a file loose in transform', 'transform/render.ts', 'node:fs', 'belongs in a room of transform/'],
    ['an index file', 'cache/index.ts', 'node:fs', 'no index files'],
    ['a name that says nothing', 'lib/string-utils.ts', 'node:fs', '"utils" says nothing'],
  ])('%s', (_, file, specifier, fault) => {
    const faults = findFaults([{ file, imports: [specifier] }])
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(fault)
  })

  test('a package that is not in the table has one home', () => {
    const first = { file: 'http/a.ts', imports: ['range-parser'] }
    expect(findFaults([first, { file: 'http/b.ts', imports: ['range-parser'] }])).toEqual([])
    expect(findFaults([first, { file: 'cli/c.ts', imports: ['range-parser'] }])).toEqual([
      'package range-parser has 2 homes: cli, http',
    ])
    const inTransform = ['params', 'image'].map((room) => ({ file: `transform/${room}/d.ts`, imports: ['color-name'] }))
    expect(findFaults(inTransform)).toHaveLength(1)
  })

  test.each([
    ['a default export', 'export default function start() {}', 'no default exports'],
    ['a default export by another name', 'const a = 1\nexport { a as default }', 'no default exports'],
    ['a default expression', 'export default { a: 1 }', 'no default exports'],
    ['a barrel', "export * from './a.ts'\nexport { b } from './b.ts'", 'no barrels'],
    ['the environment', 'export const port = process.env.PORT', 'the environment is read in'],
    ['the environment, taken apart', 'const { env } = process', 'the environment is read in'],
    ['the environment, by key', "const env = process['env']", 'the environment is read in'],
    [
      'the environment, imported',
      "import { env } from 'node:process'\nexport const port = env.PORT",
      'the environment is read in',
    ],
    ['a fetch past the door', "export const ask = () => fetch('http://a')", 'the network is reached by'],
    ['a request past the door', "import { request as ask } from 'node:https'\nexport const a = ask", 'the network is'],
    ['a socket past the door', "import net from 'node:net'\nexport const a = net", 'the network is reached by'],
    [
      'a socket loaded while running',
      "export const a = process.getBuiltinModule('node:net')",
      'the network is reached',
    ],
    ['an export that says nothing', 'export type CacheManager = { a: 1 }', '"manager" says nothing'],
    ['a type-only import up', "import type { App } from '../app.ts'", 'imports run down'],
    ['a dynamic import up', "export const load = () => import('../http/create-server.ts')", 'imports run down'],
    ['a re-export up', "export { a } from '../http/create-server.ts'\nexport const b = 1", 'imports run down'],
  ])('%s', (_, text, fault) => {
    const faults = findFaults([factsOf('lib/text.ts', text)])
    expect(faults).toHaveLength(1)
    expect(faults[0]).toContain(fault)
  })

  test('what opens connections is not given out by what serves', () => {
    const text = "export const { createServer, request } = process.getBuiltinModule('node:http')"
    expect(findFaults([factsOf('lib/node-http.ts', text)])).toEqual([
      'lib/node-http.ts: gives out what serves only, not request',
    ])
  })

  test('comments and strings do not mislead it', () => {
    const text = "// import '../app.ts' and process.env\nexport const text = \"import x from '../app.ts'; process.env\""
    expect(findFaults([factsOf('lib/text.ts', text)])).toEqual([])
  })

  test('what the floors allow passes', () => {
    expect(
      findFaults([
        {
          file: 'delivery/deliver-image.ts',
          imports: ['../cache/cache-tier.ts', '../errors.ts', './cache-key.ts', 'node:crypto'],
        },
        {
          file: 'transform/executor/encode.ts',
          imports: ['sharp', '../image/formats.ts', '../planner/transform-plan.ts'],
        },
        { file: 'config/load-config.ts', imports: ['zod'], readsEnvironment: true },
        { file: 'signing/share-token.ts', imports: ['jose'] },
        { file: 'playground/playground.js', imports: ['./param-controls.js'] },
      ]),
    ).toEqual([])
  })
})
