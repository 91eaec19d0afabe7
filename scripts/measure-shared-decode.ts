import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import sharp from 'sharp'
import { lumaPlane, multiScaleSimilarity, similarity } from './structural-similarity.ts'

/**
 * Prints what a shared JPEG decode does to quality: for each width the similarity to a resize of the whole decode, of the shrink that
 * sharp itself takes (which sharing keeps to, byte for byte) and of the next stronger one, which would save a decode. Before encoding.
 */
const folder = path.resolve(import.meta.dirname, '../../shared/corpus/photos')
const widths = [320, 480, 640, 800, 1024, 1280, 1600, 2048]
const scratch = mkdtempSync(path.join(tmpdir(), 'halftone-'))

type Decoded = { readonly data: Buffer; readonly raw: { width: number; height: number; channels: 3 } }

async function decodeShrunk(file: string, shrink: number): Promise<Decoded> {
  const pipeline = sharp(`${file}[shrink=${shrink}]`).toColourspace('srgb').removeAlpha()
  const { data, info } = await pipeline.raw().toBuffer({ resolveWithObject: true })
  return { data, raw: { width: info.width, height: info.height, channels: 3 } }
}

const resize = ({ data, raw }: Decoded, width: number, height: number) =>
  sharp(data, { raw }).resize({ width, height, fit: 'fill' }).raw().toBuffer()

function shrinkOfSharp(factor: number): number {
  const shrink = factor >= 8 ? 8 : factor >= 4 ? 4 : factor >= 2 ? 2 : 1
  return shrink > 1 && Math.floor(factor) === shrink ? shrink / 2 : shrink
}

async function measure(name: string): Promise<void> {
  const bytes = readFileSync(path.join(folder, name))
  const file = path.join(scratch, 'original.jpg')
  writeFileSync(file, bytes)
  const { width: fullWidth, height: fullHeight } = await sharp(bytes).metadata()
  const levels = new Map<number, Decoded>()
  for (const shrink of [1, 2, 4, 8]) levels.set(shrink, await decodeShrunk(file, shrink))
  for (const width of widths.filter((each) => each * 2 <= fullWidth)) {
    const height = Math.round((width * fullHeight) / fullWidth)
    const shrink = shrinkOfSharp(Math.min(fullWidth / width, fullHeight / height))
    const luma = async (level: number) => lumaPlane(await resize(levels.get(level)!, width, height), width, height)
    const direct = await sharp(bytes)
      .resize({ width, height, fit: 'fill' })
      .toColourspace('srgb')
      .removeAlpha()
      .raw()
      .toBuffer()
    const isSame = direct.equals(await resize(levels.get(shrink)!, width, height))
    const reference = await luma(1)
    const score = async (level: number) => {
      const plane = await luma(level)
      return `${similarity(reference, plane).ssim.toFixed(4)} / ${multiScaleSimilarity(reference, plane).toFixed(4)}`
    }
    const stronger = shrink < 8 && fullWidth / width >= shrink * 2 ? await score(shrink * 2) : 'the same'
    console.log(
      `| ${name} | ${width} | ${shrink} | ${isSame ? 'same bytes' : 'DIFFERENT'} | ${await score(shrink)} | ${stronger} |`,
    )
  }
}

if (existsSync(folder)) {
  console.log(
    '| photograph | width | shrink | shared against direct | SSIM / MS-SSIM of that | of the next stronger shrink |',
  )
  console.log('|---|---|---|---|---|---|')
  for (const name of readdirSync(folder).filter((file) => /\.jpe?g$/.test(file))) await measure(name)
} else {
  console.log('skipped: the photographs of ../shared/corpus/photos are not there')
}
rmSync(scratch, { recursive: true })
