import type { Sharp } from 'sharp'
import type { OutputSettings } from '../planner/transform-plan.ts'

/** Timing of an animation: what GIF and WebP both store. */
export type Animation = { readonly loop: number; readonly delay: number[] }

/** What an encoder must know besides its settings. */
export type Picture = {
  readonly animation: Animation | undefined
  /** The plan has laid it on a colour of its own; sharp keeps only the last one it is told. */
  readonly isFlattened: boolean
}

type SettingsOf<Format extends OutputSettings['format']> = Extract<OutputSettings, { format: Format }>
type Encoder<Format extends OutputSettings['format']> = (
  pipeline: Sharp,
  settings: SettingsOf<Format>,
  picture: Picture,
) => Sharp

/** One entry per output format; numbers that no parameter sets are chosen by docs/quality.md. */
const encoders: { readonly [Format in OutputSettings['format']]: Encoder<Format> } = {
  avif: (pipeline, { quality, effort }) => pipeline.avif({ quality, effort, chromaSubsampling: '4:2:0', bitdepth: 8 }),
  webp: (pipeline, { quality, effort, lossless }, { animation }) =>
    pipeline.webp({ quality: Math.max(1, quality), effort, lossless, ...animation }),
  jpeg: (pipeline, { quality, progressive, mozjpeg }, { isFlattened }) => {
    // White under what is still transparent: the encoder itself would take black.
    const opaque = isFlattened ? pipeline : pipeline.flatten({ background: '#fff' })
    return opaque.jpeg({
      quality,
      progressive,
      chromaSubsampling: '4:2:0',
      optimiseCoding: true,
      ...(mozjpeg ? { trellisQuantisation: true, overshootDeringing: true, quantisationTable: 3 } : {}),
      optimiseScans: mozjpeg && progressive,
    })
  },
  png: (pipeline, { palette, alpha }) => {
    if (palette) return pipeline.png({ palette: true, effort: 4, compressionLevel: 9 })
    const kept = alpha === 'force' ? pipeline.ensureAlpha() : pipeline
    return kept.png({ compressionLevel: 6, adaptiveFiltering: true })
  },
  gif: (pipeline, _settings, { animation }) => pipeline.gif({ effort: 3, ...animation }),
}

/** Puts the encoder at the end of a pipeline. */
export function encode(pipeline: Sharp, settings: OutputSettings, picture: Picture): Sharp {
  const encoder: (pipeline: Sharp, settings: never, picture: Picture) => Sharp = encoders[settings.format]
  return encoder(pipeline, settings as never, picture)
}
