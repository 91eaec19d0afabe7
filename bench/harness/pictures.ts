import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { drawLake } from '../../scripts/drawing/draw-lake.ts'
import { developFilm, sharpOf } from '../../scripts/drawing/raster.ts'

/** Names are those of files in `folder`. */
export type Pictures = {
  readonly folder: string
  /** 1200 x 800: what hits are rendered from. */
  readonly small: string
  readonly megapixels12: string
  /** 4608 x 3456, drawn; there on every machine. */
  readonly megapixels16: string
  /** As `megapixels12`, with the grain and the quality of a phone's: 12 MB. */
  readonly phone: string
  /** Photographs, where the corpus is. */
  readonly photographs: readonly string[]
  /** From a phone, where the corpus is. */
  readonly heics: readonly string[]
}

/** Named after their drawing: another one must get another name, or an old file would be taken for it. */
const drawn = {
  small: { name: 'lake-1200x800.jpg', width: 1200, height: 800, grain: 0, quality: 88 },
  megapixels12: { name: 'lake-4032x3024.jpg', width: 4032, height: 3024, grain: 0, quality: 88 },
  megapixels16: { name: 'lake-4608x3456.jpg', width: 4608, height: 3456, grain: 0, quality: 88 },
  phone: { name: 'lake-4032x3024-grainy.jpg', width: 4032, height: 3024, grain: 60, quality: 99 },
} as const

/** 4608 x 3456, the photograph of the first measurements. */
const corpusPhotographs = ['slrhills.jpg']
const corpusHeics = ['iphone13.heic']

/** Draws what is missing; later runs find it there. */
export async function preparePictures(folder: string, corpus: string): Promise<Pictures> {
  await mkdir(folder, { recursive: true })
  for (const { name, width, height, grain, quality } of Object.values(drawn)) {
    const file = join(folder, name)
    if (existsSync(file)) continue
    const raster = drawLake(width, height)
    if (grain > 0) developFilm(raster, { seed: 3, grain, vignette: 0 })
    await writeFile(`${file}.draft`, await sharpOf(raster).jpeg({ quality }).toBuffer())
    await rename(`${file}.draft`, file)
  }
  const photographs = await fetchThose(corpusPhotographs, join(corpus, 'photos'), folder)
  const heics = await fetchThose(corpusHeics, join(corpus, 'formats'), folder)
  return {
    folder,
    small: drawn.small.name,
    megapixels12: drawn.megapixels12.name,
    megapixels16: drawn.megapixels16.name,
    phone: drawn.phone.name,
    ...{ photographs, heics },
  }
}

/** The names of those that are there. */
async function fetchThose(names: readonly string[], from: string, to: string): Promise<readonly string[]> {
  const found = names.filter((name) => existsSync(join(from, name)))
  for (const name of found) if (!existsSync(join(to, name))) await copyFile(join(from, name), join(to, name))
  return found
}

/**
 * Copies of one original under names of their own, so that each of them is a stranger to every cache. Copies, not links:
 * a new link changes the times of all others.
 */
export async function strangers(file: string, folder: string, names: readonly string[]): Promise<readonly string[]> {
  await mkdir(folder, { recursive: true })
  const bytes = await readFile(file)
  for (const name of names) await writeFile(join(folder, name), bytes)
  return names.map((name) => join(folder, basename(name)))
}
