import { blendColors, transparent, white } from '../image/color.ts'
import type { Color } from '../image/color.ts'
import type { OutputFormat } from '../image/formats.ts'
import { outputFormats } from '../image/formats.ts'
import type { ImageMetadata } from '../image/image-metadata.ts'
import type { ExtendFill, Operation } from '../image/operation.ts'
import type { Params } from '../params/params.ts'
import type { Layout } from './resolve-size.ts'

type FillRequest = {
  readonly layout: Layout
  readonly params: Params
  readonly metadata: ImageMetadata
  readonly format: OutputFormat
}

/** The canvas around a contained picture and the colour under a transparent one. */
export function fillOperations(request: FillRequest): readonly Operation[] {
  const canvas = canvasFill(request)
  const extended = canvas
    ? [extendOperation(request.layout, canvas)].filter((operation) => operation !== undefined)
    : []
  const hasAlphaGaps = extended.some(({ fill }) => fill.kind === 'color' && fill.color.alpha < 1)
  const hasAlpha = request.metadata.hasAlpha || request.metadata.format === 'svg' || hasAlphaGaps
  const color = hasAlpha ? flattenColor(request) : undefined
  return color ? [...extended, { op: 'flatten', color }] : extended
}

function canvasFill({ layout, params, format }: FillRequest): ExtendFill | undefined {
  if (layout.kind !== 'contain') return undefined
  if (layout.gap === 'edge') return { kind: 'edge' }
  if (params.fill === 'blur') return { kind: 'blur' }
  const preset = outputFormats[format].alpha ? transparent : white
  return { kind: 'color', color: params['fill-color'] ?? params.bg ?? preset }
}

type Extend = Extract<Operation, { op: 'extend' }>

function extendOperation(layout: Layout, fill: ExtendFill): Extend | undefined {
  if (layout.kind !== 'contain') return undefined
  const x = layout.size.width - layout.scaled.width
  const y = layout.size.height - layout.scaled.height
  if (x === 0 && y === 0) return undefined
  const left = Math.floor(x / 2)
  const top = Math.floor(y / 2)
  return { op: 'extend', top, right: x - left, bottom: y - top, left, fill }
}

/** Opaque formats need a colour under the picture; others get one when an opaque `bg` asks for it. */
function flattenColor({ params: { bg }, format }: FillRequest): Color | undefined {
  if (outputFormats[format].alpha) return bg?.alpha === 1 ? bg : undefined
  return bg ? blendColors(bg, white) : white
}
