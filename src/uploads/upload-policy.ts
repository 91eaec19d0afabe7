import type { KindConfig, ProjectConfig } from '../config/config.ts'
import type { Visibility } from '../db/records.ts'
import { AppError } from '../errors.ts'
import type { ImageFacts } from '../transform/image/image-facts.ts'
import { contentTypeOf } from '../transform/image/formats.ts'

export type UploadRules = {
  readonly types: readonly string[]
  readonly maxBytes: number
  readonly maxPixels: number
  readonly visibility: Visibility
  readonly kind: KindConfig | undefined
}

/** The rules for a kind of image in a project. Throws `bad_request` for a kind the project does not have. */
export function rulesFor(
  project: ProjectConfig,
  asked: { readonly kind: string | undefined; readonly visibility?: Visibility | undefined },
): UploadRules {
  const kind = asked.kind === undefined ? undefined : kindNamed(project, asked.kind)
  return {
    types: kind?.types ?? project.types,
    maxBytes: Math.min(kind?.maxBytes ?? project.maxBytes, project.maxBytes),
    maxPixels: project.maxPixels,
    visibility: asked.visibility ?? kind?.visibility ?? project.visibility,
    kind,
  }
}

/** The same rules for an upload that was allowed before; a kind that was taken out of the configuration asks nothing more. */
export function rulesOfRecord(
  project: ProjectConfig,
  upload: { readonly kind: string | undefined; readonly visibility: Visibility },
): UploadRules {
  const isKnown = upload.kind !== undefined && Object.hasOwn(project.kinds, upload.kind)
  return rulesFor(project, { kind: isKnown ? upload.kind : undefined, visibility: upload.visibility })
}

/** Throws `type_not_allowed`, `too_large`. */
export function assertIntent(
  rules: UploadRules,
  intent: { readonly contentType: string; readonly byteLength: number | undefined },
): void {
  if (!rules.types.includes(intent.contentType)) {
    throw new AppError('type_not_allowed', {
      detail: `"type" is ${intent.contentType}; expected one of ${rules.types.join(', ')}.`,
    })
  }
  if (intent.byteLength !== undefined && intent.byteLength > rules.maxBytes) {
    throw new AppError('too_large', {
      detail: `"size" is ${intent.byteLength} bytes; at most ${rules.maxBytes} are accepted.`,
    })
  }
}

/** What is there, against the rules for what it is to be from now on. Throws `type_not_allowed`, `too_large`. */
export function assertStored(
  rules: UploadRules,
  stored: { readonly contentType: string; readonly byteLength: number },
): void {
  if (!rules.types.includes(stored.contentType)) {
    throw new AppError('type_not_allowed', {
      detail: `The picture is ${stored.contentType}; expected one of ${rules.types.join(', ')}.`,
    })
  }
  if (stored.byteLength > rules.maxBytes) {
    throw new AppError('too_large', {
      detail: `The picture has ${stored.byteLength} bytes; at most ${rules.maxBytes} are accepted.`,
    })
  }
}

/** `image/heif` is the family name of `image/heic`, and `image/jpg` what some clients call JPEG. */
const otherNames = new Map(
  Object.entries({
    'image/heif': 'image/heic',
    'image/jpg': 'image/jpeg',
    'image/pjpeg': 'image/jpeg',
    'image/x-png': 'image/png',
  }),
)

/** A declared media type without parameters, in lower case, by its one name. */
export function normalType(type: string): string {
  const bare = type.split(';')[0]?.trim().toLowerCase() ?? ''
  return otherNames.get(bare) ?? bare
}

/** What the bytes turned out to be against what was declared. Throws `type_mismatch`. */
export function assertSameType(declared: string, found: ImageFacts['format'] | undefined): void {
  const type = found && contentTypeOf(found)
  if (type === declared) return
  throw new AppError('type_mismatch', {
    detail: `Declared as ${declared}; the bytes are ${type ?? 'not an image of a supported type'}.`,
  })
}

/** Throws `dimensions_not_allowed`, `type_mismatch`, `too_many_pixels`, `too_many_frames`. */
export function assertFacts(rules: UploadRules, facts: Pick<ImageFacts, 'width' | 'height' | 'frames'>): void {
  const { width, height, frames } = facts
  if (width * height > rules.maxPixels) {
    throw new AppError('too_many_pixels', {
      detail: `The picture has ${width * height} pixels; at most ${rules.maxPixels} are accepted.`,
    })
  }
  const { kind } = rules
  if (kind === undefined) return
  const wrong = wrongDimension(kind, width, height)
  if (wrong !== undefined)
    throw new AppError('dimensions_not_allowed', { detail: `The picture is ${width} x ${height}; ${wrong}.` })
  if (kind.animated === false && frames > 1) {
    throw new AppError('too_many_frames', { detail: `The picture has ${frames} frames; expected a still one.` })
  }
}

function wrongDimension(kind: KindConfig, width: number, height: number): string | undefined {
  if (kind.minWidth !== undefined && width < kind.minWidth) return `expected a width of at least ${kind.minWidth}`
  if (kind.minHeight !== undefined && height < kind.minHeight) return `expected a height of at least ${kind.minHeight}`
  if (kind.maxWidth !== undefined && width > kind.maxWidth) return `expected a width of at most ${kind.maxWidth}`
  if (kind.maxHeight !== undefined && height > kind.maxHeight) return `expected a height of at most ${kind.maxHeight}`
  if (kind.aspect === undefined) return undefined
  const { ratio, tolerance } = kind.aspect
  // In pixels, where the bound itself has no rounding.
  return Math.abs(width - height * ratio) > tolerance * height * ratio + 1e-6
    ? `expected width to height as ${ratio} to 1`
    : undefined
}

function kindNamed(project: ProjectConfig, name: string): KindConfig {
  const kind = Object.hasOwn(project.kinds, name) ? project.kinds[name] : undefined
  if (kind) return kind
  const known = Object.keys(project.kinds).join(', ')
  throw new AppError('bad_request', {
    detail: `"kind" is ${JSON.stringify(name)}; expected ${known === '' ? 'none, this project has no kinds' : `one of ${known}`}.`,
  })
}
