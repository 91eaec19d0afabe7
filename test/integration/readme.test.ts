import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { drawSamples } from '../../scripts/draw-samples.ts'
import { projectRoot, startHalftone, type RunningHalftone } from '../helpers/start-halftone.ts'

const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
const targets = [...readme.matchAll(/\(http:\/\/localhost:8080(\/[^)]+)\)/g)].map((match) => String(match[1]))
const scripts = Object.keys(
  (JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { scripts: object }).scripts,
)
let halftone: RunningHalftone

beforeAll(async () => {
  await drawSamples(join(projectRoot, 'samples'))
  halftone = await startHalftone({})
})
afterAll(() => halftone.stop())

test('the README names at least five pictures', () => {
  expect(targets.filter((target) => !target.startsWith('/-/')).length).toBeGreaterThanOrEqual(5)
})

test.each(targets)('%s of the README is there', async (target) => {
  const response = await halftone.get(target, { accept: 'image/avif,image/webp,*/*' })
  expect(response.status).toBe(200)
  if (target.startsWith('/-/')) return
  const body = Buffer.from(await response.arrayBuffer())
  const width = Number(/[?&]w=(\d+)/.exec(target)?.[1] ?? 480)
  expect((await sharp(body).metadata()).width).toBe(width)
})

test.each([...readme.matchAll(/npm (?:run (?:--silent )?)?(start|test|[a-z:]+)\b/g)].map((match) => String(match[1])))(
  'npm script %s of the README exists',
  (name) => {
    expect(scripts).toContain(name)
  },
)

const documents = [
  ...['README.md', 'CONTRIBUTING.md', 'SECURITY.md', 'CHANGELOG.md'],
  ...readdirSync(join(projectRoot, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !path.startsWith('templates'))
    .map((path) => join('docs', path)),
]
const linksOf = (path: string) =>
  [...readFileSync(join(projectRoot, path), 'utf8').matchAll(/\]\(((?!http|#)[^)#\s]+)[^)]*\)/g)].map((match) =>
    String(match[1]),
  )

test.each(documents)('the links of %s lead somewhere', (path) => {
  const lost = linksOf(path).filter((link) => !existsSync(join(projectRoot, dirname(path), link)))
  expect(lost).toEqual([])
})

test('every document is reached from the README', () => {
  const reached = new Set(['README.md'])
  for (const path of reached)
    if (path.endsWith('.md')) for (const link of linksOf(path)) reached.add(join(dirname(path), link))
  expect(documents.filter((path) => !reached.has(path))).toEqual([])
})

test.each(['CONTRIBUTING.md', 'docs/architecture.md', 'docs/decisions/borders.md'])(
  'the files that %s names are there',
  (path) => {
    const files = ['src', 'test', 'scripts', 'docs'].flatMap((folder) =>
      readdirSync(join(projectRoot, folder), { recursive: true, encoding: 'utf8' }).map((file) => `/${folder}/${file}`),
    )
    const named = [...readFileSync(join(projectRoot, path), 'utf8').matchAll(/`([\w./-]+\.(?:ts|mjs|md|json))`/g)]
    const lost = named
      .map((match) => String(match[1]))
      .filter(
        (name) =>
          name !== 'index.ts' &&
          !existsSync(join(projectRoot, name)) &&
          !files.some((file) => file.endsWith(`/${name}`)),
      )
    expect(named.length).toBeGreaterThan(0)
    expect(lost).toEqual([])
  },
)
