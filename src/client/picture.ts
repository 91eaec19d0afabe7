import type { ImageDocument } from './image-document.ts'
import { placeholder } from './placeholder.ts'

export type PictureOptions = {
  /** Empty for a picture that only decorates. */
  readonly alt: string
  /** How wide it is shown, as in `<img sizes>`. */
  readonly sizes?: string
  readonly class?: string
}

type Shown = Pick<ImageDocument, 'url' | 'srcset' | 'sizes' | 'width' | 'height'> &
  Partial<Pick<ImageDocument, 'thumbhash' | 'hasAlpha' | 'dominantColor'>>

/**
 * HTML of an image that keeps its place while it loads and shows a blurred placeholder meanwhile. The format is negotiated by the
 * server, so one `<img>` is enough.
 */
export function picture(image: Shown, { alt, sizes = image.sizes, class: className }: PictureOptions): string {
  const candidates = image.srcset.split(', ').map((one) => one.split(' ')[0] ?? '')
  const attributes: Readonly<Record<string, string | number | undefined>> = {
    // For readers that know no srcset; the middle one is right for no one and wrong for no one.
    src: candidates[(candidates.length - 1) >> 1] || image.url,
    srcset: image.srcset || undefined,
    sizes,
    width: image.width,
    height: image.height,
    alt,
    class: className,
    loading: 'lazy',
    decoding: 'async',
    style: backgroundOf(image),
  }
  const written = Object.entries(attributes).map(([name, value]) =>
    value === undefined ? '' : ` ${name}="${escapeHtml(String(value))}"`,
  )
  return `<img${written.join('')}>`
}

/** Behind transparent pictures it would stay visible. */
function backgroundOf({ thumbhash, hasAlpha, dominantColor }: Shown): string | undefined {
  if (hasAlpha === true) return undefined
  if (thumbhash !== undefined) return `background:url(${placeholder(thumbhash)}) center/100% 100%`
  return dominantColor === undefined ? undefined : `background:${dominantColor}`
}

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '"': '&quot;', '<': '&lt;', '>': '&gt;' }

function escapeHtml(text: string): string {
  return text.replace(/[&"<>]/g, (one) => entities[one] ?? one)
}
