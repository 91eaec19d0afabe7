import type { ImageMetadata } from '../image/image-metadata.ts'
import type { InputFormat, OutputFormat } from '../image/formats.ts'
import type { Capabilities } from '../negotiation/capabilities.ts'
import type { RequestedFormat } from '../params/groups/format.ts'
import type { Params } from '../params/params.ts'

/** An output format as it was chosen, `png8` and `png32` being kinds of PNG. */
export type ChosenFormat = {
  readonly format: OutputFormat
  readonly png: 'plain' | 'palette' | 'alpha'
  /** Set where `lossless` was asked for and is too much work. */
  readonly isLossy?: boolean
  readonly reason: string
}

export type FormatFacts = {
  readonly params: Params
  readonly metadata: ImageMetadata
  /** Narrowed to this URL by `narrowCapabilities`. */
  readonly capabilities: Capabilities
  /** Of one frame of the result. */
  readonly outputPixels: number
  readonly avifMaxPixels: number
}

type Choice = readonly [wanted: RequestedFormat, reason: string]

type FormatTable = ReadonlyMap<InputFormat, RequestedFormat>

/** Originals whose format every client shows; the others need auto=format, fm or a web format in their place. */
const universalFormats: FormatTable = new Map([
  ['jpeg', 'jpg'],
  ['png', 'png'],
  ['gif', 'gif'],
])
/** Formats that are kept when the URL does not ask for another one. */
const keptFormats: FormatTable = new Map([...universalFormats, ['webp', 'webp'], ['avif', 'avif']])

/** Moving pictures that can be decoded as such; TIFF pages and AVIF sequences count as still. */
export function isAnimated(metadata: ImageMetadata): boolean {
  return metadata.frames > 1 && (metadata.format === 'gif' || metadata.format === 'webp')
}

/** The output format and one sentence why (imgix `auto`, `fm`). */
export function chooseFormat(facts: FormatFacts): ChosenFormat {
  const [wanted, reason] = limitAvif(facts.params.auto?.includes('format') ? negotiated(facts) : plain(facts), facts)
  switch (wanted) {
    case 'jpg':
      return { format: 'jpeg', png: 'plain', reason }
    case 'png8':
      return { format: 'png', png: 'palette', reason }
    case 'png32':
      return { format: 'png', png: 'alpha', reason }
    case 'avif':
    case 'webp':
    case 'png':
    case 'gif':
      return { format: wanted, png: 'plain', reason }
  }
}

/** auto=format: outranks `fm` as long as the client accepts one of the new formats. */
function negotiated(facts: FormatFacts): Choice {
  const { capabilities, metadata } = facts
  if (isAnimated(metadata)) {
    if (capabilities.webp) return ['webp', 'auto=format: WebP, which the client accepts and which keeps the animation.']
    return fallback(facts)
  }
  if (capabilities.avif && facts.outputPixels <= facts.avifMaxPixels) {
    return ['avif', 'auto=format: AVIF, which the client accepts.']
  }
  if (capabilities.webp) {
    const because = capabilities.avif ? 'as the picture is above the pixel budget of AVIF' : 'which the client accepts'
    return ['webp', `auto=format: WebP, ${because}.`]
  }
  return fallback(facts)
}

/** auto=format for a client that names neither AVIF nor WebP: only what everyone can show, unless `fm` says otherwise. */
function fallback(facts: FormatFacts): Choice {
  const { params, metadata } = facts
  if (isCompressed(facts)) return compressed(facts, 'png8')
  if (params.fm) return [params.fm, `auto=format: the client accepts no new format that fits, so fm=${params.fm}.`]
  if (isAnimated(metadata)) return ['gif', 'auto=format: the client does not accept WebP, and GIF keeps the animation.']
  const kept = universalFormats.get(metadata.format)
  if (kept) return [kept, 'auto=format: the client accepts no new format that fits, so the format of the original.']
  return webFormat(facts, 'auto=format: the client accepts no new format that fits')
}

/** Without auto=format: auto=compress, then `fm`, then the format of the original. */
function plain(facts: FormatFacts): Choice {
  const { params, metadata } = facts
  if (isCompressed(facts)) return compressed(facts, 'png')
  const isOverruled = params.fm === 'gif' && params.auto?.includes('compress')
  if (params.fm && !isOverruled) return [params.fm, `fm=${params.fm} asks for it.`]
  const kept = keptFormats.get(metadata.format)
  if (kept) return [kept, 'The format of the original.']
  return webFormat(facts, `Browsers do not show ${metadata.format.toUpperCase()} as it is`)
}

/** auto=compress overrides `fm` for still pictures; animations keep moving. */
function isCompressed({ params, metadata }: FormatFacts): boolean {
  return Boolean(params.auto?.includes('compress')) && !isAnimated(metadata)
}

function compressed(facts: FormatFacts, withAlpha: 'png' | 'png8'): Choice {
  return keepsAlpha(facts) ? [withAlpha, 'auto=compress: PNG keeps the transparency.'] : ['jpg', 'auto=compress: JPEG.']
}

function webFormat(facts: FormatFacts, because: string): Choice {
  return keepsAlpha(facts) ? ['png', `${because}: PNG, which keeps the transparency.`] : ['jpg', `${because}: JPEG.`]
}

/** Whoever shows AVIF shows WebP too, so an AVIF that is asked for by name gives way as well. */
function limitAvif(choice: Choice, facts: FormatFacts): Choice {
  if (choice[0] !== 'avif' || facts.outputPixels <= facts.avifMaxPixels) return choice
  return ['webp', 'WebP, as the picture is above the pixel budget of AVIF.']
}

/** Whether there is transparency that no opaque `bg` covers; the header cannot tell whether it is used. */
export function keepsAlpha({ params, metadata }: Pick<FormatFacts, 'params' | 'metadata'>): boolean {
  const hasAlpha = metadata.hasAlpha || metadata.format === 'svg'
  return hasAlpha && params.bg?.alpha !== 1
}
