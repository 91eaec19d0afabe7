import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Sharp } from 'sharp'
import sharp from 'sharp'
import { lumaPlane, multiScaleSimilarity, similarity } from './structural-similarity.ts'
import type { Plane } from './structural-similarity.ts'

/**
 * Finds the WebP and AVIF qualities that look like plain JPEG at the same `q`, and writes docs/quality.md. The table
 * there is copied by hand into planner/choose-quality.ts: a measurement proposes, a person decides.
 */
const root = path.resolve(import.meta.dirname, '..')
const folder = path.resolve(root, '../shared/corpus/quality')
const jpegQualities = [20, 30, 45, 60, 75, 82, 90, 95]
const grid = [5, 12, 20, 28, 36, 44, 52, 60, 68, 76, 82, 88, 93, 97]

sharp.cache(false)
sharp.concurrency(1)

type Sample = {
  readonly quality: number
  readonly ssim: number
  readonly msssim: number
  readonly bytes: number
  readonly cpuMs: number
}
type Encoder = (picture: Sharp, quality: number) => Sharp
type Original = { readonly raw: Buffer; readonly width: number; readonly height: number; readonly luma: Plane }

const encoders = {
  jpeg: (picture, quality) => picture.jpeg({ quality, progressive: true, chromaSubsampling: '4:2:0' }),
  'jpeg (mozjpeg)': (picture, quality) => picture.jpeg({ quality, mozjpeg: true, chromaSubsampling: '4:2:0' }),
  'webp effort 2': (picture, quality) => picture.webp({ quality, effort: 2 }),
  'webp effort 4': (picture, quality) => picture.webp({ quality, effort: 4 }),
  'avif effort 0': (picture, quality) => picture.avif({ quality, effort: 0, chromaSubsampling: '4:2:0', bitdepth: 8 }),
  'avif effort 1': (picture, quality) => picture.avif({ quality, effort: 1, chromaSubsampling: '4:2:0', bitdepth: 8 }),
} as const satisfies Record<string, Encoder>
type EncoderName = keyof typeof encoders

async function measure(originals: readonly Original[], encode: Encoder, quality: number): Promise<Sample> {
  const sum = { ssim: 0, msssim: 0, bytes: 0, cpuMs: 0 }
  for (const { raw, width, height, luma } of originals) {
    const before = process.cpuUsage()
    const encoded = await encode(sharp(raw, { raw: { width, height, channels: 3 } }), quality).toBuffer()
    const { user, system } = process.cpuUsage(before)
    const decoded = lumaPlane(await sharp(encoded).removeAlpha().raw().toBuffer(), width, height)
    sum.ssim += similarity(luma, decoded).ssim
    sum.msssim += multiScaleSimilarity(luma, decoded)
    sum.bytes += encoded.length
    sum.cpuMs += (user + system) / 1000
  }
  const count = originals.length
  return {
    quality,
    ssim: sum.ssim / count,
    msssim: sum.msssim / count,
    bytes: sum.bytes / count,
    cpuMs: sum.cpuMs / count,
  }
}

/** The sample a curve would have where a metric takes a value, linear between the measured ones. */
function at(curve: readonly Sample[], metric: 'ssim' | 'msssim', value: number): Sample {
  const upperIndex = Math.min(
    curve.length - 1,
    Math.max(
      1,
      curve.findIndex((sample) => sample[metric] >= value),
    ),
  )
  const [lower, upper] = [curve[upperIndex - 1]!, curve[upperIndex]!]
  const share = Math.min(1.5, (value - lower[metric]) / (upper[metric] - lower[metric]))
  const mix = (key: keyof Sample) => lower[key] + share * (upper[key] - lower[key])
  return { quality: mix('quality'), ssim: mix('ssim'), msssim: mix('msssim'), bytes: mix('bytes'), cpuMs: mix('cpuMs') }
}

async function readOriginals(): Promise<Original[]> {
  const files = readdirSync(folder).filter((file) => file.endsWith('.png'))
  return Promise.all(
    files.map(async (file) => {
      const { data: raw, info } = await sharp(path.join(folder, file))
        .removeAlpha()
        .raw()
        .toBuffer({ resolveWithObject: true })
      return { raw, width: info.width, height: info.height, luma: lumaPlane(raw, info.width, info.height) }
    }),
  )
}

function row(cells: readonly (string | number)[]): string {
  return `| ${cells.join(' | ')} |`
}

function cell(sample: Sample): string {
  return `${Math.round(sample.quality)} (${(sample.bytes / 1024).toFixed(1)} kB, ${Math.round(sample.cpuMs)} ms)`
}

function report(curves: Readonly<Record<EncoderName, readonly Sample[]>>, pictures: number): string {
  const names = (Object.keys(encoders) as EncoderName[]).filter((name) => name !== 'jpeg')
  const table = (metric: 'ssim' | 'msssim') => [
    row(['q = plain JPEG quality', metric === 'ssim' ? 'SSIM' : 'MS-SSIM', ...names]),
    row(Array<string>(names.length + 2).fill('---')),
    ...curves.jpeg.map((jpeg) =>
      row([
        `${jpeg.quality} (${(jpeg.bytes / 1024).toFixed(1)} kB, ${Math.round(jpeg.cpuMs)} ms)`,
        jpeg[metric].toFixed(4),
        ...names.map((name) => cell(at(curves[name], metric, jpeg[metric]))),
      ]),
    ),
  ]
  return [
    '# Qualities that look alike',
    '',
    'Written by `node scripts/measure-quality.ts`. The same `q` must look alike in every format, so the qualities of WebP and AVIF are those',
    `whose mean luma similarity to the original equals that of plain JPEG (4:2:0) at \`q\`. ${pictures} lossless photographs of 768x512, sharp`,
    `${sharp.versions.sharp}, libvips ${sharp.versions.vips}. Each cell: encoder quality (bytes, CPU ms, mean of all pictures).`,
    '',
    '## Equal MS-SSIM (five scales)',
    ...table('msssim'),
    '',
    '## Equal SSIM (one scale, 8x8 windows)',
    ...table('ssim'),
    '',
  ].join('\n')
}

if (existsSync(folder)) {
  const originals = await readOriginals()
  const curves = {} as Record<EncoderName, Sample[]>
  for (const name of Object.keys(encoders) as EncoderName[]) {
    curves[name] = []
    for (const quality of name === 'jpeg' ? jpegQualities : grid)
      curves[name].push(await measure(originals, encoders[name], quality))
  }
  const decisions = path.join(root, 'docs/quality.md')
  const kept = existsSync(decisions) ? readFileSync(decisions, 'utf8').split('\n## Decided')[1] : undefined
  const text = report(curves, originals.length) + (kept === undefined ? '' : `\n## Decided${kept}`)
  writeFileSync(decisions, text)
  console.log(text)
} else {
  console.log('skipped: the pictures of ../shared/corpus/quality are not there')
}
