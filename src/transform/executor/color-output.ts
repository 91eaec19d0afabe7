import { randomUUID } from 'node:crypto'
import { rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Sharp } from 'sharp'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { OutputColor } from '../planner/transform-plan.ts'
import { adobeRgbProfile } from './adobe-rgb-profile.ts'

/**
 * Converts 16-bit input that has a profile to sRGB: for those sharp works in Display P3 and would leave the pixels there.
 * Everything else reaches sRGB by itself.
 */
export function convertToSrgb(pipeline: Sharp, metadata: ImageMetadata): Sharp {
  const isWide = metadata.colorSpace === 'rgb16' && metadata.hasProfile
  return isWide ? pipeline.withIccProfile('srgb', { attach: false }) : pipeline
}

/**
 * imgix `cs`: `origin` and `strip` are untagged sRGB, which is how every viewer reads an untagged picture; `srgb` and
 * `tinysrgb` carry libvips' 480-byte sRGB profile; `adobergb1998` is converted and tagged.
 */
export async function withOutputColor<Result>(
  pipeline: Sharp,
  color: OutputColor,
  finish: (pipeline: Sharp) => Promise<Result>,
): Promise<Result> {
  switch (color) {
    case 'origin':
    case 'strip':
      return finish(pipeline)
    case 'srgb':
    case 'tinysrgb':
      return finish(pipeline.withIccProfile('srgb'))
    case 'adobergb1998':
      return withProfileFile(adobeRgbProfile(), (path) => finish(pipeline.withIccProfile(path)))
  }
}

/** libvips reads output profiles only from files. */
async function withProfileFile<Result>(profile: Buffer, use: (path: string) => Promise<Result>): Promise<Result> {
  const path = join(tmpdir(), `halftone-${randomUUID()}.icc`)
  await writeFile(path, profile, { mode: 0o600, flag: 'wx' })
  try {
    return await use(path)
  } finally {
    await rm(path, { force: true })
  }
}
