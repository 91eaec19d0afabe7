import type { Sharp } from 'sharp'
import type { OutputSettings } from '../planner/transform-plan.ts'

/** Timing of an animation: what GIF and WebP both store. */
export type Animation = { readonly loop: number; readonly delay: number[] }

type SettingsOf<Format extends OutputSettings['format']> = Extract<OutputSettings, { format: Format }>
type Encoder<Format extends OutputSettings['format']> = (
  pipeline: Sharp,
  settings: SettingsOf<Format>,
  animation: Animation | undefined,
) => Sharp

/** One entry per output format; numbers that no parameter sets are chosen by docs/quality.md. */
const encoders: { readonly [Format in OutputSettings['format']]: Encoder<Format> } = {
  avif: (pipeline, { quality, effort }) => pipeline.avif({ quality, effort, chromaSubsampling: '4:2:0', bitdepth: 8 }),
  webp: (pipeline, { quality, effort, lossless }, animation) =>
    pipeline.webp({ quality: Math.max(1, quality), effort, lossless, ...animation }),
  jpeg: (pipeline, { quality, progressive, mozjpeg }) =>
    // White under whatever is still transparent: the encoder itself would take black.
    pipeline.flatten({ background: '#fff' }).jpeg({
      quality,
      progressive,
      chromaSubsampling: '4:2:0',
      optimiseCoding: true,
      ...(mozjpeg ? { trellisQuantisation: true, overshootDeringing: true, quantisationTable: 3 } : {}),
      optimiseScans: mozjpeg && progressive,
    }),
  png: (pipeline, { palette, alpha }) => {
    if (palette) return pipeline.png({ palette: true, effort: 4, compressionLevel: 9 })
    const kept = alpha === 'force' ? pipeline.ensureAlpha() : pipeline
    return kept.png({ compressionLevel: 6, adaptiveFiltering: true })
  },
  gif: (pipeline, _settings, animation) => pipeline.gif({ effort: 3, ...animation }),
}

/** Puts the encoder at the end of a pipeline. */
export function encode(pipeline: Sharp, settings: OutputSettings, animation: Animation | undefined): Sharp {
  const encoder: (pipeline: Sharp, settings: never, animation: Animation | undefined) => Sharp =
    encoders[settings.format]
  return encoder(pipeline, settings as never, animation)
}
