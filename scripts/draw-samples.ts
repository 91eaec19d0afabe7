import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { drawAuroraFrames, drawHalftoneFrames } from './drawing/draw-animations.ts'
import { drawBadge } from './drawing/draw-badge.ts'
import { drawLake } from './drawing/draw-lake.ts'
import { drawLighthouse } from './drawing/draw-lighthouse.ts'
import { drawMarket } from './drawing/draw-market.ts'
import { drawRing } from './drawing/draw-ring.ts'
import { sharpOf } from './drawing/raster.ts'

/** Raise it when a drawing changes: sets of another version are drawn again. A file, so that a start can look without loading what draws. */
const DRAWING_VERSION = readFileSync(new URL('./drawing/VERSION', import.meta.url), 'utf8')
const VERSION_FILE = '.drawn-version'

/** One line per sample: where it goes, and how its bytes are made. Same bytes on every run. */
const samples: Readonly<Record<string, () => Promise<Buffer>>> = {
  'photos/lake.jpg': () => lakeJpeg(2700, 1800),
  'photos/tower-portrait.jpg': towerJpeg,
  'photos/market.jpg': marketJpeg,
  'graphics/ring.png': () => sharpOf(drawRing(800)).png({ compressionLevel: 7 }).toBuffer(),
  'graphics/badge.svg': () => Promise.resolve(Buffer.from(drawBadge())),
  'animations/pulse.gif': pulseGif,
  'animations/pulse.webp': pulseWebp,
}

/** Paths of all samples below their folder. */
export const samplePaths: readonly string[] = Object.keys(samples)

/** Twelve megapixels, as from a phone: what the benchmark resizes. */
export const drawBenchPhoto = (): Promise<Buffer> => lakeJpeg(4032, 3024)

/**
 * Draws the sample pictures into `directory` unless this version of them is there already. A run that is
 * interrupted leaves the old set or none: pictures are drawn beside it and moved into place at the end.
 */
export async function drawSamples(directory: string): Promise<'drawn' | 'kept'> {
  if ((await versionOf(directory)) === DRAWING_VERSION) return 'kept'
  await mkdir(path.dirname(path.resolve(directory)), { recursive: true })
  const draft = await mkdtemp(`${path.resolve(directory)}-draft-`)
  try {
    for (const [name, draw] of Object.entries(samples)) {
      await mkdir(path.dirname(path.join(draft, name)), { recursive: true })
      await writeFile(path.join(draft, name), await draw())
    }
    await writeFile(path.join(draft, VERSION_FILE), DRAWING_VERSION)
    await moveInto(draft, directory)
  } finally {
    await rm(draft, { recursive: true, force: true })
  }
  return 'drawn'
}

function versionOf(directory: string): Promise<string | undefined> {
  return readFile(path.join(directory, VERSION_FILE), 'utf8').catch(() => undefined)
}

/** File by file, the version last: pictures that somebody added to the folder stay. */
async function moveInto(draft: string, directory: string): Promise<void> {
  for (const name of [...samplePaths, VERSION_FILE]) {
    await mkdir(path.dirname(path.join(directory, name)), { recursive: true })
    await rename(path.join(draft, name), path.join(directory, name))
  }
}

function lakeJpeg(width: number, height: number): Promise<Buffer> {
  return sharpOf(drawLake(width, height))
    .withExif({ IFD0: { ImageDescription: 'A lake at dusk', Artist: 'Halftone sample script' } })
    .jpeg({ quality: 88 })
    .toBuffer()
}

/** Upright 1200 x 1800, stored lying on its side with EXIF orientation 6, as phones do. */
async function towerJpeg(): Promise<Buffer> {
  const upright = await drawLighthouse(1200, 1800)
  return sharpOf(upright).rotate(270).withMetadata({ orientation: 6 }).jpeg({ quality: 88 }).toBuffer()
}

/** Carries a GPS position (Naschmarkt, Vienna), so that everybody can see it is gone from what is served. */
async function marketJpeg(): Promise<Buffer> {
  const position = {
    GPSLatitudeRef: 'N',
    GPSLatitude: '48/1 11/1 54/1',
    GPSLongitudeRef: 'E',
    GPSLongitude: '16/1 21/1 48/1',
  }
  return sharpOf(await drawMarket(1680, 1120))
    .withExif({ IFD0: { Make: 'Halftone', Model: 'Sample camera' }, IFD3: position })
    .jpeg({ quality: 88, chromaSubsampling: '4:4:4' })
    .toBuffer()
}

function pulseGif(): Promise<Buffer> {
  const [side, frames] = [320, 16]
  return sharpOf(drawHalftoneFrames(side, frames), side)
    .gif({ delay: Array<number>(frames).fill(70), loop: 0, effort: 3, dither: 0 })
    .toBuffer()
}

function pulseWebp(): Promise<Buffer> {
  const [size, frames] = [{ width: 420, height: 280 }, 16]
  return sharpOf(drawAuroraFrames(size, frames), size.height)
    .webp({ delay: Array<number>(frames).fill(80), loop: 0, quality: 82, effort: 0 })
    .toBuffer()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const directory = process.argv[2] ?? 'samples'
  const started = performance.now()
  const outcome = await drawSamples(directory)
  console.log(
    `${samplePaths.length} sample pictures ${outcome} in ${directory} (${Math.round(performance.now() - started)} ms)`,
  )
}
