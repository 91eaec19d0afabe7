import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RenderConfig } from '../../config/config.ts'

/** Raised by hand when planner or executor start to write other bytes for the same params. */
const renderingRevision = 4

/** Packages that decide pixels: libvips comes with sharp, libheif with heic-decode, SVG is rewritten through saxes. */
const encoders = ['sharp', 'heic-decode', 'saxes']

/**
 * Names everything beside original and params that decides output bytes: the encoder library and the settings that steer it.
 * It is part of every cache key, so an upgrade or a changed setting never serves old bytes under a new promise.
 */
export function encoderEpoch(config: RenderConfig): string {
  const { maxOutputSide, avifMaxPixels, avifEffort, webpEffort, mozjpeg, maxFrames, maxPixels } = config
  const facts = [
    renderingRevision,
    ...encoders.map(versionOf),
    maxOutputSide,
    avifMaxPixels,
    avifEffort,
    webpEffort,
    mozjpeg,
    maxFrames,
    maxPixels,
  ]
  return createHash('sha256').update(JSON.stringify(facts)).digest('base64url').slice(0, 8)
}

/** Read from the file, because importing sharp would load libvips into the front; so these packages must be installed, bundled or not. */
function versionOf(name: string): string {
  const [packageUrl] = import.meta.resolve(name).match(new RegExp(`^.*/node_modules/${name}/`)) ?? []
  const manifest = JSON.parse(readFileSync(new URL('package.json', packageUrl), 'utf8')) as { version: string }
  return manifest.version
}
