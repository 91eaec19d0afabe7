import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { drawLake } from '../../../scripts/drawing/draw-lake.ts'
import { drawSamples, samplePaths } from '../../../scripts/draw-samples.ts'
import { colorAt } from '../../helpers/draw-picture.ts'

let parent: string
let directory: string

beforeAll(async () => {
  parent = await mkdtemp(path.join(tmpdir(), 'halftone-samples-'))
  directory = path.join(parent, 'samples')
  await drawSamples(directory)
})

afterAll(() => rm(parent, { recursive: true, force: true }))

const sample = (name: string) => readFile(path.join(directory, name))

describe('the sample pictures', () => {
  test('are all there, with nothing left beside them, and small enough for a first start', async () => {
    const sizes = await Promise.all(samplePaths.map(async (name) => (await stat(path.join(directory, name))).size))
    expect(sizes.every((size) => size > 1000)).toBe(true)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(6_000_000)
    expect(await readdir(parent)).toEqual(['samples'])
  })

  test('a portrait is stored lying, marked with orientation 6, and stands upright when that is honoured', async () => {
    const tower = await sample('photos/tower-portrait.jpg')
    const stored = await sharp(tower).metadata()
    expect(stored.orientation).toBe(6)
    expect(stored.width).toBeGreaterThan(stored.height)
    const upright = await sharp(tower).autoOrient().toBuffer()
    const [skyRed, , skyBlue] = await colorAt(upright, 0.1, 0.02)
    const [towerRed, , towerBlue] = await colorAt(upright, 0.5, 0.32)
    expect(skyBlue).toBeGreaterThan(skyRed * 1.5)
    expect(towerRed).toBeGreaterThan(towerBlue * 1.5)
  })

  test('one photo carries a GPS position', async () => {
    const { exif } = await sharp(await sample('photos/market.jpg')).metadata()
    expect(exif).toBeDefined()
    // Tag 0x8825 points to the GPS directory, little endian.
    expect(exif?.includes(Buffer.from([0x25, 0x88, 0x04, 0x00]))).toBe(true)
  })

  test('a PNG has alpha from nothing to full with soft steps between', async () => {
    const alpha = await sharp(await sample('graphics/ring.png'))
      .extractChannel('alpha')
      .raw()
      .toBuffer()
    const levels = new Set(alpha)
    expect(levels.has(0) && levels.has(255)).toBe(true)
    expect(levels.size).toBeGreaterThan(100)
  })

  test.each(['animations/pulse.gif', 'animations/pulse.webp'])('%s has a dozen frames or more', async (name) => {
    const { pages, delay } = await sharp(await sample(name)).metadata()
    expect(pages).toBeGreaterThanOrEqual(12)
    expect(delay?.every((milliseconds) => milliseconds > 0)).toBe(true)
  })

  test('an SVG has gradients and nothing that runs or reaches out', async () => {
    const svg = (await sample('graphics/badge.svg')).toString()
    expect(svg).toContain('<linearGradient')
    expect(svg).not.toMatch(/<script|\son\w+=|href=|<foreignObject|<!DOCTYPE|<!ENTITY/i)
  })
})

describe('drawing', () => {
  test('gives the same pixels every time', () => {
    const hashes = [1, 2].map(() => createHash('sha256').update(drawLake(300, 200).pixels).digest('hex'))
    expect(hashes[0]).toBe(hashes[1])
  })

  test('keeps a finished set, and completes one of another version without touching added pictures', async () => {
    const lake = path.join(directory, 'photos/lake.jpg')
    await writeFile(lake, 'altered')
    await writeFile(path.join(directory, 'mine.txt'), 'mine')
    expect(await drawSamples(directory)).toBe('kept')
    expect(await readFile(lake, 'utf8')).toBe('altered')
    await writeFile(path.join(directory, '.drawn-version'), '0\n')
    expect(await drawSamples(directory)).toBe('drawn')
    expect((await sharp(lake).metadata()).format).toBe('jpeg')
    expect(await readFile(path.join(directory, 'mine.txt'), 'utf8')).toBe('mine')
  })
})
