import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { drawLake } from '../../scripts/drawing/draw-lake.ts'
import { sharpOf } from '../../scripts/drawing/raster.ts'

/** Names are those of files in `folder`. */
export type Pictures = {
  readonly folder: string
  /** 1200 x 800: what hits are rendered from. */
  readonly small: string
  readonly megapixels12: string
  /** 4608 x 3456, drawn; there on every machine. */
  readonly megapixels16: string
  /** Photographs, where the corpus is. */
  readonly photographs: readonly string[]
}

/** Named after their drawing: another one must get another name, or an old file would be taken for it. */
const drawn = {
  small: { name: 'lake-1200x800.jpg', width: 1200, height: 800 },
  megapixels12: { name: 'lake-4032x3024.jpg', width: 4032, height: 3024 },
  megapixels16: { name: 'lake-4608x3456.jpg', width: 4608, height: 3456 },
} as const

/** 4608 x 3456, the photograph of the first measurements. */
const corpusPhotographs = ['slrhills.jpg']

/** Draws what is missing; later runs find it there. */
export async function preparePictures(folder: string, corpus: string): Promise<Pictures> {
  await mkdir(folder, { recursive: true })
  for (const { name, width, height } of Object.values(drawn)) {
    const file = join(folder, name)
    if (existsSync(file)) continue
    await writeFile(`${file}.draft`, await sharpOf(drawLake(width, height)).jpeg({ quality: 88 }).toBuffer())
    await rename(`${file}.draft`, file)
  }
  const photographs = corpusPhotographs.filter((name) => existsSync(join(corpus, 'photos', name)))
  for (const name of photographs)
    if (!existsSync(join(folder, name))) await copyFile(join(corpus, 'photos', name), join(folder, name))
  return {
    folder,
    small: drawn.small.name,
    megapixels12: drawn.megapixels12.name,
    megapixels16: drawn.megapixels16.name,
    photographs,
  }
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
