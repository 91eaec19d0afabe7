import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RenderConfig } from '../../config/config.ts'

/** Raised by hand when planner or executor start to write other bytes for the same params. */
const renderingRevision = 1

/**
 * Names everything beside original and params that decides output bytes: the encoder library and the settings that steer it.
 * It is part of every cache key, so an upgrade or a changed setting never serves old bytes under a new promise.
 */
export function encoderEpoch(config: RenderConfig): string {
  const { maxOutputSide, avifMaxPixels, avifEffort, webpEffort, mozjpeg, maxFrames } = config
  const facts = [
    renderingRevision,
    sharpVersion(),
    maxOutputSide,
    avifMaxPixels,
    avifEffort,
    webpEffort,
    mozjpeg,
    maxFrames,
  ]
  return createHash('sha256').update(JSON.stringify(facts)).digest('base64url').slice(0, 8)
}

/** Read from the file, because importing sharp would load libvips into the front. */
function sharpVersion(): string {
  const [packageUrl] = import.meta.resolve('sharp').match(/^.*\/node_modules\/sharp\//) ?? []
  const manifest = JSON.parse(readFileSync(new URL('package.json', packageUrl), 'utf8')) as { version: string }
  return manifest.version
}
