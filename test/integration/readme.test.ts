import { readFileSync } from 'node:fs'
import { join } from 'node:path'
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

test.each([...readme.matchAll(/\]\(((?!http)[^)#]+)\)/g)].map((match) => String(match[1])))(
  'the link to %s leads somewhere',
  (path) => {
    expect(readFileSync(join(projectRoot, path), 'utf8').length).toBeGreaterThan(0)
  },
)
